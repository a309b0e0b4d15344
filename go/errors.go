// What can be wrong with a call, as errors that errors.Is tells apart.

package tollbar

// #include <tollbar.h>
import "C"

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A failure is one of the library's statuses, perhaps with its words about the case at hand.
type failure struct {
	status int32
	text   string
}

func (f *failure) Error() string { return "tollbar: " + f.text }

// Is makes the message of one case equal to the sentinel of its kind.
func (f *failure) Is(target error) bool {
	other, ok := target.(*failure)
	return ok && other.status == f.status
}

// The kinds of errors, to be looked for with errors.Is. Nothing was charged or created by the call that returned one.
var (
	// ErrClosed: the limiter, the bucket or the clock was closed, before the call or in the middle of it.
	ErrClosed error = &failure{C.TOLLBAR_ERROR_HANDLE, "it is closed"}
	// ErrInvalid: an argument is outside its rule; the message names the argument, the rule and the value.
	ErrInvalid error = &failure{C.TOLLBAR_ERROR_INVALID, "an argument is outside its rule"}
	// ErrKeyTooLong: a key has more than MaxKeyLen bytes.
	ErrKeyTooLong error = &failure{C.TOLLBAR_ERROR_KEY_TOO_LONG, fmt.Sprintf("key must be at most %d bytes", MaxKeyLen)}
	// ErrTooManyPolicies: more than 2^24 different policies in one limiter.
	ErrTooManyPolicies error = &failure{C.TOLLBAR_ERROR_TOO_MANY_POLICIES, "too many different policies in one limiter"}
	// ErrTooManyHandles: 4,194,304 limiters, or buckets, or reservations, or goroutines that wait.
	ErrTooManyHandles error = &failure{C.TOLLBAR_ERROR_TOO_MANY_HANDLES, "too many of these are open"}
	// ErrMismatch: the library that was found is of another version than the header that the program was built with.
	ErrMismatch error = &failure{C.TOLLBAR_ERROR_ABI, "the program was built for another version of the library"}
	// ErrFull: the limiter's table is full, and none of its accounts could go. Of Bucket alone; elsewhere it is a Reason.
	ErrFull = errors.New("tollbar: the table is full")
	// ErrNever: more is asked for than a limit of the key ever lets pass, or a limit of the key lets nothing pass. Of Acquire,
	// AcquireAll and Slot alone; elsewhere it is a Reason. It is not about time: neither ErrTooLate nor context.DeadlineExceeded.
	ErrNever = errors.New("tollbar: this can never pass")
	// ErrTooManyOwnLimits: as many keys as the limiter may hold have limits of their own.
	ErrTooManyOwnLimits error = &failure{C.TOLLBAR_ERROR_TOO_MANY_OWN_LIMITS, "too many keys have limits of their own"}
	// ErrTooLate is what a TooLateError is.
	ErrTooLate = errors.New("tollbar: the turn would come too late")
)

// A TooLateError says that a turn would come after the context's deadline. It is told at once, not when the deadline has passed,
// if the time is known. errors.Is finds it as ErrTooLate and, if there was a deadline to miss, as context.DeadlineExceeded.
type TooLateError struct {
	// Key is, where several were waited for, the one whose turn comes last.
	Key string
	// RetryAfter is how long it would take, as far as is known; Never if it is not: a reservation without an end must end first, or
	// the table is full.
	RetryAfter time.Duration
	deadline   bool
}

func (e *TooLateError) Error() string {
	turn := "the turn"
	if e.Key != "" {
		turn = fmt.Sprintf("the turn of key %q", e.Key)
	}
	if e.RetryAfter == Never {
		return "tollbar: " + turn + " would come too late, after a time that is not known"
	}
	return fmt.Sprintf("tollbar: %s would come too late, after %v", turn, e.RetryAfter)
}

// Is says what this error is.
func (e *TooLateError) Is(target error) bool {
	return target == ErrTooLate || e.deadline && target == context.DeadlineExceeded
}

// Timeout says that this error is about time, as those of package net do.
func (e *TooLateError) Timeout() bool { return true }

// failed is the error of a negative answer.
func failed(status C.int32_t) error {
	switch status {
	case C.TOLLBAR_ERROR_HANDLE, C.TOLLBAR_ERROR_CLOSED:
		return ErrClosed
	case C.TOLLBAR_ERROR_KEY_TOO_LONG:
		return ErrKeyTooLong
	}
	return &failure{int32(status), C.GoString(C.tollbar_status_text(status))}
}

// A note is where the library writes what was wrong.
type note [256]C.char

// told is the error of an answer, with the library's words; nil if it is none.
func (n *note) told(status C.int32_t) error {
	if status >= 0 {
		return nil
	}
	if words := C.GoString(&n[0]); words != "" && status != C.TOLLBAR_ERROR_HANDLE {
		return &failure{int32(status), words}
	}
	return failed(status)
}

// invalid is the error of an argument that breaks its rule.
func invalid(argument, rule string, value any) error {
	return &failure{C.TOLLBAR_ERROR_INVALID, fmt.Sprintf("%s %s, not %v", argument, rule, value)}
}
