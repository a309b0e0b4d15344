// Charged now, ended later: with what was really used, or not at all.

package tollbar

// #include <tollbar.h>
import "C"

import (
	"runtime"
	"sync/atomic"
	"time"
)

// A Reservation is a cost that was charged, and has not ended. It is to be ended by one of Commit, CommitActual and Cancel; whatever
// is called after the first of them does nothing, so that Cancel may be deferred:
//
//	reserved, denied, err := limiter.Reserve(sender, 1)
//	if reserved == nil {
//		return refuse(denied, err)
//	}
//	defer reserved.Cancel()
//	if err := deliver(message); err != nil {
//		return err
//	}
//	reserved.Commit()
//
// One that is forgotten is committed when the garbage collector finds it, or when its lease is over. The nil one, which a denial comes
// with, has nothing to end: whatever is called on it is false.
type Reservation struct {
	handle C.tollbar_reservation
	ended  atomic.Bool
}

// A Term says how something is to be reserved or waited for.
type Term func(*terms)

type terms struct {
	ask C.tollbar_ask
	err error
	// Which of them were given, as not all of them have a meaning everywhere.
	holds, waits bool
}

// Lease bounds how long a reservation is open: it counts as used when this is over. Of Reserve and Slot; ten minutes unless said
// otherwise.
func Lease(length time.Duration) Term {
	return func(t *terms) {
		t.holds = true
		if length <= 0 {
			t.err = invalid("lease", "must be more than 0", length)
		}
		t.ask.lease_ns = C.uint64_t(length)
	}
}

// GiveBack makes a lease that is over give back what was reserved. Of Reserve and Slot.
func GiveBack() Term {
	return func(t *terms) { t.holds, t.ask.gives_back = true, 1 }
}

// Priority serves lower ones first, and equal ones in the order of arrival: 0, which is usual, to 127. Of Acquire and Slot.
func Priority(priority int) Term {
	return func(t *terms) {
		t.waits = true
		if priority < 0 || priority > 127 {
			t.err = invalid("priority", "must be from 0 to 127", priority)
		}
		t.ask.priority = C.uint32_t(priority)
	}
}

const usualLease = 10 * time.Minute

// agreed puts terms together.
func agreed(cost uint64, holds, waits bool, given []Term) (C.tollbar_ask, error) {
	if len(given) == 0 {
		ask := C.tollbar_ask{cost: C.uint64_t(cost), timeout_ns: C.TOLLBAR_NEVER}
		if holds {
			ask.lease_ns = C.uint64_t(usualLease)
		}
		return ask, nil
	}
	// A variable of its own: the terms' functions are given its address, which makes it one of the heap.
	all := terms{ask: C.tollbar_ask{cost: C.uint64_t(cost), timeout_ns: C.TOLLBAR_NEVER}}
	if holds {
		all.ask.lease_ns = C.uint64_t(usualLease)
	}
	for _, term := range given {
		term(&all)
	}
	if all.holds && !holds && all.err == nil {
		all.err = invalid("terms", "must be without a lease where nothing is reserved", "one with it")
	}
	if all.waits && !waits && all.err == nil {
		all.err = invalid("terms", "must be without a priority where nobody waits", "one with it")
	}
	return all.ask, all.err
}

// held is a reservation that ends when it is forgotten, at the latest.
func held(handle C.tollbar_reservation) *Reservation {
	reservation := &Reservation{handle: handle}
	runtime.SetFinalizer(reservation, (*Reservation).Commit)
	return reservation
}

// Reserve charges cost to the key's account, to be committed or cancelled later. If it is denied, the reservation is nil, and the
// decision says why. Terms are [Lease] and [GiveBack].
func (l *Limiter) Reserve(key string, cost uint64, with ...Term) (*Reservation, Decision, error) {
	ask, err := agreed(cost, true, false, with)
	if err != nil {
		return nil, Decision{}, err
	}
	var told C.tollbar_decision
	var handle C.tollbar_reservation
	answer := C.tollbar_reserve(l.handle, start(key), C.size_t(len(key)), ask.cost, ask.lease_ns, ask.gives_back == 1,
		&handle, &told, C.sizeof_tollbar_decision)
	runtime.KeepAlive(l)
	switch {
	case answer < 0:
		return nil, Decision{}, failed(answer)
	case answer == 0:
		return nil, decision(&told), nil
	}
	return held(handle), decision(&told), nil
}

// end ends it once.
func (r *Reservation) end(by func(C.tollbar_reservation) C.int32_t) bool {
	if r == nil || !r.ended.CompareAndSwap(false, true) {
		return false
	}
	runtime.SetFinalizer(r, nil)
	return by(r.handle) == 1
}

// Commit says that the act has happened and took what was reserved. False if the reservation had ended before: by another call, or
// because its lease is over.
func (r *Reservation) Commit() bool {
	return r.end(func(handle C.tollbar_reservation) C.int32_t { return C.tollbar_commit(handle) })
}

// CommitActual says that the act has happened and took so much: less than was reserved is given back, more is charged even beyond the
// limits, for it has happened. False as for Commit; nothing is charged then.
func (r *Reservation) CommitActual(actual uint64) bool {
	return r.end(func(handle C.tollbar_reservation) C.int32_t {
		return C.tollbar_commit_actual(handle, C.uint64_t(actual))
	})
}

// Cancel says that the act will not happen: what was reserved is given back, a rate's as far as nobody could have charged it since.
// False as for Commit.
func (r *Reservation) Cancel() bool {
	return r.end(func(handle C.tollbar_reservation) C.int32_t { return C.tollbar_cancel(handle) })
}
