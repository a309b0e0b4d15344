// A real server on the loopback interface, and real messages.

package main

import (
	"errors"
	"net"
	netsmtp "net/smtp"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	tollbar "github.com/tollbar/tollbar/go"
)

// A running front, and where it is.
func serve(t *testing.T, limiter *tollbar.Limiter) (*Front, string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, front := NewServer(limiter, listener.Addr().String())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
		if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
			t.Error("it listens on")
		}
	})
	return front, listener.Addr().String()
}

func send(address, from string) error {
	body := []byte("Subject: hello\r\n\r\nhello\r\n")
	return netsmtp.SendMail(address, nil, from, []string{"you@example.org"}, body)
}

func made(t *testing.T, policy tollbar.Limit) (*tollbar.Limiter, *tollbar.ManualClock) {
	clock := tollbar.NewManualClock()
	limiter, err := tollbar.New(policy, tollbar.WithClock(clock))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { limiter.Close() })
	return limiter, clock
}

func TestExactlyTheAllowedNumberIsAccepted(t *testing.T) {
	limiter, clock := made(t, tollbar.Window{Limit: 5, Per: time.Minute})
	front, address := serve(t, limiter)
	// Ten from each of three at once: five of each pass, however they meet.
	var all sync.WaitGroup
	errs := make(chan error, 30)
	for _, from := range []string{"a@example.org", "b@example.org", "c@example.org"} {
		for number := 0; number < 10; number++ {
			from := from
			if number%2 == 1 {
				from = strings.ToUpper(from) // the same sender
			}
			all.Add(1)
			go func() {
				defer all.Done()
				errs <- send(address, from)
			}()
		}
	}
	all.Wait()
	close(errs)
	// While another message is under way it is not known when it will have been sent: at the end of its lease, at the latest.
	underWay := "4.7.1 too many messages, retry in 120 s"
	passed := 0
	for err := range errs {
		var refused *textproto.Error
		switch {
		case err == nil:
			passed++
		case !errors.As(err, &refused) || refused.Code != 451 ||
			refused.Msg != "4.7.1 too many messages, retry in 60 s" && refused.Msg != underWay:
			t.Error(err)
		}
	}
	if passed != 15 || front.Accepted() != 15 {
		t.Fatalf("%d were told yes, %d arrived, and not 15", passed, front.Accepted())
	}
	clock.Advance(time.Minute)
	if err := send(address, "a@example.org"); err != nil || front.Accepted() != 16 {
		t.Fatal("a minute later it is as said", err)
	}
}

func TestAMessageThatDoesNotArriveIsGivenBack(t *testing.T) {
	limiter, _ := made(t, tollbar.Window{Limit: 1, Per: time.Hour})
	front, address := serve(t, limiter)
	client, err := netsmtp.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for try := 0; try < 3; try++ {
		if err := client.Mail("a@example.org"); err != nil {
			t.Fatal("what was begun and given up takes nothing", err)
		}
		if err := send(address, "a@example.org"); err == nil {
			t.Fatal("while it is under way, there is no room for another")
		}
		if err := client.Reset(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Mail("a@example.org"); err != nil {
		t.Fatal(err)
	}
	if err := client.Quit(); err != nil {
		t.Fatal(err)
	}
	if front.Accepted() != 0 {
		t.Fatal(front.Accepted())
	}
}

func TestWhenTheLimiterIsGoneItIsATemporaryError(t *testing.T) {
	limiter, _ := made(t, tollbar.Window{Limit: 1, Per: time.Hour})
	limiter.Close()
	front, address := serve(t, limiter)
	var refused *textproto.Error
	if err := send(address, "a@example.org"); !errors.As(err, &refused) || refused.Code != 451 || front.Accepted() != 0 {
		t.Fatal(err)
	}
}
