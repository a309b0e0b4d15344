// Costs by limit, leases, limits that change, blocks, drains, what limits count, and keys by part.

package tollbar

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// tariff is 10 requests and 1,000 tokens a minute.
var tariff = Policy{
	Window{Limit: 10, Per: time.Minute, Name: "requests"},
	Window{Limit: 1000, Per: time.Minute, Name: "tokens"},
}

// uses checks what a key of the tariff has used.
func uses(t *testing.T, limiter *Limiter, key string, requests, tokens uint64) {
	t.Helper()
	states := ok(limiter.Inspect(key, 1, nil))
	if len(states) != 2 || states[0].Used != requests || states[1].Used != tokens {
		t.Fatalf("%+v, not %d and %d", states, requests, tokens)
	}
}

func TestLimitsHaveCostsOfTheirOwn(t *testing.T) {
	limiter, _ := made(t, tariff)
	some := Costs{"tokens": 400}
	if told := ok(limiter.PeekCosts("a", 1, some)); !told.Allowed || ok(limiter.Contains("a")) {
		t.Fatalf("%+v", told)
	}
	if !ok(limiter.TryAcquireCosts("a", 1, some)) || !ok(limiter.TryAcquireCosts("a", 2, nil)) {
		t.Fatal("there was room")
	}
	uses(t, limiter, "a", 3, 402)
	told := ok(limiter.DecideCosts("a", 1, Costs{"tokens": 599, "requests": 7}))
	if told.Allowed || told.Limit != "tokens" || told.RetryAfter != time.Minute {
		t.Fatalf("%+v", told)
	}
	joint := ok(limiter.TryAcquireAllCosts([]string{"b", "a"}, 1, Costs{"tokens": 600}))
	if joint.Allowed || joint.Key != "a" {
		t.Fatalf("%+v", joint)
	}
	if joint = ok(limiter.TryAcquireAllCosts([]string{"b", "a"}, 1, Costs{"tokens": 8})); !joint.Allowed {
		t.Fatalf("%+v", joint)
	}
	uses(t, limiter, "a", 4, 410)
	uses(t, limiter, "b", 1, 8)
	if err := limiter.Acquire(background, "a", 1, WithCosts(some)); err != nil {
		t.Fatal(err)
	}
	uses(t, limiter, "a", 5, 810)
	slot := ok(limiter.Slot(background, "a", 1, WithCosts(Costs{"tokens": 100})))
	uses(t, limiter, "a", 6, 910)
	if !slot.Cancel() {
		t.Fatal("it was open")
	}
	uses(t, limiter, "a", 5, 810)
}

func TestACommitHasActualCosts(t *testing.T) {
	limiter, _ := made(t, tariff)
	reserved, _, err := limiter.Reserve("a", 1, WithCosts(Costs{"tokens": 400}))
	if err != nil {
		t.Fatal(err)
	}
	uses(t, limiter, "a", 1, 400)
	if _, err := reserved.CommitActuals(1, Costs{"words": 1}); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	uses(t, limiter, "a", 1, 400)
	if !ok(reserved.CommitActuals(1, Costs{"tokens": 30})) || ok(reserved.CommitActuals(1, nil)) || reserved.Commit() {
		t.Fatal("a reservation ends once")
	}
	uses(t, limiter, "a", 1, 30)
	var none *Reservation
	if ok(none.CommitActuals(1, nil)) || ok(none.Renew(time.Second)) {
		t.Fatal("there is nothing to end")
	}
}

func TestUnknownNamesAreRefusedEverywhere(t *testing.T) {
	limiter, _ := made(t, tariff)
	for _, wrong := range []Costs{{"words": 1}, {"": 1}, {"\xff": 1}, {"tokens": 1, "token": 1}} {
		for name, call := range map[string]func() error{
			"TryAcquireCosts":    func() error { _, err := limiter.TryAcquireCosts("a", 1, wrong); return err },
			"DecideCosts":        func() error { _, err := limiter.DecideCosts("a", 1, wrong); return err },
			"PeekCosts":          func() error { _, err := limiter.PeekCosts("a", 1, wrong); return err },
			"Inspect":            func() error { _, err := limiter.Inspect("a", 1, wrong); return err },
			"TryAcquireAllCosts": func() error { _, err := limiter.TryAcquireAllCosts([]string{"a"}, 1, wrong); return err },
			"Reserve":            func() error { _, _, err := limiter.Reserve("a", 1, WithCosts(wrong)); return err },
			"Acquire":            func() error { return limiter.Acquire(background, "a", 1, WithCosts(wrong)) },
			"Slot":               func() error { _, err := limiter.Slot(background, "a", 1, WithCosts(wrong)); return err },
		} {
			if err := call(); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s, %v: %v", name, wrong, err)
			}
		}
	}
	if ok(limiter.Contains("a")) {
		t.Error("something was made")
	}
}

// A waiter is charged the costs that it joined with, though the caller's map has changed since.
func TestAWaiterKeepsItsCosts(t *testing.T) {
	limiter, clock := made(t, tariff)
	if !ok(limiter.TryAcquireCosts("a", 1, Costs{"tokens": 900})) {
		t.Fatal("there was room")
	}
	costs, done := Costs{"tokens": 300}, make(chan error)
	go func() { done <- limiter.Acquire(background, "a", 1, WithCosts(costs)) }()
	soon(t, "it waits", func() bool { return theTower.waiting() == 1 })
	delete(costs, "tokens")
	clock.Advance(time.Minute)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	uses(t, limiter, "a", 1, 300)
}

func TestWithoutALeaseAReservationHasNoEnd(t *testing.T) {
	limiter, clock := made(t, InFlight{Limit: 1})
	for name, open := range map[string]func() *Reservation{
		"Reserve": func() *Reservation { one, _, _ := limiter.Reserve("a", 1); return one },
		"Never":   func() *Reservation { one, _, _ := limiter.Reserve("a", 1, Lease(Never)); return one },
		"Slot":    func() *Reservation { return ok(limiter.Slot(background, "a", 1)) },
		"Renew": func() *Reservation {
			one, _, _ := limiter.Reserve("a", 1, Lease(time.Second))
			if !ok(one.Renew(Never)) {
				t.Error("it was open")
			}
			return one
		},
	} {
		one := open()
		clock.Advance(1000 * time.Hour)
		if told := ok(limiter.Decide("a", 1)); told.Reason != ReasonInFlight || told.RetryAfter != Never {
			t.Errorf("%s: %+v", name, told)
		}
		if !one.Cancel() {
			t.Errorf("%s has ended by itself", name)
		}
	}
}

func TestALeaseBeginsAnew(t *testing.T) {
	limiter, clock := made(t, InFlight{Limit: 1})
	one, _, err := limiter.Reserve("a", 1, Lease(10*time.Second), GiveBack())
	if err != nil {
		t.Fatal(err)
	}
	clock.Advance(9 * time.Second)
	if !ok(one.Renew(10 * time.Second)) {
		t.Fatal("it was open")
	}
	clock.Advance(9 * time.Second)
	if told := ok(limiter.Decide("a", 1)); told.RetryAfter != time.Second || !told.Estimated {
		t.Fatalf("%+v", told)
	}
	for _, wrong := range []time.Duration{0, -1, Never - 1} {
		if _, err := one.Renew(wrong); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	clock.Advance(time.Second)
	if ok(one.Renew(time.Second)) || one.Cancel() || ok(one.Renew(time.Second)) {
		t.Fatal("its lease is over")
	}
}

// What can never pass is told from what is too late, and from what is too late after a time that is not known.
func TestNeverIsNoMatterOfADeadline(t *testing.T) {
	limiter, _ := made(t, InFlight{Limit: 1})
	held := ok(limiter.Slot(background, "a", 1))
	defer held.Cancel()
	ctx, cancel := context.WithDeadline(background, time.Now().Add(time.Hour))
	defer cancel()
	err := limiter.Acquire(ctx, "a", 2)
	if !errors.Is(err, ErrNever) || errors.Is(err, ErrTooLate) || errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if _, err = limiter.Slot(background, "a", 2); !errors.Is(err, ErrNever) {
		t.Fatal(err)
	}
	full, _ := made(t, Rate{Limit: 1, Per: time.Hour}, MaxKeys(1))
	bucket := ok(full.Bucket("a"))
	defer bucket.Close()
	var late *TooLateError
	if err = full.Acquire(background, "b", 1); !errors.As(err, &late) || late.RetryAfter != Never || errors.Is(err, ErrNever) {
		t.Fatal(err)
	}
	shut, _ := made(t, Closed{Name: "shut"})
	if told := ok(shut.Decide("a", 1)); told.Reason != ReasonClosed || told.RetryAfter != Never || told.Limit != "shut" {
		t.Fatalf("%+v", told)
	}
	if err = shut.Acquire(ctx, "a", 1); !errors.Is(err, ErrNever) {
		t.Fatal(err)
	}
}

func TestLimitsOfAllKeysAndOfOne(t *testing.T) {
	limiter, _ := made(t, Rate{Limit: 10, Per: time.Hour}, MaxKeys(2))
	left := func(key string) uint64 { return ok(limiter.Peek(key, 0)).Remaining }
	ok(limiter.TryAcquire("a", 4))
	if ok(limiter.Reconfigure("b", Rate{Limit: 5, Per: time.Hour}, AsIs)) || left("b") != 5 {
		t.Fatal("its limits wait for it", left("b"))
	}
	if err := limiter.SetLimits(Rate{Limit: 20, Per: time.Hour}, AsIs); err != nil {
		t.Fatal(err)
	}
	if left("a") != 16 || left("b") != 5 || left("c") != 20 {
		t.Fatal(left("a"), left("b"), left("c"))
	}
	if totals := ok(limiter.Stats()); totals.OwnLimits != 1 {
		t.Fatalf("%+v", totals)
	}
	if ok(limiter.FollowDefault("b", AsIs)) || left("b") != 20 {
		t.Fatal(left("b"))
	}
	for _, key := range []string{"c", "d"} {
		ok(limiter.Reconfigure(key, Rate{Limit: 1, Per: time.Hour}, AsIs))
	}
	if _, err := limiter.Reconfigure("e", Rate{Limit: 1, Per: time.Hour}, AsIs); !errors.Is(err, ErrTooManyOwnLimits) {
		t.Fatal(err)
	}
	if _, err := limiter.FollowDefault("c", 9); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	if err := limiter.SetLimits(nil, AsIs); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	if err := limiter.SetLimits(Rate{Limit: 1, Per: time.Hour}, 9); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
}

func TestBlockAndDrain(t *testing.T) {
	limiter, clock := made(t, tariff)
	if !ok(limiter.Block("a", 5*time.Second)) {
		t.Fatal("there is a place for it")
	}
	if told := ok(limiter.Decide("a", 1)); told.Reason != ReasonBlocked || told.RetryAfter != 5*time.Second {
		t.Fatalf("%+v", told)
	}
	if states := ok(limiter.Inspect("a", 1, nil)); len(states) != 3 || states[2].Kind != ReasonBlocked {
		t.Fatalf("%+v", states)
	}
	clock.Advance(5 * time.Second)
	if !ok(limiter.TryAcquire("a", 1)) || !ok(limiter.Block("a", time.Hour)) || !ok(limiter.Release("a")) {
		t.Fatal("a block ends")
	}
	if !ok(limiter.Drain("a", 7, "requests")) || ok(limiter.Drain("a", 7, "requests")) {
		t.Fatal("it had more once")
	}
	uses(t, limiter, "a", 3, 1)
	if !ok(limiter.Drain("a", 4, "")) {
		t.Fatal("both had more")
	}
	uses(t, limiter, "a", 6, 996)
	if _, err := limiter.Drain("a", 0, "words"); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	for _, wrong := range []time.Duration{-1, Never} {
		if _, err := limiter.Block("a", wrong); !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	}
	uses(t, limiter, "a", 6, 996)
}

func TestInspectTellsEachLimit(t *testing.T) {
	limiter, _ := made(t, tariff)
	ok(limiter.TryAcquireCosts("a", 3, Costs{"tokens": 400}))
	got := ok(limiter.Inspect("a", 8, Costs{"tokens": 1001}))
	want := []LimitState{
		{"requests", ReasonWindow, 10, 3, 7, time.Minute, time.Minute, false, true, false},
		{"tokens", ReasonWindow, 1000, 400, 600, time.Minute, Never, false, false, false},
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Fatalf("%+v", got)
	}
	if ok(limiter.Inspect("b", 1, nil)); ok(limiter.Contains("b")) {
		t.Fatal("a question has made an account")
	}
}

func TestKeysMeetsEachOnce(t *testing.T) {
	limiter, _ := made(t, Rate{Limit: 1, Per: time.Hour})
	want := map[string]int{"": 1, "a\x00b": 1}
	for number := 0; number < 2000; number++ {
		want[fmt.Sprintf("%*d", 1+number%50, number)] = 1
	}
	for key := range want {
		ok(limiter.TryAcquire(key, 1))
	}
	met := map[string]int{}
	limiter.Keys()(func(key string, err error) bool {
		if err != nil {
			t.Fatal(err)
		}
		met[key]++
		return true
	})
	for key := range want {
		if met[key] != 1 {
			t.Fatalf("%q was met %d times", key, met[key])
		}
	}
	if len(met) != len(want) {
		t.Fatal(len(met), len(want))
	}
	some := 0
	limiter.Keys()(func(string, error) bool { some++; return some < 5 })
	if some != 5 {
		t.Fatal("it goes on", some)
	}
	limiter.Close()
	var last error
	limiter.Keys()(func(_ string, err error) bool { last = err; return true })
	if !errors.Is(last, ErrClosed) {
		t.Fatal(last)
	}
}
