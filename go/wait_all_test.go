// Waiting for several keys: taken at one moment, in one order in all lines, ended by contexts.

package tollbar

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

func left(t testing.TB, limiter *Limiter, key string) uint64 {
	t.Helper()
	return ok(limiter.Peek(key, 0)).Remaining
}

func TestSetsInOppositeOrdersComeInTheOrderOfArrival(t *testing.T) {
	limiter, clock := made(t, Rate{Limit: 1, Per: time.Second, Burst: 1})
	sets := [][]string{{"x", "y"}, {"y", "z"}, {"z", "x"}, {"y", "x"}, {"x", "y", "z"}}
	if err := limiter.AcquireAll(background, []string{"z", "y", "x"}, 1); err != nil {
		t.Fatal(err)
	}
	come := make(chan int, len(sets))
	for number, keys := range sets {
		number, keys := number, keys
		go func() {
			if err := limiter.AcquireAll(background, keys, 1); err != nil {
				t.Error(err)
			}
			come <- number
		}()
		soon(t, "one more waits", func() bool { return theTower.waiting() == number+1 })
	}
	for number := range sets {
		clock.Advance(time.Second)
		if got := <-come; got != number {
			t.Fatalf("number %d comes instead of %d", got, number)
		}
	}
	nobodyWaits(t)
}

func TestNothingIsTakenBeforeAllKeysLetItPass(t *testing.T) {
	limiter, clock := made(t, Rate{Limit: 2, Per: 2 * time.Second, Burst: 2})
	ok(limiter.TryAcquire("y", 2))
	come := make(chan error)
	go func() { come <- limiter.AcquireAll(background, []string{"x", "y"}, 2) }()
	soon(t, "it waits", func() bool { return theTower.waiting() == 1 && !ok(limiter.TryAcquire("x", 1)) })
	clock.Advance(time.Second)
	if now := left(t, limiter, "x"); now != 2 {
		t.Fatal("taken too early", now)
	}
	clock.Advance(time.Second)
	if err := <-come; err != nil {
		t.Fatal(err)
	}
	if x, y := left(t, limiter, "x"), left(t, limiter, "y"); x != 0 || y != 0 {
		t.Fatal(x, y)
	}
}

func TestWhoIsCancelledLeavesAllLines(t *testing.T) {
	limiter, _ := made(t, Rate{Limit: 1, Per: time.Hour, Burst: 1})
	ok(limiter.TryAcquire("x", 1))
	first, leave := context.WithCancel(background)
	come := make(chan error)
	go func() { come <- limiter.AcquireAll(first, []string{"x", "y"}, 1) }()
	soon(t, "it waits", func() bool { return theTower.waiting() == 1 && !ok(limiter.Peek("y", 1)).Allowed })
	behind := make(chan error)
	go func() { behind <- limiter.Acquire(background, "y", 1) }()
	soon(t, "another waits behind it", func() bool { return theTower.waiting() == 2 })
	leave()
	if err := <-come; err != context.Canceled {
		t.Fatal(err)
	}
	if err := <-behind; err != nil {
		t.Fatal("y was free", err)
	}
	nobodyWaits(t)
}

func TestWhatIsWrongWithSeveralKeysIsToldAtOnce(t *testing.T) {
	limiter, _ := made(t, Rate{Limit: 2, Per: 2 * time.Second, Burst: 2})
	soonOver, cancel := context.WithTimeout(background, time.Hour)
	defer cancel()
	ok(limiter.Block("y", 2*time.Hour))
	var late *TooLateError
	err := limiter.AcquireAll(soonOver, []string{"x", "y"}, 1)
	if !errors.As(err, &late) || late.Key != "y" || late.RetryAfter != 2*time.Hour || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if !strings.Contains(err.Error(), `the turn of key "y" would come too late, after 2h0m0s`) {
		t.Fatal(err)
	}
	err = limiter.AcquireAll(background, []string{"x", "z"}, 3)
	if !errors.Is(err, ErrNever) || !strings.Contains(err.Error(), `"x"`) || ok(limiter.Contains("z")) {
		t.Fatal(err)
	}
	many := make([]string, 20)
	for at := range many {
		many[at] = strings.Repeat("k", at)
	}
	if err := limiter.AcquireAll(background, many, 1, Priority(3)); err != nil {
		t.Fatal("more keys than the stack has room for", err)
	}
	over, cancel := context.WithDeadline(background, time.Unix(1, 0))
	defer cancel()
	for _, wrong := range []struct {
		ctx  context.Context
		keys []string
		with []Term
		want error
	}{
		{background, nil, nil, ErrInvalid},
		{background, []string{"x", "x"}, nil, ErrInvalid},
		{background, []string{"x", strings.Repeat("k", MaxKeyLen+1)}, nil, ErrKeyTooLong},
		{background, []string{"x"}, []Term{Lease(time.Hour)}, ErrInvalid},
		{background, []string{"x"}, []Term{WithCosts(Costs{"no such limit": 1})}, ErrInvalid},
		{over, []string{"x"}, nil, context.DeadlineExceeded},
	} {
		if err := limiter.AcquireAll(wrong.ctx, wrong.keys, 1, wrong.with...); !errors.Is(err, wrong.want) {
			t.Error(err, wrong.want)
		}
	}
	if now := left(t, limiter, "x"); now != 2 || theTower.waiting() != 0 {
		t.Fatal("something was taken, or stands in line", now)
	}
}

func TestGoroutinesWithOverlappingSetsAllComeThrough(t *testing.T) {
	limiter, err := New(Rate{Limit: 1_000_000, Per: time.Second, Burst: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer limiter.Close()
	var all sync.WaitGroup
	for _, keys := range [][]string{{"x", "y", "z"}, {"z", "y", "x"}, {"y", "x"}, {"x", "z"}, {"z"}, {"x"}} {
		keys := keys
		all.Add(1)
		go func() {
			defer all.Done()
			for turn := 0; turn < 50; turn++ {
				if err := limiter.AcquireAll(background, keys, 1); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	nobodyWaits(t)
	if totals := ok(limiter.Stats()); totals.Allowed != 300 || totals.Denied != 0 {
		t.Errorf("%+v", totals)
	}
}
