// One key's account, found once and asked often.

package tollbar

// #include <tollbar.h>
import "C"

import (
	"runtime"
	"sync/atomic"
)

// A Bucket is a handle to the account of one key: asking it need not find the key. The account is not evicted while there is one. It is
// to be closed, and outlives the limiter.
type Bucket struct {
	handle C.tollbar_bucket
	closed atomic.Bool
}

// Bucket gives a handle to the key's account, which is made if the key is unknown. The error is [ErrFull] if there is no room for it.
func (l *Limiter) Bucket(key string) (*Bucket, error) {
	bucket := new(Bucket)
	var handle C.tollbar_bucket
	answer := C.tollbar_bucket_new(l.handle, start(key), C.size_t(len(key)), &handle)
	runtime.KeepAlive(l)
	switch {
	case answer < 0:
		return nil, failed(answer)
	case answer == 0:
		return nil, ErrFull
	}
	bucket.handle = handle
	runtime.SetFinalizer(bucket, (*Bucket).Close)
	return bucket, nil
}

// TryAcquire is [Limiter.TryAcquire] for the bucket's key.
func (b *Bucket) TryAcquire(cost uint64) (bool, error) {
	answer := C.tollbar_bucket_try_acquire(b.handle, C.uint64_t(cost))
	runtime.KeepAlive(b)
	return yes(answer)
}

// Peek is [Limiter.Peek] for the bucket's key.
func (b *Bucket) Peek(cost uint64) (Decision, error) {
	var told C.tollbar_decision
	answer := C.tollbar_bucket_peek(b.handle, C.uint64_t(cost), &told, C.sizeof_tollbar_decision)
	runtime.KeepAlive(b)
	if answer < 0 {
		return Decision{}, failed(answer)
	}
	return decision(&told), nil
}

// Close lets the account go: it stays in the table, and may be evicted. Later calls get [ErrClosed]. It may be called more than once and
// never fails.
func (b *Bucket) Close() error {
	if b.closed.CompareAndSwap(false, true) {
		runtime.SetFinalizer(b, nil)
		C.tollbar_bucket_free(b.handle)
	}
	return nil
}
