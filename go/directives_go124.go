// What Go 1.24 and later may know of the library's functions: they keep no pointer, and call nothing back. So a decision's answer
// stays on the goroutine's stack.

//go:build go1.24

package tollbar

/*
#cgo noescape tollbar_try_acquire
#cgo nocallback tollbar_try_acquire
#cgo noescape tollbar_decide
#cgo nocallback tollbar_decide
#cgo noescape tollbar_peek
#cgo nocallback tollbar_peek
#cgo noescape tollbar_try_acquire_packed
#cgo nocallback tollbar_try_acquire_packed
#cgo nocallback tollbar_bucket_try_acquire
#cgo noescape tollbar_bucket_peek
#cgo nocallback tollbar_bucket_peek
#cgo noescape tollbar_reserve
#cgo nocallback tollbar_reserve
#cgo nocallback tollbar_commit
#cgo nocallback tollbar_commit_actual
#cgo nocallback tollbar_cancel
#cgo noescape tollbar_join
#cgo nocallback tollbar_join
#cgo noescape tollbar_look
#cgo nocallback tollbar_look
#cgo nocallback tollbar_leave
#include <tollbar.h>
*/
import "C"
