// What a call into C costs by itself: an empty one, and the library's own, made by Go and by a loop in C.

package main

/*
#cgo pkg-config: tollbar
#include <tollbar.h>

__attribute__((noinline)) static int32_t empty(void) {
	__asm__ volatile("");
	return 0;
}

// A limiter that is so wide that nothing is denied.
static int32_t wide(tollbar_limiter *limiter) {
	tollbar_policy policy;
	tollbar_options none = {0};
	int32_t status = tollbar_policy_new(&policy);
	if (status == 0) status = tollbar_policy_add_rate(policy, 10000000, 1000000000, 0, 0);
	if (status == 0) status = tollbar_policy_set(policy, TOLLBAR_SET_BURST, 1000000000, 0, 0);
	if (status == 0) status = tollbar_limiter_new(TOLLBAR_ABI_VERSION, policy, none, limiter, 0, 0);
	return status;
}

// As many calls as that, and how many passed.
static int64_t loop(tollbar_limiter limiter, const char *key, size_t length, int64_t calls) {
	int64_t passed = 0;
	for (int64_t call = 0; call < calls; call++) passed += tollbar_try_acquire(limiter, key, length, 1);
	return passed;
}

// The same loop, without the call.
static int64_t bare(tollbar_limiter limiter, const char *key, size_t length, int64_t calls) {
	int64_t passed = 0;
	for (int64_t call = 0; call < calls; call++) {
		__asm__ volatile("" : : "r"(limiter.id), "r"(key), "r"(length));
		passed += 1;
	}
	return passed;
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// A direct limiter is used without the package.
type direct struct{ handle C.tollbar_limiter }

func newDirect() (direct, error) {
	var made direct
	if status := C.wide(&made.handle); status < 0 {
		return made, fmt.Errorf("status %d", status)
	}
	return made, nil
}

func start(key string) *C.char { return (*C.char)(unsafe.Pointer(unsafe.StringData(key))) }

// emptyCalls makes so many calls of nothing.
func emptyCalls(calls int) int {
	for call := 0; call < calls; call++ {
		C.empty()
	}
	return calls
}

// fromGo calls the library from a loop in Go.
func (d direct) fromGo(key string, calls int) int {
	passed := 0
	for call := 0; call < calls; call++ {
		if C.tollbar_try_acquire(d.handle, start(key), C.size_t(len(key)), 1) == 1 {
			passed++
		}
	}
	return passed
}

// fromC calls it from a loop in C.
func (d direct) fromC(key string, calls int) int {
	return int(C.loop(d.handle, start(key), C.size_t(len(key)), C.int64_t(calls)))
}

// bareC is that loop alone.
func (d direct) bareC(key string, calls int) int {
	return int(C.bare(d.handle, start(key), C.size_t(len(key)), C.int64_t(calls)))
}
