// Bells that are rung between two looks, and a library that cannot tell any more.

package tollbar

import "testing"

func rung(one bell) bool {
	select {
	case <-one:
		return true
	default:
		return false
	}
}

func TestAMoveBetweenLookingAndRestingIsNotMissed(t *testing.T) {
	clock, one := NewManualClock(), make(bell, 1)
	defer clock.Close()
	since := clock.moved()
	clock.tell(one, since)
	if rung(one) {
		t.Fatal("it has not moved")
	}
	clock.Advance(1)
	if !rung(one) || rung(one) {
		t.Fatal("a move is told once")
	}
	clock.tell(one, since)
	if !rung(one) {
		t.Fatal("it had moved before")
	}
	clock.tell(one, clock.moved())
	clock.forget(one)
	clock.Advance(1)
	if rung(one) || clock.Now() != 2 {
		t.Fatal("who has left is not told")
	}
}

func TestWhoCannotBeToldDoesNotWait(t *testing.T) {
	one, other := make(bell, 1), make(bell, 1)
	broken := tower{bells: map[uint64]bell{1: one, 2: other}, listening: true}
	if !broken.heard(0, nil) || rung(one) || broken.trouble() != nil {
		t.Fatal("nothing has happened")
	}
	if broken.heard(-8, nil) || !rung(one) || !rung(other) || broken.trouble() == nil {
		t.Fatal("all must look, and find the trouble")
	}
}
