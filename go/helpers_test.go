// What the tests have in common.

package tollbar

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// made is a limiter on a clock of its own, both closed when the test ends.
func made(t testing.TB, policy Limit, opts ...Option) (*Limiter, *ManualClock) {
	t.Helper()
	clock := NewManualClock()
	limiter, err := New(policy, append(opts, WithClock(clock))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		limiter.Close()
		clock.Close()
	})
	return limiter, clock
}

// background is the context that is never done.
var background = context.Background()

// ok is an answer without an error.
func ok[T any](answer T, err error) T {
	if err != nil {
		panic(err)
	}
	return answer
}

// soon lets other goroutines run until it is so. What never becomes so ends with the test's own deadline.
func soon(t testing.TB, what string, is func() bool) {
	t.Helper()
	for begun := time.Now(); !is(); runtime.Gosched() {
		if time.Since(begun) > time.Minute {
			t.Fatalf("it does not become so: %s", what)
		}
	}
}
