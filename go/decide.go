// Asking: may this key do this much now?
//
// RUNS PER DECISION: TryAcquire, one call into the library.

package tollbar

/*
#include <stdlib.h>
#include <tollbar.h>

// tollbar_try_acquire_all_costs for keys that lie one after the other: no memory of Go's may hold pointers to memory of Go's.
static int32_t tollbar_go_all(tollbar_limiter limiter, const char *data, const uint32_t *lengths, size_t count,
                              uint64_t cost, const tollbar_cost *costs, size_t costs_count,
                              tollbar_decision *decision, size_t *denied_by) {
	tollbar_key few[16], *keys = few;
	if (count > 16 && !(keys = calloc(count, sizeof *keys))) return TOLLBAR_ERROR_LENGTHS;
	for (size_t at = 0; at < count; data += lengths[at++]) {
		keys[at].data = data;
		keys[at].len = lengths[at];
	}
	int32_t answer = tollbar_try_acquire_all_costs(limiter, keys, count, cost, costs, costs_count, decision,
                                                   sizeof *decision, denied_by);
	if (keys != few) free(keys);
	return answer;
}
*/
import "C"

import (
	"bytes"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

// A Reason says why a request was denied.
type Reason int

// The reasons.
const (
	ReasonNone     Reason = 0                          // it was allowed
	ReasonRate     Reason = C.TOLLBAR_REASON_RATE      // too few tokens
	ReasonWindow   Reason = C.TOLLBAR_REASON_WINDOW    // a window holds too many requests
	ReasonInFlight Reason = C.TOLLBAR_REASON_IN_FLIGHT // too much is reserved and has not ended
	ReasonJail     Reason = C.TOLLBAR_REASON_JAIL      // the key is in a timeout, for it was denied too often
	ReasonNever    Reason = C.TOLLBAR_REASON_NEVER     // more than a limit can ever hold
	ReasonFull     Reason = C.TOLLBAR_REASON_FULL      // the table is full, and this key is not in it
	ReasonClosed   Reason = C.TOLLBAR_REASON_CLOSED    // a limit of the key lets nothing pass at all
	ReasonBlocked  Reason = C.TOLLBAR_REASON_BLOCKED   // the program has blocked the key until some time
)

// String is the reason's word, the same in every language: "rate", "window", "in_flight"; "" for none.
func (r Reason) String() string { return C.GoString(C.tollbar_reason_text(C.int32_t(r))) }

// A Decision is one answer, with what the asker needs to act on it.
type Decision struct {
	Allowed    bool          // the cost was charged (or, for Peek, would have been)
	Shadowed   bool          // a shadow limit would have said no
	Reason     Reason        // why not; ReasonNone if allowed
	Estimated  bool          // RetryAfter is an upper bound: it is shorter if a reservation ends before its lease is over
	RetryAfter time.Duration // until the same request would pass if nobody else asks: 0 if allowed, Never if it cannot or is not known
	ResetAfter time.Duration // until the key equals one never seen
	Remaining  uint64        // what could still pass at once after this decision
	Limit      string        // the name of the limit that denied, or would have; cut after 63 bytes
}

// start is where a key's bytes begin. The library copies what it keeps of them.
func start(key string) *C.char { return (*C.char)(unsafe.Pointer(unsafe.StringData(key))) }

func decision(told *C.tollbar_decision) Decision {
	answer := Decision{
		Allowed:    bool(told.allowed),
		Shadowed:   bool(told.shadowed),
		Estimated:  bool(told.estimated),
		Reason:     Reason(told.reason),
		RetryAfter: duration(told.retry_after_ns),
		ResetAfter: duration(told.reset_after_ns),
		Remaining:  uint64(told.remaining),
	}
	if told.limit[0] != 0 {
		answer.Limit = text(&told.limit)
	}
	return answer
}

// text is what stands before the NUL. C.GoString would do the same, but make what it reads escape.
func text(room *[C.TOLLBAR_LIMIT_NAME_SIZE]C.char) string {
	all := unsafe.Slice((*byte)(unsafe.Pointer(room)), len(room))
	if end := bytes.IndexByte(all, 0); end >= 0 {
		all = all[:end]
	}
	return string(all)
}

// yes is an answer of one bit.
func yes(answer C.int32_t) (bool, error) {
	if answer < 0 {
		return false, failed(answer)
	}
	return answer == 1, nil
}

// TryAcquire takes cost tokens from the key's account if it has them, and says whether it did. It does not overtake those who wait.
// A denial is false, and no error. One call into the library; for a known key no lock, no allocation and no system call.
func (l *Limiter) TryAcquire(key string, cost uint64) (bool, error) {
	answer := C.tollbar_try_acquire(l.handle, start(key), C.size_t(len(key)), C.uint64_t(cost))
	runtime.KeepAlive(l)
	if answer < 0 {
		return false, failed(answer)
	}
	return answer == 1, nil
}

// TryAcquireBytes is [Limiter.TryAcquire] for a key that is no string, without making one of it.
func (l *Limiter) TryAcquireBytes(key []byte, cost uint64) (bool, error) {
	return l.TryAcquire(unsafe.String(unsafe.SliceData(key), len(key)), cost)
}

// Decide is [Limiter.TryAcquire] with a full answer.
func (l *Limiter) Decide(key string, cost uint64) (Decision, error) {
	var told C.tollbar_decision
	answer := C.tollbar_decide(l.handle, start(key), C.size_t(len(key)), C.uint64_t(cost), &told, C.sizeof_tollbar_decision)
	runtime.KeepAlive(l)
	if answer < 0 {
		return Decision{}, failed(answer)
	}
	return decision(&told), nil
}

// Peek is what [Limiter.Decide] would answer. It takes nothing and makes nothing.
func (l *Limiter) Peek(key string, cost uint64) (Decision, error) {
	var told C.tollbar_decision
	answer := C.tollbar_peek(l.handle, start(key), C.size_t(len(key)), C.uint64_t(cost), &told, C.sizeof_tollbar_decision)
	runtime.KeepAlive(l)
	if answer < 0 {
		return Decision{}, failed(answer)
	}
	return decision(&told), nil
}

// Packed keys lie one after the other in memory that has no pointers, as memory that is lent to C must.
type packed struct {
	data    []byte
	lengths []uint32
}

// The room of the last batches. A batch of huge keys is not kept.
var rooms = sync.Pool{New: func() any { return new(packed) }}

const largestKept = 1 << 16

// pack packs keys; what it returns is to be given back.
func pack(keys []string) (*packed, error) {
	room := rooms.Get().(*packed)
	room.data, room.lengths = room.data[:0], room.lengths[:0]
	for _, key := range keys {
		if len(key) > MaxKeyLen {
			room.giveBack()
			return nil, ErrKeyTooLong
		}
		room.data = append(room.data, key...)
		room.lengths = append(room.lengths, uint32(len(key)))
	}
	return room, nil
}

func (p *packed) giveBack() {
	if cap(p.data) <= largestKept && cap(p.lengths) <= largestKept {
		rooms.Put(p)
	}
}

// TryAcquireMany is [Limiter.TryAcquire] for each key in turn, by one call into the library and one reading of the clock. It writes
// an answer for each key to answers, which must be at least as long as keys, and returns how many passed. All keys are checked
// before any is charged. The same key may be there more than once.
func (l *Limiter) TryAcquireMany(keys []string, cost uint64, answers []bool) (int, error) {
	if len(answers) < len(keys) {
		return 0, invalid("answers", "must be at least as long as keys", len(answers))
	}
	room, err := pack(keys)
	if err != nil {
		return 0, err
	}
	// A bool of Go's is a byte that is 0 or 1, which is what the library writes.
	passed := C.tollbar_try_acquire_packed(
		l.handle, (*C.char)(unsafe.Pointer(unsafe.SliceData(room.data))), C.size_t(len(room.data)),
		(*C.uint32_t)(unsafe.Pointer(unsafe.SliceData(room.lengths))), C.size_t(len(keys)), C.uint64_t(cost),
		(*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(answers))))
	runtime.KeepAlive(l)
	room.giveBack()
	if passed < 0 {
		return 0, failed(passed)
	}
	return int(passed), nil
}

// A Joint is an answer about several keys.
type Joint struct {
	Decision
	// Key is, of a denial, the key that has to wait longest.
	Key string
}

// TryAcquireAll takes cost tokens of each key's account if all of them have them, else none anywhere: all senders, the domain, the
// account. The keys must differ.
func (l *Limiter) TryAcquireAll(keys []string, cost uint64) (Joint, error) {
	return l.TryAcquireAllCosts(keys, cost, nil)
}

// TryAcquireAllCosts is [Limiter.TryAcquireAll] where limits may have a cost of their own, the same for each key.
func (l *Limiter) TryAcquireAllCosts(keys []string, cost uint64, costs Costs) (Joint, error) {
	if len(keys) == 0 {
		return Joint{}, invalid("keys", "must be at least one", "none")
	}
	room, err := pack(keys)
	if err != nil {
		return Joint{}, err
	}
	var told C.tollbar_decision
	var deniedBy C.size_t
	lent := lend(costs)
	answer := C.tollbar_go_all(
		l.handle, (*C.char)(unsafe.Pointer(unsafe.SliceData(room.data))),
		(*C.uint32_t)(unsafe.Pointer(unsafe.SliceData(room.lengths))), C.size_t(len(keys)), C.uint64_t(cost),
		lent.first, lent.count, &told, &deniedBy)
	runtime.KeepAlive(l)
	room.giveBack()
	lent.end()
	if answer == C.TOLLBAR_ERROR_INVALID {
		if twice := doubled(keys); twice || len(costs) == 0 {
			return Joint{}, invalid("keys", "must be different from each other", keys)
		}
		return Joint{}, wrongCosts(costs)
	}
	if answer < 0 {
		return Joint{}, failed(answer)
	}
	joint := Joint{Decision: decision(&told)}
	if answer == 0 && int(deniedBy) < len(keys) {
		joint.Key = keys[deniedBy]
	}
	return joint, nil
}

// doubled says whether a key is there twice.
func doubled(keys []string) bool {
	seen := make(map[string]struct{}, len(keys))
	for _, key := range keys {
		seen[key] = struct{}{}
	}
	return len(seen) < len(keys)
}
