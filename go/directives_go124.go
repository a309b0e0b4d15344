// What Go 1.24 and later may know of functions that write an answer: they keep no pointer and call nothing back, so the answer stays on
// the goroutine's stack. For those that write none it would not pay: each call would have to say so, which takes longer than nothing.

//go:build go1.24

package tollbar

/*
#cgo noescape tollbar_decide
#cgo nocallback tollbar_decide
#cgo noescape tollbar_peek
#cgo nocallback tollbar_peek
#cgo noescape tollbar_bucket_peek
#cgo nocallback tollbar_bucket_peek
#cgo noescape tollbar_decide_costs
#cgo nocallback tollbar_decide_costs
#cgo noescape tollbar_peek_costs
#cgo nocallback tollbar_peek_costs
#cgo noescape tollbar_reserve_costs
#cgo nocallback tollbar_reserve_costs
#cgo noescape tollbar_inspect
#cgo nocallback tollbar_inspect
#cgo noescape tollbar_join
#cgo nocallback tollbar_join
#cgo noescape tollbar_look
#cgo nocallback tollbar_look
#include <tollbar.h>
*/
import "C"
