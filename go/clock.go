// A clock that is moved by hand, for tests of whatever has a limiter in it.

package tollbar

// #include <tollbar.h>
import "C"

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A ManualClock moves only when it is moved. Who waits by a limiter that has it sets no timer, but looks when the clock moves.
type ManualClock struct {
	handle C.tollbar_clock
	err    error
	closed atomic.Bool

	mu sync.Mutex
	// moves is how often the clock was moved: who has looked between two moves need not look again before the next.
	moves uint64
	bells map[bell]struct{}
}

// NewManualClock makes a clock that reads 0. What could go wrong is told by [New].
func NewManualClock() *ManualClock {
	clock := &ManualClock{bells: map[bell]struct{}{}}
	if status := C.tollbar_clock_new(0, &clock.handle); status < 0 {
		clock.err = failed(status)
		return clock
	}
	runtime.SetFinalizer(clock, (*ManualClock).Close)
	return clock
}

// Advance moves the clock, backwards if negative, but never below 0. Those who wait for this time find that it has come.
func (c *ManualClock) Advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	C.tollbar_clock_advance(c.handle, C.int64_t(by))
	c.moves++
	for bell := range c.bells {
		bell.ring()
		delete(c.bells, bell)
	}
}

// Now is what the clock reads; 0 when it is closed.
func (c *ManualClock) Now() time.Duration {
	var nanos C.uint64_t
	C.tollbar_clock_now(c.handle, &nanos)
	runtime.KeepAlive(c)
	return duration(nanos)
}

// Close ends the clock: it cannot be moved any more. Limiters that were made with it live on. It never fails.
func (c *ManualClock) Close() error {
	if c.err == nil && c.closed.CompareAndSwap(false, true) {
		runtime.SetFinalizer(c, nil)
		C.tollbar_clock_free(c.handle)
	}
	return nil
}

// moved is how often the clock was moved until now.
func (c *ManualClock) moved() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moves
}

// tell rings the bell when the clock moves next; at once if it has moved since.
func (c *ManualClock) tell(one bell, since uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.moves != since {
		one.ring()
		return
	}
	c.bells[one] = struct{}{}
}

// forget takes a bell back.
func (c *ManualClock) forget(one bell) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.bells, one)
}
