// A small SMTP server that limits each sender: a front for a relay, which here only counts what it is given.
//
//	go run . -listen 127.0.0.1:2525 -limit 10 -per 1m
//
// Who sends too much is told 451 4.7.1, as a temporary matter, and after how many seconds to come back.

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
	tollbar "github.com/tollbar/tollbar/go"
	"github.com/tollbar/tollbar/go/httplimit"
)

// lease is how long a message may take from MAIL FROM to its end. One that takes longer counts as sent.
const lease = time.Minute

// A Front takes messages for as long as their senders keep to their limits.
type Front struct {
	limiter  *tollbar.Limiter
	accepted atomic.Int64
}

// NewServer is a server with a front behind it.
func NewServer(limiter *tollbar.Limiter, address string) (*smtp.Server, *Front) {
	front := &Front{limiter: limiter}
	server := smtp.NewServer(front)
	server.Addr = address
	server.Domain = "localhost"
	server.ReadTimeout, server.WriteTimeout = 30*time.Second, 30*time.Second
	server.MaxMessageBytes = 10 << 20
	server.MaxRecipients = 50
	return server, front
}

// Accepted is how many messages were taken.
func (f *Front) Accepted() int64 { return f.accepted.Load() }

// NewSession begins a connection.
func (f *Front) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{front: f}, nil }

// A session is one connection, with one message at a time: what it takes of the sender's limit is reserved until it is known whether
// the message arrives.
type session struct {
	front    *Front
	reserved *tollbar.Reservation
}

// Mail is MAIL FROM: the moment to say no, before the message is sent.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.Reset()
	reserved, denied, err := s.front.limiter.Reserve(strings.ToLower(from), 1, tollbar.Lease(lease))
	if err != nil {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again later"}
	}
	if reserved == nil {
		return slowDown(denied)
	}
	s.reserved = reserved
	return nil
}

func slowDown(denied tollbar.Decision) error {
	message := "too many messages"
	if denied.RetryAfter != tollbar.Never {
		message = fmt.Sprintf("too many messages, retry in %d s", httplimit.Seconds(denied.RetryAfter))
	}
	return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: message}
}

// Rcpt takes every recipient.
func (s *session) Rcpt(string, *smtp.RcptOptions) error { return nil }

// Data is the message; here a relay would pass it on.
func (s *session) Data(message io.Reader) error {
	if _, err := io.Copy(io.Discard, message); err != nil {
		return err
	}
	s.reserved.Commit()
	s.reserved = nil
	s.front.accepted.Add(1)
	return nil
}

// Reset forgets a message that was begun: what was reserved for it is given back.
func (s *session) Reset() {
	if s.reserved != nil {
		s.reserved.Cancel()
		s.reserved = nil
	}
}

// Logout ends the connection.
func (s *session) Logout() error {
	s.Reset()
	return nil
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:2525", "the address to listen at")
	limit := flag.Uint64("limit", 10, "how many messages a sender may send")
	per := flag.Duration("per", time.Minute, "in which time")
	flag.Parse()
	limiter, err := tollbar.New(tollbar.Window{Limit: *limit, Per: *per}, tollbar.MaxKeys(100_000))
	if err != nil {
		return err
	}
	defer limiter.Close()
	server, front := NewServer(limiter, *listen)
	stop, done := signal.NotifyContext(context.Background(), os.Interrupt)
	defer done()
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	log.Printf("listening at %s, %d messages per %v for each sender", *listen, *limit, *per)
	select {
	case err = <-ended:
	case <-stop.Done():
		err = server.Close()
	}
	log.Printf("%d messages were accepted", front.Accepted())
	if errors.Is(err, smtp.ErrServerClosed) {
		return nil
	}
	return err
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
