// Limits as values, and how they become the library's policies.

package tollbar

// #include <tollbar.h>
import "C"

import (
	"fmt"
	"strings"
	"time"
	"unsafe"
)

// A Limit is one rule ([Rate], [Window], [Calendar], [InFlight], [Jail], [Closed]) or a [Policy] of several.
type Limit interface {
	// add puts it behind what a policy has already.
	add(draft *draft)
}

// A Policy is several limits, at most 16, that are charged together or not at all. Their names differ.
type Policy []Limit

// A Rate is a token bucket: Limit tokens flow in per Per, and as many pass at once unless Burst is another number. So up to
// Limit+Burst-1 pass in some periods; Strict never lets more than Limit through in any, and pays for it with a slower refill.
//
// These bounds count by the clock readings that decide. A yes may be decided by a reading up to one tick old (10 ms at most,
// typically 4 ms or 1 ms), so in real time, with a token in every T, a window of w admits at most Burst + (w + tick) / T, and a
// strict Per at most Limit + tick / T.
type Rate struct {
	Limit  uint64
	Per    time.Duration
	Burst  uint64 // the most that passes at once; 0: Limit, or a tenth of it if Strict
	Strict bool
	Name   string // as decisions name it; "": "100 per 60 s"
	Shadow bool   // counts what it would have denied, and denies nothing
}

// A Window is an exact sliding window: at most Limit in any Per, and Limit at most 2^53. It remembers each request in at most 18
// bytes, whatever its cost, once there are 1,000 of them; with Steps it counts in so many steps, in
// memory that does not grow with Limit, as exactly, but room comes back up to a step late.
type Window struct {
	Limit      uint64
	Per        time.Duration
	Steps      uint64 // 0: each request is remembered
	ClosedEdge bool   // a request counts still when it is exactly as old as the window is wide
	Name       string // as decisions name it; "": "100 in 60 s"
	Shadow     bool   // counts what it would have denied, and denies nothing
}

// An InFlight limits what is reserved and has not ended. A request that reserves nothing needs a free place, but holds none.
type InFlight struct {
	Limit  uint64
	Name   string // as decisions name it; "": "5 in flight"
	Shadow bool   // counts what it would have denied, and denies nothing
}

// A Jail is a timeout for a key that the limits beside it deny too often: Denials times within Within. With Factor, each timeout in a
// row is that many times as long as the one before, up to Longest.
type Jail struct {
	Denials  uint64
	Within   time.Duration
	Duration time.Duration
	Factor   float64       // 0: all timeouts are equally long
	Longest  time.Duration // 0: 4.5 years; means nothing without Factor
	Name     string        // as decisions name it; "": "jail"
	Shadow   bool          // counts what it would have denied, and denies nothing
}

// A Closed limit lets nothing pass, ever: a key that may not send. A cost of 0 passes.
type Closed struct {
	Name   string // as decisions name it; "": "closed"
	Shadow bool   // counts what it would have denied, and denies nothing
}

// A draft is a policy that is being put together. After the first mistake nothing more happens.
type draft struct {
	policy C.tollbar_policy
	note   note
	number int
	err    error
}

// build makes a policy, to be freed by the caller.
func build(limit Limit) (C.tollbar_policy, error) {
	var made draft
	if status := C.tollbar_policy_new(&made.policy); status < 0 {
		return C.tollbar_policy{}, failed(status)
	}
	if limit != nil {
		limit.add(&made)
	}
	if made.err == nil && made.number == 0 {
		made.err = invalid("policy", "must have a limit", "empty")
	}
	if made.err != nil {
		C.tollbar_policy_free(made.policy)
		return C.tollbar_policy{}, made.err
	}
	return made.policy, nil
}

// do notes what came of a step, and which limit it was about.
func (d *draft) do(status C.int32_t) {
	if d.err == nil {
		d.fail(d.note.told(status))
	}
}

func (d *draft) fail(err error) {
	if wrong, ok := err.(*failure); ok && d.err == nil {
		text := strings.TrimPrefix(wrong.text, "tollbar: ")
		d.err = &failure{wrong.status, fmt.Sprintf("limit %d: %s", d.number, text)}
	}
}

// nanos is a duration as the library counts them.
func (d *draft) nanos(argument string, duration time.Duration) C.uint64_t {
	if duration < 0 {
		d.fail(invalid(argument, "must not be negative", duration))
		return 0
	}
	return C.uint64_t(duration)
}

func (d *draft) set(what C.int32_t, value uint64) {
	if d.err == nil {
		d.do(C.tollbar_policy_set(d.policy, what, C.uint64_t(value), &d.note[0], C.size_t(len(d.note))))
	}
}

// finish says what every kind of limit can have.
func (d *draft) finish(name string, shadow bool) {
	if d.err == nil && name != "" {
		text := (*C.char)(unsafe.Pointer(unsafe.StringData(name)))
		d.do(C.tollbar_policy_set_name(d.policy, text, C.size_t(len(name)), &d.note[0], C.size_t(len(d.note))))
	}
	if shadow {
		d.set(C.TOLLBAR_SET_SHADOW, 1)
	}
}

func (p Policy) add(d *draft) {
	for _, limit := range p {
		if limit == nil {
			d.number++
			d.fail(invalid("limit", "must be one", "nil"))
			return
		}
		limit.add(d)
	}
}

func (r Rate) add(d *draft) {
	d.number++
	if per := d.nanos("Per", r.Per); d.err == nil {
		d.do(C.tollbar_policy_add_rate(d.policy, C.uint64_t(r.Limit), per, &d.note[0], C.size_t(len(d.note))))
	}
	if r.Burst != 0 {
		d.set(C.TOLLBAR_SET_BURST, r.Burst)
	}
	if r.Strict {
		d.set(C.TOLLBAR_SET_STRICT, 1)
	}
	d.finish(r.Name, r.Shadow)
}

func (w Window) add(d *draft) {
	d.number++
	if per := d.nanos("Per", w.Per); d.err == nil {
		d.do(C.tollbar_policy_add_window(d.policy, C.uint64_t(w.Limit), per, &d.note[0], C.size_t(len(d.note))))
	}
	if w.Steps != 0 {
		d.set(C.TOLLBAR_SET_STEPS, w.Steps)
	}
	if w.ClosedEdge {
		d.set(C.TOLLBAR_SET_CLOSED_EDGE, 1)
	}
	d.finish(w.Name, w.Shadow)
}

func (f InFlight) add(d *draft) {
	d.number++
	if d.err == nil {
		d.do(C.tollbar_policy_add_in_flight(d.policy, C.uint64_t(f.Limit), &d.note[0], C.size_t(len(d.note))))
	}
	d.finish(f.Name, f.Shadow)
}

func (c Closed) add(d *draft) {
	d.number++
	if d.err == nil {
		d.do(C.tollbar_policy_add_closed(d.policy, &d.note[0], C.size_t(len(d.note))))
	}
	d.finish(c.Name, c.Shadow)
}

func (j Jail) add(d *draft) {
	d.number++
	within, duration, longest := d.nanos("Within", j.Within), d.nanos("Duration", j.Duration), d.nanos("Longest", j.Longest)
	if d.err == nil {
		size := C.size_t(len(d.note))
		d.do(C.tollbar_policy_add_jail(d.policy, C.uint64_t(j.Denials), within, duration, &d.note[0], size))
	}
	if longest == 0 {
		longest = C.TOLLBAR_NEVER
	}
	if d.err == nil && j.Factor != 0 {
		size := C.size_t(len(d.note))
		d.do(C.tollbar_policy_set_escalation(d.policy, C.double(j.Factor), longest, &d.note[0], size))
	}
	d.finish(j.Name, j.Shadow)
}
