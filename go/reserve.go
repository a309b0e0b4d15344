// Charged now, ended later: with what was really used, or not at all.

package tollbar

// #include <tollbar.h>
import "C"

import (
	"runtime"
	"sync/atomic"
	"time"
)

// A Reservation is a cost that was charged, and has not ended. It is to be ended by one of Commit, CommitActual, CommitActuals
// and Cancel; whatever is called after the first of them does nothing, so that Cancel may be deferred:
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
// One that is forgotten is committed when the garbage collector finds it, or when its lease is over, if it has one. The nil one, which a denial comes
// with, has nothing to end: whatever is called on it is false.
type Reservation struct {
	handle C.tollbar_reservation
	ended  atomic.Bool
}

// A Term says how something is to be reserved or waited for.
type Term func(*terms)

type terms struct {
	ask   C.tollbar_ask
	costs Costs
	err   error
	// Which of them were given, as not all of them have a meaning everywhere.
	holds, waits bool
}

// leaseNanos is a lease as the library counts it; [Never] has no end.
func leaseNanos(length time.Duration) (C.uint64_t, error) {
	switch {
	case length <= 0:
		return 0, invalid("lease", "must be more than 0", length)
	case length == Never:
		return C.TOLLBAR_NEVER, nil
	}
	return C.uint64_t(length), nil
}

// Lease bounds how long a reservation is open: it counts as used when this is over. Of Reserve and Slot. Without it, and with [Never],
// a reservation is open until it is ended. At most 4.5 years.
func Lease(length time.Duration) Term {
	return func(t *terms) {
		t.holds = true
		nanos, err := leaseNanos(length)
		if err != nil {
			t.err = err
		}
		t.ask.lease_ns = nanos
	}
}

// WithCosts gives limits a cost of their own. Of Reserve, Acquire and Slot.
func WithCosts(costs Costs) Term {
	return func(t *terms) { t.costs = costs }
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

// agreed puts terms together.
func agreed(cost uint64, holds, waits bool, given []Term) (C.tollbar_ask, Costs, error) {
	ask := C.tollbar_ask{cost: C.uint64_t(cost), timeout_ns: C.TOLLBAR_NEVER}
	if holds {
		ask.lease_ns = C.TOLLBAR_NEVER
	}
	if len(given) == 0 {
		return ask, nil, nil
	}
	// A variable of its own: the terms' functions are given its address, which makes it one of the heap.
	all := terms{ask: ask}
	for _, term := range given {
		term(&all)
	}
	if all.holds && !holds && all.err == nil {
		all.err = invalid("terms", "must be without a lease where nothing is reserved", "one with it")
	}
	if all.waits && !waits && all.err == nil {
		all.err = invalid("terms", "must be without a priority where nobody waits", "one with it")
	}
	return all.ask, all.costs, all.err
}

// held is a reservation that ends when it is forgotten, at the latest.
func held(handle C.tollbar_reservation) *Reservation {
	reservation := &Reservation{handle: handle}
	runtime.SetFinalizer(reservation, (*Reservation).Commit)
	return reservation
}

// Reserve charges cost to the key's account, to be committed or cancelled later. If it is denied, the reservation is nil, and the
// decision says why. Terms are [Lease], [GiveBack] and [WithCosts]. Without a lease it is open until it is ended.
func (l *Limiter) Reserve(key string, cost uint64, with ...Term) (*Reservation, Decision, error) {
	ask, costs, err := agreed(cost, true, false, with)
	if err != nil {
		return nil, Decision{}, err
	}
	var told C.tollbar_decision
	var handle C.tollbar_reservation
	lent := lend(costs)
	answer := C.tollbar_reserve_costs(l.handle, start(key), C.size_t(len(key)), ask.cost, lent.first, lent.count,
		ask.lease_ns, ask.gives_back == 1, &handle, &told, C.sizeof_tollbar_decision)
	runtime.KeepAlive(l)
	lent.end()
	switch {
	case answer < 0:
		return nil, Decision{}, costsFailed(answer, costs)
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

// CommitActuals is [Reservation.CommitActual] where limits may have an actual cost of their own: actual is that of limits that were
// reserved without one, and limits that costs does not name took what was reserved of them by their names. An error is [ErrInvalid]: a
// name that the limiter does not know. The reservation is open then, and may be ended by another call.
func (r *Reservation) CommitActuals(actual uint64, costs Costs) (bool, error) {
	if r == nil || !r.ended.CompareAndSwap(false, true) {
		return false, nil
	}
	lent := lend(costs)
	answer := C.tollbar_commit_costs(r.handle, C.uint64_t(actual), lent.first, lent.count)
	lent.end()
	if answer < 0 {
		r.ended.Store(false)
		return false, costsFailed(answer, costs)
	}
	runtime.SetFinalizer(r, nil)
	return answer == 1, nil
}

// Renew lets the lease begin anew: it is over when this much time is, [Never] without an end. False if the reservation had ended: by
// another call, or because its lease is over.
func (r *Reservation) Renew(lease time.Duration) (bool, error) {
	nanos, err := leaseNanos(lease)
	if err != nil || r == nil || r.ended.Load() {
		return false, err
	}
	answer := C.tollbar_renew(r.handle, nanos)
	runtime.KeepAlive(r)
	switch {
	case answer == C.TOLLBAR_ERROR_HANDLE:
		// Another goroutine has ended it meanwhile.
		return false, nil
	case answer == C.TOLLBAR_ERROR_INVALID:
		return false, invalid("lease", "must be at most 4.5 years", lease)
	}
	return yes(answer)
}

// Cancel says that the act will not happen: what was reserved is given back, a rate's as far as nobody could have charged it since.
// False as for Commit.
func (r *Reservation) Cancel() bool {
	return r.end(func(handle C.tollbar_reservation) C.int32_t { return C.tollbar_cancel(handle) })
}
