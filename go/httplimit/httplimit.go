// Package httplimit limits the requests of a net/http server by a [tollbar.Limiter].
//
//	limit := httplimit.New(limiter, httplimit.RemoteIP)
//	http.ListenAndServe(address, limit(mux))
//
// Who is denied gets 429 Too Many Requests and a Retry-After, in whole seconds, rounded up, so that who waits that long is not denied
// again. The header is missing where no waiting helps.
//
// # Errors
//
// An error of the limiter (it was closed, or a key is longer than [tollbar.MaxKeyLen]) lets the request pass, unless [FailClosed] is
// said: a limiter should not be what takes a service down. Those who rely on it against guessed passwords, say, want FailClosed. [OnError]
// is told in either case.
package httplimit

import (
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	tollbar "github.com/tollbar/tollbar/go"
)

// A KeyFunc says whose request this is. It runs for every request, in the request's goroutine.
type KeyFunc func(*http.Request) string

// RemoteIP is the address that the connection comes from, without the port. Behind a proxy that is the proxy's; take the key from a
// header only if a proxy that you trust has written it.
func RemoteIP(request *http.Request) string {
	host, _, err := net.SplitHostPort(request.RemoteAddr)
	if err != nil {
		return request.RemoteAddr
	}
	return host
}

// An Option changes what is usual.
type Option func(*middleware)

// Cost says how many tokens a request takes; one, unless said otherwise. A request that costs 0 always passes.
func Cost(cost func(*http.Request) uint64) Option {
	return func(m *middleware) { m.cost = cost }
}

// Denied answers the requests that are denied, in place of a line of text with status 429. Retry-After is set already.
func Denied(answer func(http.ResponseWriter, *http.Request, tollbar.Decision)) Option {
	return func(m *middleware) { m.denied = answer }
}

// OnError is told of the limiter's errors.
func OnError(tell func(*http.Request, error)) Option {
	return func(m *middleware) { m.onError = tell }
}

// FailClosed answers 503 Service Unavailable when the limiter has an error, in place of letting the request pass.
func FailClosed() Option {
	return func(m *middleware) { m.closed = true }
}

type middleware struct {
	limiter *tollbar.Limiter
	key     KeyFunc
	cost    func(*http.Request) uint64
	denied  func(http.ResponseWriter, *http.Request, tollbar.Decision)
	onError func(*http.Request, error)
	closed  bool
	next    http.Handler
}

// New is a middleware: what it is wrapped around sees only requests that the limiter lets pass. It may be wrapped around any number of
// handlers, which then share the limits.
func New(limiter *tollbar.Limiter, key KeyFunc, opts ...Option) func(http.Handler) http.Handler {
	usual := middleware{
		limiter: limiter,
		key:     key,
		cost:    func(*http.Request) uint64 { return 1 },
		denied: func(w http.ResponseWriter, _ *http.Request, _ tollbar.Decision) {
			http.Error(w, http.StatusText(http.StatusTooManyRequests), http.StatusTooManyRequests)
		},
		onError: func(*http.Request, error) {},
	}
	for _, opt := range opts {
		opt(&usual)
	}
	return func(next http.Handler) http.Handler {
		one := usual
		one.next = next
		return &one
	}
}

// ServeHTTP asks once for each request.
func (m *middleware) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	decision, err := m.limiter.Decide(m.key(request), m.cost(request))
	switch {
	case err != nil:
		m.onError(request, err)
		if m.closed {
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
			return
		}
	case !decision.Allowed:
		if decision.RetryAfter != tollbar.Never {
			w.Header().Set("Retry-After", strconv.FormatInt(Seconds(decision.RetryAfter), 10))
		}
		m.denied(w, request, decision)
		return
	}
	m.next.ServeHTTP(w, request)
}

// Seconds is a duration in whole seconds, rounded up: what Retry-After says.
func Seconds(wait time.Duration) int64 {
	if wait > math.MaxInt64-time.Second {
		return math.MaxInt64 / int64(time.Second)
	}
	return int64((wait + time.Second - 1) / time.Second)
}
