// A clock that is moved by hand, for tests of whatever has a limiter in it.

package tollbar

// #include <tollbar.h>
import "C"

import (
	"runtime"
	"sync/atomic"
	"time"
)

// A ManualClock moves only when it is moved. A goroutine that waits by a limiter that has it sets no timer: the clock wakes it.
type ManualClock struct {
	handle C.tollbar_clock
	err    error
	closed atomic.Bool
}

// NewManualClock makes a clock that reads 0. What could go wrong is told by [New].
func NewManualClock() *ManualClock {
	clock := &ManualClock{}
	if status := C.tollbar_clock_new(0, &clock.handle); status < 0 {
		clock.err = failed(status)
		return clock
	}
	runtime.SetFinalizer(clock, (*ManualClock).Close)
	return clock
}

// Advance moves the clock, backwards if negative, but never below 0. It wakes the goroutines whose time has come.
func (c *ManualClock) Advance(by time.Duration) {
	C.tollbar_clock_advance(c.handle, C.int64_t(by))
	runtime.KeepAlive(c)
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
