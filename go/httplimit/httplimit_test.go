// A real server on the loopback interface, and requests that are denied and not.

package httplimit_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	tollbar "github.com/tollbar/tollbar/go"
	"github.com/tollbar/tollbar/go/httplimit"
)

var greeting = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })

func limiter(t *testing.T, policy tollbar.Limit) (*tollbar.Limiter, *tollbar.ManualClock) {
	clock := tollbar.NewManualClock()
	made, err := tollbar.New(policy, tollbar.WithClock(clock))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { made.Close() })
	return made, clock
}

// get is a request to a server that lives as long.
func get(t *testing.T, handler http.Handler, user string) (int, string, string) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	request, err := http.NewRequest(http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("User", user)
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header.Get("Retry-After"), strings.TrimSpace(string(body))
}

func byUser(request *http.Request) string { return request.Header.Get("User") }

func TestWhoAsksTooOftenIsToldWhenToComeBack(t *testing.T) {
	made, clock := limiter(t, tollbar.Window{Limit: 2, Per: time.Minute})
	handler := httplimit.New(made, byUser)(greeting)
	for number, want := range []int{200, 200, 429} {
		status, after, body := get(t, handler, "a")
		if status != want || (after == "60") != (want == 429) || (body == "hello") != (want == 200) {
			t.Fatalf("%d: %d %q %q", number, status, after, body)
		}
	}
	if status, _, _ := get(t, handler, "b"); status != 200 {
		t.Fatal("b is somebody else", status)
	}
	clock.Advance(time.Minute - 1)
	if status, after, _ := get(t, handler, "a"); status != 429 || after != "1" {
		t.Fatalf("a nanosecond is a second, rounded up: %d %q", status, after)
	}
	clock.Advance(time.Second)
	if status, _, _ := get(t, handler, "a"); status != 200 {
		t.Fatal(status)
	}
}

func TestCostsAndAnAnswerOfOnesOwn(t *testing.T) {
	made, _ := limiter(t, tollbar.Window{Limit: 2, Per: time.Minute, Name: "a minute"})
	handler := httplimit.New(made, httplimit.RemoteIP,
		httplimit.Cost(func(*http.Request) uint64 { return 3 }),
		httplimit.Denied(func(w http.ResponseWriter, _ *http.Request, why tollbar.Decision) {
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, why.Limit, " ", why.Reason)
		}))(greeting)
	status, after, body := get(t, handler, "a")
	if status != http.StatusTeapot || after != "" || body != "a minute never" {
		t.Fatalf("%d %q %q", status, after, body)
	}
	left, err := made.Peek("127.0.0.1", 2)
	if err != nil || !left.Allowed {
		t.Fatal(left, err)
	}
}

func TestErrorsLetPassUnlessSaidOtherwise(t *testing.T) {
	made, _ := limiter(t, tollbar.Window{Limit: 2, Per: time.Minute})
	made.Close()
	for want, opts := range map[int][]httplimit.Option{200: nil, 503: {httplimit.FailClosed()}} {
		var told error
		opts = append(opts, httplimit.OnError(func(_ *http.Request, err error) { told = err }))
		status, _, _ := get(t, httplimit.New(made, byUser, opts...)(greeting), "a")
		if status != want || !errors.Is(told, tollbar.ErrClosed) {
			t.Errorf("%d, not %d: %v", status, want, told)
		}
	}
}

func TestKeysAndSeconds(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.7:25": "203.0.113.7", "[2001:db8::1]:25": "2001:db8::1", "@": "@",
	} {
		if got := httplimit.RemoteIP(&http.Request{RemoteAddr: address}); got != want {
			t.Errorf("%q is %q", address, got)
		}
	}
	for wait, want := range map[time.Duration]int64{
		0: 0, 1: 1, time.Second: 1, time.Second + 1: 2, tollbar.Never - 1: 9223372036,
	} {
		if got := httplimit.Seconds(wait); got != want {
			t.Errorf("%v is %d", wait, got)
		}
	}
}
