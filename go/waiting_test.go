// Waiting one's turn: in order, without threads, ended by contexts and by Close.

package tollbar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// threads is how many threads the process has; 0 where the system does not tell.
func threads() int {
	status, _ := os.ReadFile("/proc/self/status")
	count := 0
	if _, after, found := strings.Cut(string(status), "Threads:"); found {
		fmt.Sscan(after, &count)
	}
	return count
}

// nobodyWaits is so when every goroutine has left the lines, and the thread that told them is free.
func nobodyWaits(t testing.TB) {
	t.Helper()
	soon(t, "nobody waits", func() bool {
		theTower.mu.Lock()
		defer theTower.mu.Unlock()
		return len(theTower.bells) == 0 && !theTower.listening
	})
}

// HAZARD incident-herd
func TestTenThousandGoroutinesWaitInOrderWithoutThreads(t *testing.T) {
	waiters := 10_000
	if testing.Short() {
		waiters = 1_000
	}
	limiter, clock := made(t, Rate{Limit: 1, Per: time.Second, Burst: 1})
	if !ok(limiter.TryAcquire("a", 1)) {
		t.Fatal("the first passes")
	}
	before, come := threads(), make(chan int, waiters)
	for number := 0; number < waiters; number++ {
		number := number
		go func() {
			if err := limiter.Acquire(background, "a", 1); err != nil {
				t.Error(err)
			}
			come <- number
		}()
		soon(t, "one more waits", func() bool { return theTower.waiting() == number+1 })
	}
	if now := threads(); now > before+8 {
		t.Errorf("%d threads, and %d before", now, before)
	}
	if ok(limiter.TryAcquire("a", 1)) {
		t.Error("nobody overtakes those who wait")
	}
	for number := 0; number < waiters; number++ {
		select {
		case early := <-come:
			t.Fatalf("number %d comes before its time", early)
		default:
		}
		clock.Advance(time.Second)
		if got := <-come; got != number {
			t.Fatalf("number %d comes instead of %d", got, number)
		}
	}
	nobodyWaits(t)
}

func TestTurnsComeByTheSystemsClock(t *testing.T) {
	limiter, err := New(Rate{Limit: 100_000, Per: time.Second, Burst: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer limiter.Close()
	var all sync.WaitGroup
	for number := 0; number < 200; number++ {
		all.Add(1)
		go func(ctx context.Context) {
			defer all.Done()
			if err := limiter.Acquire(ctx, "a", 1); err != nil {
				t.Error(err)
			}
		}(background)
	}
	all.Wait()
	nobodyWaits(t)
	if totals := ok(limiter.Stats()); totals.Allowed != 200 || totals.Denied != 0 {
		t.Errorf("%+v", totals)
	}
}

func TestWhatIsTooLateIsToldAtOnce(t *testing.T) {
	limiter, clock := made(t, Rate{Limit: 1, Per: time.Hour, Burst: 2})
	ok(limiter.TryAcquire("a", 2))
	soonOver, cancel := context.WithTimeout(background, time.Minute)
	defer cancel()
	var late *TooLateError
	err := limiter.Acquire(soonOver, "a", 1)
	if !errors.As(err, &late) || !errors.Is(err, ErrTooLate) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if late.RetryAfter != time.Hour || !late.Timeout() || !strings.Contains(err.Error(), "1h0m0s") {
		t.Fatal(late.RetryAfter, err)
	}
	err = limiter.Acquire(background, "a", 3)
	if !errors.Is(err, ErrNever) || errors.Is(err, ErrTooLate) || errors.Is(err, context.DeadlineExceeded) {
		t.Fatal("that is no matter of a deadline", err)
	}
	over, cancel := context.WithDeadline(background, time.Unix(1, 0))
	defer cancel()
	if err := limiter.Acquire(over, "b", 1); err != context.DeadlineExceeded {
		t.Fatal(err)
	}
	if ok(limiter.Contains("b")) || theTower.waiting() != 0 {
		t.Fatal("nothing is made, and nobody waits")
	}
	clock.Advance(time.Hour)
	if err := limiter.Acquire(soonOver, "a", 1); err != nil {
		t.Fatal(err)
	}
}

func TestWhoIsCancelledTakesNothing(t *testing.T) {
	limiter, clock := made(t, Rate{Limit: 1, Per: time.Second, Burst: 1})
	gone, cancel := context.WithCancel(background)
	cancel()
	if err := limiter.Acquire(gone, "a", 1); err != context.Canceled || ok(limiter.Contains("a")) {
		t.Fatal("before it waits", err)
	}
	ok(limiter.TryAcquire("a", 1))
	first, leave := context.WithCancel(background)
	left, come := make(chan error), make(chan error)
	go func() { left <- limiter.Acquire(first, "a", 1) }()
	soon(t, "the first waits", func() bool { return theTower.waiting() == 1 })
	go func() { come <- limiter.Acquire(background, "a", 1) }()
	soon(t, "the second waits", func() bool { return theTower.waiting() == 2 })
	leave()
	if err := <-left; err != context.Canceled {
		t.Fatal(err)
	}
	clock.Advance(time.Second)
	if err := <-come; err != nil {
		t.Fatal("the place of who left goes to the next", err)
	}
}

func TestPrioritiesAndPlacesInFlight(t *testing.T) {
	limiter, _ := made(t, InFlight{Limit: 1})
	first, err := limiter.Slot(background, "a", 1)
	if err != nil {
		t.Fatal(err)
	}
	type who struct {
		priority int
		slot     *Reservation
	}
	come := make(chan who)
	for waiting, priority := range []int{5, 1, 3} {
		priority := priority
		go func() {
			slot, err := limiter.Slot(background, "a", 1, Priority(priority), Lease(time.Hour), GiveBack())
			if err != nil {
				t.Error(err)
			}
			come <- who{priority, slot}
		}()
		soon(t, "one more waits", func() bool { return theTower.waiting() == waiting+1 })
	}
	if !first.Commit() || first.Commit() || first.Cancel() || first.CommitActual(3) {
		t.Fatal("a reservation ends once")
	}
	for _, priority := range []int{1, 3, 5} {
		got := <-come
		if got.priority != priority {
			t.Fatalf("%d comes before %d", got.priority, priority)
		}
		got.slot.Cancel()
	}
	nobodyWaits(t)
}

func TestALeaseEndsByItself(t *testing.T) {
	limiter, clock := made(t, Policy{InFlight{Limit: 1}, Window{Limit: 4, Per: 24 * time.Hour}})
	sent, _, err := limiter.Reserve("a", 1, Lease(time.Minute))
	if err != nil || sent == nil {
		t.Fatal(err)
	}
	denied, told, err := limiter.Reserve("a", 1)
	if denied != nil || told.Reason != ReasonInFlight || err != nil {
		t.Fatal(told, err)
	}
	if denied.Commit() || denied.CommitActual(1) || denied.Cancel() {
		t.Fatal("what was denied has nothing to end")
	}
	clock.Advance(time.Minute)
	back, _, err := limiter.Reserve("a", 1, Lease(time.Minute), GiveBack())
	if err != nil || back == nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	if sent.Commit() || back.Cancel() {
		t.Fatal("their leases had ended them")
	}
	more, _, _ := limiter.Reserve("a", 1)
	if !more.CommitActual(2) || !ok(limiter.TryAcquire("a", 1)) || ok(limiter.TryAcquire("a", 1)) {
		t.Fatal("one was sent, one given back, two were more than reserved: a fourth passes, a fifth does not")
	}
}

func TestCloseEndsThoseWhoWait(t *testing.T) {
	const waiters = 100
	limiter, _ := made(t, Rate{Limit: 1, Per: time.Hour, Burst: 1})
	tariff := ok(limiter.WithPolicy(Rate{Limit: 2, Per: time.Hour}))
	defer tariff.Close()
	ok(limiter.TryAcquire("a", 1))
	ended := make(chan error, waiters)
	for number := 0; number < waiters; number++ {
		go func() { ended <- limiter.Acquire(background, "a", 1) }()
	}
	other, leave := context.WithCancel(background)
	stays := make(chan error, 1)
	go func() { stays <- tariff.Acquire(other, "a", 1) }()
	soon(t, "all wait", func() bool { return theTower.waiting() == waiters+1 })
	limiter.Close()
	for number := 0; number < waiters; number++ {
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
	}
	if theTower.waiting() != 1 {
		t.Error("who waits by another handle waits on")
	}
	leave()
	if err := <-stays; err != context.Canceled {
		t.Error(err)
	}
	nobodyWaits(t)
}

// listeners is how many goroutines wait in the library to be told, each of them in a thread.
func listeners() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "created by github.com/tollbar/tollbar/go.(*tower).hang")
}

func TestOneThreadServesAllLimitersAndGoesWhenNobodyWaits(t *testing.T) {
	for round := 0; round < 20; round++ {
		ctx, cancel := context.WithCancel(background)
		var all sync.WaitGroup
		for number := 0; number < 10; number++ {
			limiter, _ := made(t, Rate{Limit: 1, Per: time.Hour, Burst: 1})
			ok(limiter.TryAcquire("a", 1))
			all.Add(1)
			go func() {
				defer all.Done()
				limiter.Acquire(ctx, "a", 1)
			}()
		}
		soon(t, "all wait", func() bool { return theTower.waiting() == 10 })
		if count := listeners(); count != 1 {
			t.Errorf("%d goroutines listen, and not one", count)
		}
		cancel()
		all.Wait()
		soon(t, "nobody listens", func() bool { return listeners() == 0 })
	}
}
