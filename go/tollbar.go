// The limiter: how it is made and how it ends.

package tollbar

/*
#cgo pkg-config: tollbar
#include <tollbar.h>

// What a Go constant needs is an expression; the header's version is what New hands in.
enum { tollbar_go_abi = TOLLBAR_ABI_VERSION };
*/
import "C"

import (
	"math"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// Never is a duration without end: a request that can never pass.
	Never time.Duration = math.MaxInt64
	// MaxKeyLen is the length of the longest key, in bytes.
	MaxKeyLen = C.TOLLBAR_MAX_KEY_LEN
)

// A Limiter limits many keys, each on its own. Make one with [New]; it is to be closed.
type Limiter struct {
	handle C.tollbar_limiter
	clock  *ManualClock
	closed atomic.Bool
}

// WhenFull is what answers a key that is not in the table when the table is full and nobody in it has refilled.
type WhenFull int

// What may be done about a full table.
const (
	Deny       WhenFull = C.TOLLBAR_FULL_DENY        // the key is denied; the usual
	Allow      WhenFull = C.TOLLBAR_FULL_ALLOW       // the key passes, without an account
	EvictLeast WhenFull = C.TOLLBAR_FULL_EVICT_LEAST // of a sample, the account that owes least goes
)

// An Option says how a limiter is to be.
type Option func(*options)

type options struct {
	handle C.tollbar_options
	note   note
	clock  *ManualClock
	err    error
}

func (o *options) set(what C.int32_t, value uint64) {
	if o.err == nil {
		o.err = o.note.told(C.tollbar_options_set(o.handle, what, C.uint64_t(value), &o.note[0], C.size_t(len(o.note))))
	}
}

// MaxKeys bounds the table: 1 to 2^25 accounts; 1,000,000 unless said otherwise. Memory is used as accounts come.
func MaxKeys(most int) Option {
	return func(o *options) {
		if most < 1 && o.err == nil {
			o.err = invalid("max_keys", "must be at least 1", most)
		}
		o.set(C.TOLLBAR_OPTION_MAX_KEYS, uint64(most))
	}
}

// WhenTableIsFull says what answers unknown keys then; [Deny] unless said otherwise.
func WhenTableIsFull(what WhenFull) Option {
	return func(o *options) { o.set(C.TOLLBAR_OPTION_WHEN_FULL, uint64(what)) }
}

// WithClock makes the limiter decide by this clock, and not by the system's: for tests.
func WithClock(clock *ManualClock) Option {
	return func(o *options) {
		if o.err == nil && clock == nil {
			o.err = invalid("clock", "must be one", "nil")
		}
		if o.err == nil {
			o.err = clock.err
		}
		if status := C.int32_t(0); o.err == nil {
			if status = C.tollbar_options_set_clock(o.handle, clock.handle); status < 0 {
				o.err = failed(status)
			}
			o.clock = clock
		}
	}
}

// New makes a limiter of one limit, or of a [Policy] of several:
//
//	tollbar.New(tollbar.Rate{Limit: 10, Per: time.Second}, tollbar.MaxKeys(100_000))
//	tollbar.New(tollbar.Policy{
//		tollbar.Window{Limit: 10_000, Per: time.Hour},
//		tollbar.InFlight{Limit: 5},
//	})
//
// The error is [ErrInvalid], and says which limit or option breaks which rule, or [ErrMismatch].
func New(policy Limit, opts ...Option) (*Limiter, error) {
	built, err := build(policy)
	if err != nil {
		return nil, err
	}
	defer C.tollbar_policy_free(built)
	var chosen options
	if status := C.tollbar_options_new(&chosen.handle); status < 0 {
		return nil, failed(status)
	}
	defer C.tollbar_options_free(chosen.handle)
	for _, opt := range opts {
		opt(&chosen)
	}
	if chosen.err != nil {
		return nil, chosen.err
	}
	var handle C.tollbar_limiter
	var said note
	status := C.tollbar_limiter_new(C.tollbar_go_abi, built, chosen.handle, &handle, &said[0], C.size_t(len(said)))
	if err := said.told(status); err != nil {
		return nil, err
	}
	return owned(handle, chosen.clock), nil
}

// owned is a limiter that ends when it is forgotten, at the latest.
func owned(handle C.tollbar_limiter, clock *ManualClock) *Limiter {
	limiter := &Limiter{handle: handle, clock: clock}
	runtime.SetFinalizer(limiter, (*Limiter).Close)
	return limiter
}

// WithPolicy gives another handle to the same accounts: keys that are first seen by it get this policy, keys that are known keep
// theirs. Equal policies cost nothing, so there may be one for each tariff. It is to be closed, too.
func (l *Limiter) WithPolicy(policy Limit) (*Limiter, error) {
	built, err := build(policy)
	if err != nil {
		return nil, err
	}
	defer C.tollbar_policy_free(built)
	var handle C.tollbar_limiter
	var said note
	status := C.tollbar_limiter_with_policy(l.handle, built, &handle, &said[0], C.size_t(len(said)))
	runtime.KeepAlive(l)
	if err := said.told(status); err != nil {
		return nil, err
	}
	return owned(handle, l.clock), nil
}

// Close ends the limiter. It may be called more than once, and while others use the limiter: calls after it, and those who wait,
// get [ErrClosed]. Buckets and reservations live on. It never fails; the error is there for io.Closer.
func (l *Limiter) Close() error {
	if l.closed.CompareAndSwap(false, true) {
		runtime.SetFinalizer(l, nil)
		C.tollbar_limiter_free(l.handle)
	}
	return nil
}

// Version is the library's version, such as "0.1.0".
func Version() string { return C.GoString(C.tollbar_version()) }

// duration is one of the library's as Go's, [Never] where it is longer than those can be.
func duration(nanos C.uint64_t) time.Duration {
	if nanos > C.uint64_t(Never) {
		return Never
	}
	return time.Duration(nanos)
}
