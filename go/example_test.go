// Examples, which the documentation shows and the tests run.

package tollbar_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	tollbar "github.com/tollbar/tollbar/go"
)

func Example() {
	limiter, err := tollbar.New(tollbar.Rate{Limit: 2, Per: time.Hour}, tollbar.MaxKeys(100_000))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	for i := 0; i < 3; i++ {
		allowed, err := limiter.TryAcquire("someone@example.org", 1)
		fmt.Println(allowed, err)
	}
	// Output:
	// true <nil>
	// true <nil>
	// false <nil>
}

func ExampleLimiter_Decide() {
	clock := tollbar.NewManualClock() // time moves by hand, as in a test
	limiter, err := tollbar.New(tollbar.Policy{
		tollbar.Window{Limit: 3, Per: time.Minute, Name: "a minute"},
		tollbar.Window{Limit: 1000, Per: 24 * time.Hour, Steps: 24, Name: "a day"},
		tollbar.InFlight{Limit: 2, Name: "lanes"},
	}, tollbar.WithClock(clock))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	for i := 0; i < 4; i++ {
		decision, _ := limiter.Decide("a", 1)
		fmt.Println(decision.Allowed, decision.Remaining, decision.Limit, decision.Reason, decision.RetryAfter)
		clock.Advance(10 * time.Second)
	}
	// Output:
	// true 2   0s
	// true 1   0s
	// true 0   0s
	// false 0 a minute window 30s
}

func ExampleLimiter_Acquire() {
	clock := tollbar.NewManualClock()
	limiter, err := tollbar.New(tollbar.Rate{Limit: 60, Per: time.Minute, Burst: 1}, tollbar.WithClock(clock))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	fmt.Println(limiter.Acquire(context.Background(), "a", 1))

	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	err = limiter.Acquire(ctx, "a", 1) // told at once, not after half a second
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	var late *tollbar.TooLateError
	if errors.As(err, &late) {
		fmt.Println(late.RetryAfter)
	}
	// Output:
	// <nil>
	// true
	// 1s
}

func ExampleLimiter_Slot() {
	limiter, err := tollbar.New(tollbar.InFlight{Limit: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	var mu sync.Mutex
	var all sync.WaitGroup
	working, most := 0, 0
	count := func(more int) {
		mu.Lock()
		defer mu.Unlock()
		working += more
		most = max(most, working)
	}
	for i := 0; i < 100; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			slot, err := limiter.Slot(context.Background(), "a server", 1)
			if err != nil {
				fmt.Println(err)
				return
			}
			defer slot.Commit()
			count(1)
			defer count(-1)
		}()
	}
	all.Wait()
	fmt.Println(most <= 2)
	// Output: true
}

func ExampleLimiter_Reserve() {
	limiter, err := tollbar.New(tollbar.Window{Limit: 10, Per: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	reserved, denied, err := limiter.Reserve("a", 8, tollbar.Lease(time.Minute))
	if reserved == nil {
		fmt.Println(denied, err)
		return
	}
	defer reserved.Cancel()               // does nothing after Commit
	fmt.Println(reserved.CommitActual(5)) // five were enough
	left, _ := limiter.Peek("a", 0)
	fmt.Println(left.Remaining)
	// Output:
	// true
	// 5
}

func ExampleLimiter_TryAcquireAll() {
	limiter, err := tollbar.New(tollbar.Rate{Limit: 5, Per: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	keys := []string{"everybody", "example.org", "someone@example.org"}
	for i := 0; i < 2; i++ {
		joint, err := limiter.TryAcquireAll(keys, 3)
		fmt.Println(joint.Allowed, joint.Key, err)
	}
	// Output:
	// true  <nil>
	// false everybody <nil>
}

func ExampleLimiter_TryAcquireMany() {
	limiter, err := tollbar.New(tollbar.Rate{Limit: 1, Per: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	answers := make([]bool, 3)
	passed, err := limiter.TryAcquireMany([]string{"a", "b", "a"}, 1, answers)
	fmt.Println(passed, answers, err)
	// Output: 2 [true true false] <nil>
}

func ExampleLimiter_WithPolicy() {
	limiter, err := tollbar.New(tollbar.Rate{Limit: 10, Per: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	gold, err := limiter.WithPolicy(tollbar.Rate{Limit: 1000, Per: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gold.Close()
	someone, _ := limiter.Decide("someone", 1)
	customer, _ := gold.Decide("a good customer", 1)
	fmt.Println(someone.Remaining, customer.Remaining)
	// Output: 9 999
}

func ExampleNew_mistake() {
	_, err := tollbar.New(tollbar.Rate{Limit: 5, Per: time.Second, Burst: 5, Strict: true})
	fmt.Println(errors.Is(err, tollbar.ErrInvalid), err)
	// Output: true tollbar: limit 1: burst must be less than limit for a strict rate, not 5
}
