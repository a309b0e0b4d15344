// Waiting one's turn. Order and time are the library's; a goroutine only parks, and looks when it is told to.

package tollbar

// #include <tollbar.h>
import "C"

import (
	"context"
	"runtime"
	"time"
)

// Acquire waits until cost tokens were taken of the key's account. Each key has one line, for whoever waits in whatever language of
// this process, in the order of arrival; a big request is not starved by small ones behind it. A nil error says that they were taken.
//
// A context that is done is honoured at once, with its error: nothing was taken then, and a turn that had come goes to the next in
// line. A turn that would come after the context's deadline is refused at once, by a [TooLateError], which says how long it would
// take; the deadline is reckoned by the limiter's clock. An unknown key is one, too, if the table is full. A request that can never
// pass is [ErrNever], whatever the deadline. While it waits, [Limiter.Close] ends it with [ErrClosed].
//
// Who waits costs a goroutine, and no thread. Terms are [Priority] and [WithCosts].
func (l *Limiter) Acquire(ctx context.Context, key string, cost uint64, with ...Term) error {
	ask, costs, err := agreed(cost, false, true, with)
	if err == nil {
		_, err = l.wait(ctx, key, ask, costs)
	}
	return err
}

// Slot is [Limiter.Acquire], but what is taken is held by a reservation: a place in flight, say. Terms are [Priority], [Lease],
// [GiveBack] and [WithCosts]. Without a lease the reservation is open until it is ended.
func (l *Limiter) Slot(ctx context.Context, key string, cost uint64, with ...Term) (*Reservation, error) {
	ask, costs, err := agreed(cost, true, true, with)
	if err != nil {
		return nil, err
	}
	handle, err := l.wait(ctx, key, ask, costs)
	if err != nil {
		return nil, err
	}
	return held(handle), nil
}

// wait joins the line, unless nobody is in it and it passes; and parks until its turn has come.
func (l *Limiter) wait(ctx context.Context, key string, ask C.tollbar_ask, costs Costs) (C.tollbar_reservation, error) {
	defer runtime.KeepAlive(l)
	var turn C.tollbar_turn
	if err := ctx.Err(); err != nil {
		return turn.reservation, err
	}
	deadline, hasDeadline := ctx.Deadline()
	if hasDeadline {
		ask.timeout_ns = C.uint64_t(max(time.Until(deadline), 0))
	}
	token, wakeups, err := theTower.token()
	if err != nil {
		return turn.reservation, err
	}
	lent := lend(costs)
	ask.costs, ask.costs_count = lent.first, lent.count
	answer := C.tollbar_join(l.handle, start(key), C.size_t(len(key)), &ask, C.sizeof_tollbar_ask, wakeups,
		C.uint64_t(token), &turn, C.sizeof_tollbar_turn)
	// The library keeps a copy of what it waits with.
	lent.end()
	if answer == C.TOLLBAR_WAITING {
		answer, err = l.park(ctx, token, &turn)
	}
	switch {
	case err != nil:
		return C.tollbar_reservation{}, err
	case answer < 0:
		return C.tollbar_reservation{}, costsFailed(answer, costs)
	case answer == 0 && bool(turn.never):
		return C.tollbar_reservation{}, ErrNever
	case answer == 0:
		return C.tollbar_reservation{}, &TooLateError{RetryAfter: duration(turn.retry_after_ns), deadline: hasDeadline}
	}
	return turn.reservation, nil
}

// park waits in line until there is an answer, or the context is done.
func (l *Limiter) park(ctx context.Context, token uint64, turn *C.tollbar_turn) (C.int32_t, error) {
	told := make(bell, 1)
	theTower.hang(token, told)
	defer theTower.take(token)
	place := turn.place
	for {
		// Also before the first rest: what was told before the bell hung was not heard.
		if answer := C.tollbar_look(place, turn, C.sizeof_tollbar_turn); answer != C.TOLLBAR_WAITING {
			return answer, nil
		}
		err := theTower.trouble()
		if err == nil {
			err = l.rest(ctx, told, duration(turn.look_after_ns))
		}
		if err != nil {
			// A turn that has come meanwhile goes to the next.
			C.tollbar_leave(place)
			return 0, err
		}
	}
}

// rest lasts until it is time to look. A manual clock tells when it is, so that no timer is needed.
func (l *Limiter) rest(ctx context.Context, told bell, atMost time.Duration) error {
	var timeout <-chan time.Time
	if atMost != Never && l.clock == nil {
		timer := time.NewTimer(atMost)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-told:
		return nil
	case <-timeout:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
