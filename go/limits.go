// Limits that change while they are used, and what the limits of a key count.

package tollbar

// #include <tollbar.h>
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

// SetLimits puts all keys without limits of their own under another policy. Every decision that begins after it returns is by the new
// policy, and none sees a mixture of the two; goroutines that wait are served by it. Keys that came under a policy by
// [Limiter.WithPolicy] or [Limiter.Reconfigure] keep theirs.
func (l *Limiter) SetLimits(policy Limit, migration Migration) error {
	built, err := build(policy)
	if err != nil {
		return err
	}
	defer C.tollbar_policy_free(built)
	var said note
	answer := C.tollbar_set_limits(l.handle, built, C.int32_t(migration), &said[0], C.size_t(len(said)))
	runtime.KeepAlive(l)
	return said.told(answer)
}

// FollowDefault ends a key's limits of its own: it comes under the limits of all. False if the key has no account now.
func (l *Limiter) FollowDefault(key string, migration Migration) (bool, error) {
	answer := C.tollbar_follow_default(l.handle, start(key), C.size_t(len(key)), C.int32_t(migration))
	runtime.KeepAlive(l)
	if answer == C.TOLLBAR_ERROR_INVALID {
		return false, invalid("migration", "must be AsIs, Proportional or Afresh", int(migration))
	}
	return yes(answer)
}

// Block lets no request of the key pass for so long, at most 4.5 years: what a server said with a Retry-After, say. Requests that wait
// wait on. A length of 0 ends a block, as [Limiter.Release] does. False if the table has no place for the key.
func (l *Limiter) Block(key string, length time.Duration) (bool, error) {
	if length < 0 {
		return false, invalid("length", "must not be negative", length)
	}
	answer := C.tollbar_block(l.handle, start(key), C.size_t(len(key)), C.uint64_t(length))
	runtime.KeepAlive(l)
	if answer == C.TOLLBAR_ERROR_INVALID {
		return false, invalid("length", "must be at most 4.5 years", length)
	}
	return yes(answer)
}

// Drain leaves the key no more than so much: it charges what each rate and window of the key has beyond that, or only the one of this
// name unless it is "", all at one moment, as a server's "remaining: 7" asks for. It never gives anything back. True if any had more.
func (l *Limiter) Drain(key string, to uint64, limit string) (bool, error) {
	var name *C.char
	if limit != "" {
		name = start(limit)
	}
	answer := C.tollbar_drain(l.handle, start(key), C.size_t(len(key)), C.uint64_t(to), name, C.size_t(len(limit)))
	runtime.KeepAlive(l)
	if answer == C.TOLLBAR_ERROR_INVALID {
		return false, invalid("limit", "must be the name of a limit of this limiter", limit)
	}
	return yes(answer)
}

// A LimitState is what one limit of a key counts.
type LimitState struct {
	Name       string        // the limit's name; cut after 63 bytes
	Kind       Reason        // the kind of limit: the reason that it denies for
	Limit      uint64        // what passes at most: a rate's burst, a window's limit, places, denials of a jail
	Used       uint64        // tokens owed, requests in the window, places taken; of a jail, 1 while it holds
	Remaining  uint64        // what could pass at once, by this limit alone
	ResetAfter time.Duration // until the limit counts nothing; Never while a reservation without an end is counted
	RetryAfter time.Duration // until the limit lets the request pass that was asked about
	Estimated  bool          // RetryAfter is an upper bound: it is shorter if a reservation ends before its lease is over
	CanPass    bool          // whether the request can ever pass
	Shadow     bool          // the limit only counts
}

// Inspect is what each limit of the key counts, all at one moment, and when each would let a request of these costs pass; costs may be
// nil. Of a key that is blocked, the block is one more. It takes nothing and makes nothing.
func (l *Limiter) Inspect(key string, cost uint64, costs Costs) ([]LimitState, error) {
	var told [C.TOLLBAR_MAX_LIMITS + 1]C.tollbar_limit_state
	lent := lend(costs)
	count := C.tollbar_inspect(l.handle, start(key), C.size_t(len(key)), C.uint64_t(cost), lent.first, lent.count,
		&told[0], C.size_t(len(told)), C.sizeof_tollbar_limit_state)
	runtime.KeepAlive(l)
	lent.end()
	if count < 0 {
		return nil, costsFailed(count, costs)
	}
	states := make([]LimitState, min(int(count), len(told)))
	for at := range states {
		one := &told[at]
		states[at] = LimitState{
			Name:       text(&one.name),
			Kind:       Reason(one.kind),
			Limit:      uint64(one.limit),
			Used:       uint64(one.used),
			Remaining:  uint64(one.remaining),
			ResetAfter: duration(one.reset_after_ns),
			RetryAfter: duration(one.retry_after_ns),
			Estimated:  bool(one.estimated),
			CanPass:    bool(one.can_pass),
			Shadow:     bool(one.shadow),
		}
	}
	return states, nil
}

// Keys is every key of the table, in no order, to be ranged over since Go 1.23:
//
//	for key, err := range limiter.Keys() {
//
// It copies the keys of one part of the table at a time, so that others come and go meanwhile: a key is met once if it is there all the
// time. An error is the last pair: [ErrClosed].
func (l *Limiter) Keys() func(yield func(key string, err error) bool) {
	return func(yield func(string, error) bool) {
		parts := C.tollbar_parts(l.handle)
		runtime.KeepAlive(l)
		var room packed
		for part := C.int32_t(0); part < parts; part++ {
			count, err := l.keysIn(part, &room)
			if err != nil {
				yield("", err)
				return
			}
			data := room.data
			for _, length := range room.lengths[:count] {
				if !yield(string(data[:length]), nil) {
					return
				}
				data = data[length:]
			}
		}
		if parts < 0 {
			yield("", failed(parts))
		}
	}
}

// keysIn copies the keys of one part, with more room until there is enough.
func (l *Limiter) keysIn(part C.int32_t, room *packed) (int, error) {
	for {
		size := C.size_t(len(room.data))
		count := C.tollbar_keys(l.handle, C.size_t(part), (*C.char)(unsafe.Pointer(unsafe.SliceData(room.data))), &size,
			(*C.uint32_t)(unsafe.Pointer(unsafe.SliceData(room.lengths))), C.size_t(len(room.lengths)))
		runtime.KeepAlive(l)
		switch {
		case count < 0:
			return 0, failed(count)
		case int(size) <= len(room.data) && int(count) <= len(room.lengths):
			return int(count), nil
		}
		// A little more, because keys may come between the two calls.
		room.data = make([]byte, int(size)+int(size)/8)
		room.lengths = make([]uint32, int(count)+int(count)/8)
	}
}
