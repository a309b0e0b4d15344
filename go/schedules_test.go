// Random schedules: goroutines that wait, are cancelled and closed at any moment. No token is lost, none is minted.

package tollbar

import (
	"context"
	"errors"
	"math/rand"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A schedule is a few waiters of one key, cancelled while their turns come.
func schedule(t *testing.T, random *rand.Rand) {
	const total = 12
	limiter, clock := made(t, Policy{
		// Decides when a turn comes.
		Window{Limit: 2, Per: time.Second, Name: "pace"},
		// Remembers for good what was taken.
		Window{Limit: total, Per: 10_000 * time.Hour, Name: "count"},
	})
	ok(limiter.TryAcquire("a", 2))
	taken := int64(2)
	var all sync.WaitGroup
	leave := make([]context.CancelFunc, 1+random.Intn(5))
	for number := range leave {
		var ctx context.Context
		ctx, leave[number] = context.WithCancel(background)
		cost, slot := uint64(1+random.Intn(2)), random.Intn(3) == 0
		all.Add(1)
		go func() {
			defer all.Done()
			var err error
			if slot {
				var held *Reservation
				if held, err = limiter.Slot(ctx, "a", cost); err == nil && !held.Commit() {
					t.Error("what was granted is held")
				}
			} else {
				err = limiter.Acquire(ctx, "a", cost)
			}
			switch {
			case err == nil:
				atomic.AddInt64(&taken, int64(cost))
			case err != context.Canceled:
				t.Error(err)
			}
		}()
	}
	if random.Intn(2) == 0 {
		soon(t, "all wait", func() bool { return theTower.waiting() == len(leave) })
	}
	for moves := random.Intn(8); moves > 0; moves-- {
		who := random.Intn(len(leave))
		switch random.Intn(4) {
		case 0:
			leave[who]()
		case 1: // at the very moment of a grant
			all.Add(1)
			go func() {
				defer all.Done()
				leave[who]()
			}()
			clock.Advance(time.Second)
		case 2:
			clock.Advance(time.Duration(random.Intn(1_500)) * time.Millisecond)
		case 3:
			runtime.Gosched()
		}
	}
	for _, cancel := range leave {
		cancel()
	}
	all.Wait()
	for {
		clock.Advance(time.Second)
		told := ok(limiter.Decide("a", 1))
		if !told.Allowed {
			if told.Limit != "count" {
				t.Fatalf("somebody who left is still in the way: %+v", told)
			}
			break
		}
		taken++
	}
	if taken != total {
		t.Fatalf("%d of %d tokens were taken", taken, total)
	}
	limiter.Close()
	clock.Close()
}

// HAZARD incident-refund
func TestNoTokenIsLostOrMintedByThoseWhoLeave(t *testing.T) {
	schedules := 10_000
	if testing.Short() {
		schedules = 1_000
	}
	for seed := 0; seed < schedules; seed++ {
		if schedule(t, rand.New(rand.NewSource(int64(seed)))); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	nobodyWaits(t)
}

// HAZARD race-k-tokens
func TestNeverMoreThanTheLimitFromManyGoroutines(t *testing.T) {
	limiter, clock := made(t, Rate{Limit: 1_000, Per: time.Second})
	bucket := ok(limiter.Bucket("a"))
	defer bucket.Close()
	for round, want := range []int64{1_000, 500} {
		var passed atomic.Int64
		var all sync.WaitGroup
		for number := 0; number < 16; number++ {
			number := number
			all.Add(1)
			go func() {
				defer all.Done()
				keys, answers := []string{"a", "a", "a"}, make([]bool, 3)
				for try := 0; try < 200; try++ {
					switch number % 4 {
					case 0:
						if ok(limiter.TryAcquire("a", 1)) {
							passed.Add(1)
						}
					case 1:
						if ok(bucket.TryAcquire(1)) {
							passed.Add(1)
						}
					case 2:
						passed.Add(int64(ok(limiter.TryAcquireMany(keys, 1, answers))))
					case 3:
						if ok(limiter.TryAcquireAll([]string{"a", strconv.Itoa(try)}, 1)).Allowed {
							passed.Add(1)
						}
					}
				}
			}()
		}
		all.Wait()
		if passed.Load() != want {
			t.Fatalf("round %d: %d passed, not %d", round, passed.Load(), want)
		}
		clock.Advance(500 * time.Millisecond)
	}
}

// HAZARD c-handles
func TestCloseWhileOthersCall(t *testing.T) {
	for round := 0; round < 200; round++ {
		limiter, clock := made(t, Rate{Limit: 1_000_000, Per: time.Second})
		bucket := ok(limiter.Bucket("bucket"))
		var all sync.WaitGroup
		calls := []func() error{
			func() error { _, err := limiter.TryAcquire("a", 1); return err },
			func() error { _, err := limiter.Decide("a", 1); return err },
			func() error { _, err := limiter.TryAcquireMany([]string{"a", "b"}, 1, make([]bool, 2)); return err },
			func() error { return limiter.Acquire(background, "a", 1) },
			func() error { _, err := bucket.TryAcquire(1); return err },
			func() error {
				held, _, err := limiter.Reserve("a", 1)
				if err == nil {
					held.Cancel()
				}
				return err
			},
		}
		for _, call := range calls {
			call := call
			all.Add(1)
			go func() {
				defer all.Done()
				for {
					if err := call(); err != nil {
						if !errors.Is(err, ErrClosed) {
							t.Error(err)
						}
						return
					}
				}
			}()
		}
		for _, closer := range []func() error{limiter.Close, limiter.Close, bucket.Close, bucket.Close, clock.Close} {
			closer := closer
			all.Add(1)
			go func() {
				defer all.Done()
				closer()
			}()
		}
		all.Wait()
	}
}

func TestWhatIsForgottenIsEndedAndNothingElse(t *testing.T) {
	limiter, _ := made(t, InFlight{Limit: 1_000_000})
	for number := 0; number < 1_000; number++ {
		if held, _, err := limiter.Reserve("a", 1); held == nil || err != nil {
			t.Fatal(err)
		}
		if number%10 == 0 {
			// Collected while its call runs, were it not kept alive.
			if !ok(ok(New(Rate{Limit: 1, Per: time.Hour})).TryAcquire("a", 1)) {
				t.Fatal("a fresh limiter lets one pass")
			}
			if !ok(ok(limiter.Bucket("b")).TryAcquire(1)) {
				t.Fatal("a bucket lives while it is asked")
			}
			runtime.GC()
		}
	}
	soon(t, "what was reserved and forgotten is given back", func() bool {
		runtime.GC()
		return ok(limiter.Peek("a", 0)).Remaining == 1_000_000
	})
	for _, call := range []func() error{
		func() error { _, err := new(Limiter).TryAcquire("a", 1); return err },
		func() error { _, err := new(Limiter).WithPolicy(InFlight{Limit: 1}); return err },
		func() error { _, err := new(Bucket).TryAcquire(1); return err },
		func() error { return new(Limiter).Acquire(background, "a", 1) },
	} {
		if err := call(); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
}
