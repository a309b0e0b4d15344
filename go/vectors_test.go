// The shared vectors: the same configuration, times and answers in every language.

package tollbar

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A toldLimit is a limit as the vectors write it.
type toldLimit struct {
	Kind     string  `json:"kind"`
	Name     string  `json:"name"`
	Shadow   bool    `json:"shadow"`
	Limit    uint64  `json:"limit"`
	PerNanos int64   `json:"per_ns"`
	Burst    uint64  `json:"burst"`
	Strict   bool    `json:"strict"`
	Edge     string  `json:"edge"`
	Steps    uint64  `json:"steps"`
	Denials  uint64  `json:"denials"`
	Within   int64   `json:"within_ns"`
	Duration int64   `json:"duration_ns"`
	Factor   float64 `json:"factor"`
}

// A step is one call, and what it answers. What is null or not there in one stays nil.
type step struct {
	Advance     int64   `json:"advance_ns"`
	Call        string  `json:"call"`
	Key         string  `json:"key"`
	Cost        uint64  `json:"cost"`
	Reservation uint64  `json:"reservation"`
	Lease       int64   `json:"lease_ns"`
	Lost        string  `json:"lost"`
	Actual      *uint64 `json:"actual"`
	Ended       *bool   `json:"ended"`
	Allowed     bool    `json:"allowed"`
	Reason      string  `json:"reason"`
	RetryAfter  *int64  `json:"retry_after_ns"`
	Remaining   uint64  `json:"remaining"`
	ResetAfter  *int64  `json:"reset_after_ns"`
	Limit       string  `json:"limit"`
	Shadowed    bool    `json:"shadowed"`
	Costs       Costs   `json:"costs"`
	Actuals     Costs   `json:"actuals"`
	Length      int64   `json:"length_ns"`
	To          uint64  `json:"to"`
	Name        string  `json:"name"`
	DeniedBy    *int    `json:"denied_by"`
}

type vector struct {
	Rate   *toldLimit  `json:"rate"`
	Limits []toldLimit `json:"limits"`
	Steps  []step      `json:"steps"`
}

func (l toldLimit) limit(t *testing.T) Limit {
	per := time.Duration(l.PerNanos)
	switch l.Kind {
	case "rate", "":
		return Rate{Limit: l.Limit, Per: per, Burst: l.Burst, Strict: l.Strict, Name: l.Name, Shadow: l.Shadow}
	case "window":
		closed := l.Edge == "closed"
		return Window{Limit: l.Limit, Per: per, Steps: l.Steps, ClosedEdge: closed, Name: l.Name, Shadow: l.Shadow}
	case "in_flight":
		return InFlight{Limit: l.Limit, Name: l.Name, Shadow: l.Shadow}
	case "closed":
		return Closed{Name: l.Name, Shadow: l.Shadow}
	case "jail":
		within, duration := time.Duration(l.Within), time.Duration(l.Duration)
		return Jail{l.Denials, within, duration, l.Factor, 0, l.Name, l.Shadow}
	}
	t.Fatalf("no such limit: %+v", l)
	return nil
}

func (v vector) policy(t *testing.T) Limit {
	if v.Rate != nil {
		return v.Rate.limit(t)
	}
	var policy Policy
	for _, one := range v.Limits {
		policy = append(policy, one.limit(t))
	}
	return policy
}

// ask makes the call of a step that asks.
func (s step) ask(t *testing.T, limiter *Limiter, open map[uint64]*Reservation) Decision {
	switch s.Call {
	case "peek":
		return ok(limiter.PeekCosts(s.Key, s.Cost, s.Costs))
	case "decide":
		if len(s.Costs) == 0 {
			return ok(limiter.Decide(s.Key, s.Cost))
		}
		return ok(limiter.DecideCosts(s.Key, s.Cost, s.Costs))
	case "all":
		keys := []string{"a", "b"}
		joint := ok(limiter.TryAcquireAllCosts(keys, s.Cost, s.Costs))
		if s.DeniedBy == nil && joint.Key != "" || s.DeniedBy != nil && joint.Key != keys[*s.DeniedBy] {
			t.Fatalf("%+v, not %+v", joint, s)
		}
		return joint.Decision
	case "reserve":
		terms := []Term{Lease(time.Duration(s.Lease)), WithCosts(s.Costs)}
		if s.Lost == "returned" {
			terms = append(terms, GiveBack())
		}
		reservation, told, err := limiter.Reserve(s.Key, s.Cost, terms...)
		if err != nil || told.Allowed != (reservation != nil) {
			t.Fatal(told, err)
		}
		open[s.Reservation] = reservation
		return told
	}
	t.Fatalf("no such call: %+v", s)
	return Decision{}
}

// end makes the call of a step that ends a reservation.
func (s step) end(t *testing.T, open map[uint64]*Reservation) bool {
	one := open[s.Reservation]
	switch {
	case one == nil:
		return false
	case s.Call == "cancel":
		return one.Cancel()
	case len(s.Actuals) > 0:
		return ok(one.CommitActuals(*s.Actual, s.Actuals))
	case s.Actual == nil:
		return one.Commit()
	}
	return one.CommitActual(*s.Actual)
}

// act is the call of a step that does not ask for a cost; nil if it asks.
func (s step) act(t *testing.T, limiter *Limiter, open map[uint64]*Reservation) func() bool {
	switch s.Call {
	case "commit", "cancel":
		return func() bool { return s.end(t, open) }
	case "block":
		return func() bool { return ok(limiter.Block(s.Key, time.Duration(s.Length))) }
	case "drain":
		return func() bool { return ok(limiter.Drain(s.Key, s.To, s.Name)) }
	}
	return nil
}

func (v vector) run(t *testing.T) {
	limiter, clock := made(t, v.policy(t))
	open := map[uint64]*Reservation{}
	for number, s := range v.Steps {
		clock.Advance(time.Duration(s.Advance))
		if do := s.act(t, limiter, open); do != nil {
			if got := do(); s.Ended == nil || got != *s.Ended {
				t.Fatalf("step %d, %+v: %v", number, s, got)
			}
			continue
		}
		got := s.ask(t, limiter, open)
		want := Decision{
			Allowed: s.Allowed, Shadowed: s.Shadowed, RetryAfter: Never, ResetAfter: got.ResetAfter,
			Reason: got.Reason, Remaining: s.Remaining, Limit: s.Limit, Estimated: got.Estimated,
		}
		if s.RetryAfter != nil {
			want.RetryAfter = time.Duration(*s.RetryAfter)
		}
		if v.Rate != nil {
			// Of a single rate the vectors do not tell the name.
			want.Limit = got.Limit
			want.ResetAfter = time.Duration(*s.ResetAfter)
		}
		if got != want || got.Reason.String() != s.Reason {
			t.Fatalf("step %d: %+v, not %+v", number, got, s)
		}
	}
}

func TestVectors(t *testing.T) {
	for name, atLeast := range map[string]int{"rate.json": 400, "limits.json": 1400} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("..", "tests", "vectors", name))
			if err != nil {
				t.Fatal(err)
			}
			var vectors []vector
			read := json.NewDecoder(bytes.NewReader(text))
			read.DisallowUnknownFields()
			if err := read.Decode(&vectors); err != nil {
				t.Fatal(err)
			}
			steps := 0
			for _, one := range vectors {
				one.run(t)
				steps += len(one.Steps)
			}
			if steps < atLeast {
				t.Fatalf("%d steps are too few", steps)
			}
		})
	}
}
