// What a decision allocates: nothing.

//go:build go1.24

package tollbar

import (
	"testing"
	"time"
)

func TestDecisionsAllocateNothing(t *testing.T) {
	limiter, _ := made(t, Rate{Limit: 1_000_000, Per: time.Second})
	bucket := ok(limiter.Bucket("a"))
	defer bucket.Close()
	key, keys, answers := []byte("a"), []string{"a", "b", "c"}, make([]bool, 3)
	for name, call := range map[string]func(){
		"TryAcquire":      func() { ok(limiter.TryAcquire("a", 1)) },
		"TryAcquireBytes": func() { ok(limiter.TryAcquireBytes(key, 1)) },
		"Bucket":          func() { ok(bucket.TryAcquire(1)) },
		"Decide":          func() { ok(limiter.Decide("a", 1)) },
		"Peek":            func() { ok(limiter.Peek("a", 1)) },
		"Acquire": func() {
			if err := limiter.Acquire(background, "a", 1); err != nil {
				panic(err)
			}
		},
	} {
		if count := testing.AllocsPerRun(1_000, call); count != 0 {
			t.Errorf("%s allocates %v times", name, count)
		}
	}
	// The room of a batch may be collected between two of them.
	if count := testing.AllocsPerRun(1_000, func() { ok(limiter.TryAcquireMany(keys, 1, answers)) }); count > 1 {
		t.Errorf("TryAcquireMany allocates %v times", count)
	}
}
