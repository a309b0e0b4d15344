// Package tollbar limits how often keys (accounts, addresses, anything that has a name) may do something: exactly, for
// millions of keys, in a few dozen nanoseconds. It is a face of the native library libtollbar and shares its semantics with the
// Rust, Python and C faces; programs of several languages in one process share the lines of those who wait, too.
//
//	limiter, err := tollbar.New(tollbar.Rate{Limit: 100, Per: time.Minute, Burst: 10})
//	if err != nil {
//		return err
//	}
//	defer limiter.Close()
//	allowed, err := limiter.TryAcquire("someone@example.org", 1)
//
// # Building
//
// The library is found by pkg-config under the name tollbar. Where it is installed in a folder of its own, the build needs
// PKG_CONFIG_PATH to name that folder's lib/pkgconfig, and the program needs LD_LIBRARY_PATH to name its lib, unless the
// library is linked statically, as it is where only libtollbar.a is there.
//
// # Conventions
//
// A denial is an answer and not an error: methods that ask return it as false, or as a [Decision]. An error means that nothing was
// charged and nothing was created. [ErrClosed], [ErrKeyTooLong], [ErrInvalid] and the others are found by errors.Is. Of those that
// wait, a [TooLateError] is about time, and [ErrNever] is not: that request can never pass.
//
// Keys are bytes: any string is a key, the empty one, and one with NUL bytes in it, included. The longest has [MaxKeyLen] bytes.
//
// A cost is how many tokens are asked for, usually 1. A cost of 0 takes nothing and passes. [Costs] give limits a cost of their own by
// their names: one request and 400 tokens, all charged together or none.
//
// Limits change while they are used: [Limiter.SetLimits] for all keys, [Limiter.Reconfigure] for one. What was spent stays spent, as the
// [Migration] says. A reservation without a [Lease] is open until it is ended; [Reservation.Renew] lets a lease begin anew.
//
// Durations are exact to the nanosecond and rounded up: who waits for a [Decision]'s RetryAfter is not refused again, if nobody else
// asked meanwhile. [Never] is a duration without end.
//
// Every method may be called by any number of goroutines at once, Close included. Only [Limiter.Acquire] and [Limiter.Slot] wait; no
// other method blocks, reads a file, or sleeps. One operating system's thread serves all goroutines that wait, in all limiters, and
// it is let go when none does.
//
// Whatever has a Close, and a [Reservation], is to be ended by its owner. One that is forgotten is ended when the garbage collector
// finds it: a safety net, which has no schedule.
package tollbar
