// Who tells goroutines to look: one thread for all of them, as long as any waits.

package tollbar

// #include <tollbar.h>
import "C"

import (
	"sync"
	"sync/atomic"
)

// A bell wakes one goroutine. That it was rung is remembered until it is heard.
type bell chan struct{}

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// A tower has the bells of all who wait, in all limiters.
type tower struct {
	tokens atomic.Uint64
	once   sync.Once
	opened error
	handle C.tollbar_wakeups

	mu        sync.Mutex
	bells     map[uint64]bell
	listening bool
	broken    error
}

var theTower = tower{bells: map[uint64]bell{}}

// Token 0 is nobody's: it only makes the listener look around.
const nobody = 0

// token is a new one, and what tells it.
func (t *tower) token() (uint64, C.tollbar_wakeups, error) {
	t.once.Do(func() {
		if status := C.tollbar_wakeups_new(&t.handle); status < 0 {
			t.opened = failed(status)
		}
	})
	return t.tokens.Add(1), t.handle, t.opened
}

// hang makes a bell ring when its token is told. What was told before is not heard: look again after this.
func (t *tower) hang(token uint64, one bell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bells[token] = one
	if !t.listening && t.broken == nil {
		t.listening = true
		go t.listen()
	}
}

// take takes the bell back. With the last one the listener goes.
func (t *tower) take(token uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.bells, token)
	if len(t.bells) == 0 && t.listening {
		C.tollbar_wakeups_tell(t.handle, nobody)
	}
}

// listen rings bells until there are none. It keeps a thread of the system's for as long.
func (t *tower) listen() {
	var told [256]C.uint64_t
	for {
		count := C.tollbar_wakeups_next(t.handle, C.TOLLBAR_NEVER, &told[0], C.size_t(len(told)))
		if !t.heard(count, told[:max(count, 0)]) {
			return
		}
	}
}

// heard rings those who were told; false if nobody waits any more, or can be told.
func (t *tower) heard(count C.int32_t, told []C.uint64_t) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, token := range told {
		if one, waits := t.bells[uint64(token)]; waits {
			one.ring()
		}
	}
	if count < 0 {
		t.broken = failed(count)
		for _, one := range t.bells {
			one.ring()
		}
	}
	t.listening = len(t.bells) > 0 && count >= 0
	return t.listening
}

// trouble is why nobody would be told, nil if they are.
func (t *tower) trouble() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.broken
}

// waiting is how many bells hang.
func (t *tower) waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.bells)
}
