// A library that cannot tell any more.

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
