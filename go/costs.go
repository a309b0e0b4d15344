// Requests that cost their limits differently: one request and 400 tokens, say.

package tollbar

/*
#include <stdlib.h>
#include <tollbar.h>
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Costs gives limits a cost of their own, by their names. Limits that are not named cost what the call says beside them. A name that no
// limit of the limiter has is [ErrInvalid], and nothing is charged. There may be 256 names.
//
//	limiter.DecideCosts(account, 1, tollbar.Costs{"tokens": 400})
type Costs map[string]uint64

// lent is costs where the library can read them: its memory is C's, because memory of Go's must not hold pointers to memory of Go's.
type lent struct {
	first *C.tollbar_cost
	count C.size_t
}

// lend lends costs to the library until end.
func lend(costs Costs) lent {
	if len(costs) == 0 {
		return lent{}
	}
	size := len(costs) * C.sizeof_tollbar_cost
	for name := range costs {
		size += len(name)
	}
	room := C.malloc(C.size_t(size))
	each := unsafe.Slice((*C.tollbar_cost)(room), len(costs))
	names := unsafe.Slice((*byte)(unsafe.Add(room, len(costs)*C.sizeof_tollbar_cost)), size-len(costs)*C.sizeof_tollbar_cost)
	at := 0
	for name, cost := range costs {
		// The empty name leads to nothing, and not behind the room.
		each[at] = C.tollbar_cost{limit_len: C.size_t(len(name)), cost: C.uint64_t(cost)}
		if name != "" {
			each[at].limit = (*C.char)(unsafe.Pointer(unsafe.SliceData(names)))
			names = names[copy(names, name):]
		}
		at++
	}
	return lent{(*C.tollbar_cost)(room), C.size_t(len(costs))}
}

func (l lent) end() {
	if l.first != nil {
		C.free(unsafe.Pointer(l.first))
	}
}

// wrongCosts is the error of costs that were refused.
func wrongCosts(costs Costs) error {
	names := make([]string, 0, len(costs))
	for name := range costs {
		names = append(names, name)
	}
	return invalid("costs", "must name limits of this limiter, at most 256", names)
}

// costsFailed is the error of a call that was given costs.
func costsFailed(status C.int32_t, costs Costs) error {
	if status == C.TOLLBAR_ERROR_INVALID && len(costs) > 0 {
		return wrongCosts(costs)
	}
	return failed(status)
}

// TryAcquireCosts is [Limiter.TryAcquire] where limits may have a cost of their own: all are charged, or none.
func (l *Limiter) TryAcquireCosts(key string, cost uint64, costs Costs) (bool, error) {
	told, err := l.DecideCosts(key, cost, costs)
	return told.Allowed, err
}

// DecideCosts is [Limiter.TryAcquireCosts] with a full answer.
func (l *Limiter) DecideCosts(key string, cost uint64, costs Costs) (Decision, error) {
	var told C.tollbar_decision
	lent := lend(costs)
	answer := C.tollbar_decide_costs(l.handle, start(key), C.size_t(len(key)), C.uint64_t(cost), lent.first, lent.count,
		&told, C.sizeof_tollbar_decision)
	runtime.KeepAlive(l)
	lent.end()
	if answer < 0 {
		return Decision{}, costsFailed(answer, costs)
	}
	return decision(&told), nil
}

// PeekCosts is what [Limiter.DecideCosts] would answer. It takes nothing and makes nothing.
func (l *Limiter) PeekCosts(key string, cost uint64, costs Costs) (Decision, error) {
	var told C.tollbar_decision
	lent := lend(costs)
	answer := C.tollbar_peek_costs(l.handle, start(key), C.size_t(len(key)), C.uint64_t(cost), lent.first, lent.count,
		&told, C.sizeof_tollbar_decision)
	runtime.KeepAlive(l)
	lent.end()
	if answer < 0 {
		return Decision{}, costsFailed(answer, costs)
	}
	return decision(&told), nil
}
