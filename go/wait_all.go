// Waiting for the turn of several keys at once.

package tollbar

/*
#include <stdlib.h>
#include <tollbar.h>

static int32_t tollbar_go_join_all(tollbar_limiter limiter, const char *data, const uint32_t *lengths, size_t count,
                                   const tollbar_ask *ask, tollbar_wakeups wakeups, uint64_t token, tollbar_turn *turn) {
	tollbar_key few[16], *keys = few;
	if (count > 16 && !(keys = calloc(count, sizeof *keys))) return TOLLBAR_ERROR_LENGTHS;
	for (size_t at = 0; at < count; data += lengths[at++]) {
		keys[at].data = data;
		keys[at].len = lengths[at];
	}
	int32_t answer = tollbar_join_all(limiter, keys, count, ask, sizeof *ask, wakeups, token, turn, sizeof *turn);
	if (keys != few) free(keys);
	return answer;
}
*/
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"time"
	"unsafe"
)

// AcquireAll waits until cost tokens were taken of each key's account, all at one moment: when the request is first in the lines of all
// its keys, and all their limits let it pass. Until then nothing is taken anywhere. Those who wait for several keys stand in one order in
// all lines that they share, so they do not wait for each other in a circle; those behind them wait for them, also where their own key
// is free. The keys must differ. Otherwise it is as [Limiter.Acquire]: a [TooLateError] and [ErrNever] name the key that they are
// about, and a context that is done leaves all lines. Terms are [Priority] and [WithCosts], which are the same for each key.
func (l *Limiter) AcquireAll(ctx context.Context, keys []string, cost uint64, with ...Term) error {
	defer runtime.KeepAlive(l)
	ask, costs, err := agreed(cost, false, true, with)
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return invalid("keys", "must be at least one", "none")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	deadline, hasDeadline := ctx.Deadline()
	if hasDeadline {
		ask.timeout_ns = C.uint64_t(max(time.Until(deadline), 0))
	}
	token, wakeups, err := theTower.token()
	if err != nil {
		return err
	}
	room, err := pack(keys)
	if err != nil {
		return err
	}
	var turn C.tollbar_turn
	lent := lend(costs)
	ask.costs, ask.costs_count = lent.first, lent.count
	answer := C.tollbar_go_join_all(
		l.handle, (*C.char)(unsafe.Pointer(unsafe.SliceData(room.data))),
		(*C.uint32_t)(unsafe.Pointer(unsafe.SliceData(room.lengths))), C.size_t(len(keys)), &ask, wakeups,
		C.uint64_t(token), &turn)
	// The library keeps a copy of what it waits with.
	lent.end()
	room.giveBack()
	if answer == C.TOLLBAR_WAITING {
		answer, err = l.park(ctx, token, &turn)
	}
	switch {
	case err != nil:
		return err
	case answer == C.TOLLBAR_ERROR_INVALID && doubled(keys):
		return invalid("keys", "must be different from each other", keys)
	case answer < 0:
		return costsFailed(answer, costs)
	case answer > 0:
		return nil
	}
	key := keys[min(int(turn.denied_by), len(keys)-1)]
	if turn.never {
		return fmt.Errorf("%w: key %q", ErrNever, key)
	}
	return &TooLateError{Key: key, RetryAfter: duration(turn.retry_after_ns), deadline: hasDeadline}
}
