// What is done about a key beside asking, and totals.

package tollbar

// #include <tollbar.h>
import "C"

import "runtime"

// A Migration says what becomes of what was spent when a key comes under another policy.
type Migration int

// The migrations.
const (
	AsIs         Migration = C.TOLLBAR_MIGRATE_AS_IS        // it stays spent, token by token
	Proportional Migration = C.TOLLBAR_MIGRATE_PROPORTIONAL // its share stays spent
	Afresh       Migration = C.TOLLBAR_MIGRATE_RESET        // it is forgotten
)

// Totals are counts since a limiter was made.
type Totals struct {
	Allowed      uint64 // requests that passed
	Denied       uint64 // requests that were refused, those by a full table included
	ShadowDenied uint64 // requests that a shadow limit would have refused
	Evicted      uint64 // accounts dropped to make room
	Forgiven     uint64 // those among them that still owed something
	Full         uint64 // requests of unknown keys that met a full table
	Keys         uint64 // accounts now in the table
	MostLooks    uint64 // the most accounts that any one insertion looked at
	OwnLimits    uint64 // keys that have limits of their own
	// Requests that were refused, by their Reason; at ReasonNone those that waited and whose turn did not come in time.
	DeniedByReason [C.TOLLBAR_REASONS]uint64
}

// Reset makes the key's account as good as new. False if the key is unknown.
func (l *Limiter) Reset(key string) (bool, error) {
	answer := C.tollbar_reset(l.handle, start(key), C.size_t(len(key)))
	runtime.KeepAlive(l)
	return yes(answer)
}

// Reconfigure puts a key under limits of its own: at once if it has an account, and whenever it is seen for the first time from then on,
// evicted or not. False if the key has no account now; the limits apply all the same when it is seen. No decision sees a mixture of the
// two. The error is [ErrTooManyOwnLimits] if as many keys as the limiter may hold have limits of their own.
func (l *Limiter) Reconfigure(key string, policy Limit, migration Migration) (bool, error) {
	built, err := build(policy)
	if err != nil {
		return false, err
	}
	defer C.tollbar_policy_free(built)
	var said note
	answer := C.tollbar_reconfigure(l.handle, start(key), C.size_t(len(key)), built, C.int32_t(migration),
		&said[0], C.size_t(len(said)))
	runtime.KeepAlive(l)
	return answer == 1, said.told(answer)
}

// Release ends every timeout and block of the key. False if none runs.
func (l *Limiter) Release(key string) (bool, error) {
	answer := C.tollbar_release(l.handle, start(key), C.size_t(len(key)))
	runtime.KeepAlive(l)
	return yes(answer)
}

// Penalize counts a denial of the key that was made elsewhere (a wrong password, say). True if the key is in a timeout now.
func (l *Limiter) Penalize(key string) (bool, error) {
	answer := C.tollbar_penalize(l.handle, start(key), C.size_t(len(key)))
	runtime.KeepAlive(l)
	return yes(answer)
}

// Contains says whether the table holds an account for the key.
func (l *Limiter) Contains(key string) (bool, error) {
	answer := C.tollbar_contains(l.handle, start(key), C.size_t(len(key)))
	runtime.KeepAlive(l)
	return yes(answer)
}

// Stats are the totals since the limiter was made, those of all its handles together.
func (l *Limiter) Stats() (Totals, error) {
	var told C.tollbar_totals
	answer := C.tollbar_stats(l.handle, &told, C.sizeof_tollbar_totals)
	runtime.KeepAlive(l)
	if answer < 0 {
		return Totals{}, failed(answer)
	}
	totals := Totals{
		Allowed:      uint64(told.allowed),
		Denied:       uint64(told.denied),
		ShadowDenied: uint64(told.shadow_denied),
		Evicted:      uint64(told.evicted),
		Forgiven:     uint64(told.forgiven),
		Full:         uint64(told.full),
		Keys:         uint64(told.keys),
		MostLooks:    uint64(told.most_looks),
		OwnLimits:    uint64(told.own_limits),
	}
	for reason, count := range told.denied_by_reason {
		totals.DeniedByReason[reason] = uint64(count)
	}
	return totals, nil
}

// DeniedByLimit is how many requests the limit of this name has denied: those that it made wait longest.
func (l *Limiter) DeniedByLimit(name string) (uint64, error) {
	var count C.uint64_t
	answer := C.tollbar_denied_by_limit(l.handle, start(name), C.size_t(len(name)), &count)
	runtime.KeepAlive(l)
	if answer < 0 {
		return 0, failed(answer)
	}
	return uint64(count), nil
}

// ShadowDenied is how often the shadow limit of this name would have denied.
func (l *Limiter) ShadowDenied(name string) (uint64, error) {
	var count C.uint64_t
	answer := C.tollbar_shadow_denied(l.handle, start(name), C.size_t(len(name)), &count)
	runtime.KeepAlive(l)
	if answer < 0 {
		return 0, failed(answer)
	}
	return uint64(count), nil
}
