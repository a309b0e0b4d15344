// Every verb once, and what it says when it says no.

package tollbar

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTryAcquireTakesWhatIsThere(t *testing.T) {
	limiter, clock := made(t, Rate{Limit: 2, Per: time.Second})
	for _, want := range []bool{true, true, false} {
		if got := ok(limiter.TryAcquire("a", 1)); got != want {
			t.Fatalf("%v, not %v", got, want)
		}
	}
	clock.Advance(500 * time.Millisecond)
	if allowed, err := limiter.TryAcquireBytes([]byte("a"), 1); !allowed || err != nil {
		t.Fatal(allowed, err)
	}
	if allowed, err := limiter.TryAcquire("a", 0); !allowed || err != nil {
		t.Fatal("a cost of nothing passes", allowed, err)
	}
}

func TestADecisionSaysWhatToDo(t *testing.T) {
	limiter, clock := made(t, Policy{
		Rate{Limit: 10, Per: time.Second, Name: "a second"},
		Window{Limit: 10, Per: time.Minute, Name: "a minute"},
	})
	got := ok(limiter.Decide("a", 10))
	want := Decision{Allowed: true, ResetAfter: time.Minute}
	if got != want {
		t.Fatalf("%+v", got)
	}
	clock.Advance(time.Second)
	for _, ask := range []func(string, uint64) (Decision, error){limiter.Peek, limiter.Decide} {
		got = ok(ask("a", 1))
		want = Decision{
			Reason: ReasonWindow, RetryAfter: 59 * time.Second, ResetAfter: 59 * time.Second, Limit: "a minute",
		}
		if got != want {
			t.Fatalf("%+v", got)
		}
	}
	got = ok(limiter.Decide("a", 11))
	if got.Reason != ReasonNever || got.RetryAfter != Never {
		t.Fatalf("%+v", got)
	}
	for reason, word := range map[Reason]string{
		ReasonNone: "", ReasonRate: "rate", ReasonWindow: "window", ReasonInFlight: "in_flight",
		ReasonJail: "jail", ReasonNever: "never", ReasonFull: "full", ReasonClosed: "closed", ReasonBlocked: "blocked",
	} {
		if reason.String() != word {
			t.Errorf("%d is %q, not %q", reason, reason, word)
		}
	}
}

// HAZARD c-keys
// HAZARD keys-distinct
func TestKeysAreBytesAndDiffer(t *testing.T) {
	limiter, _ := made(t, Rate{Limit: 1, Per: time.Hour})
	keys := []string{
		"", "\x00", "\x00\x00", "a", "a\x00", "a\x00b", "a\x00c", "\xff\xfe", "ключ",
		strings.Repeat("k", 40), strings.Repeat("k", 41), strings.Repeat("k", MaxKeyLen),
	}
	for _, want := range []bool{true, false} {
		for _, key := range keys {
			if got := ok(limiter.TryAcquire(key, 1)); got != want {
				t.Errorf("%.20q: %v, not %v", key, got, want)
			}
			if got := ok(limiter.Contains(key)); !got {
				t.Errorf("%.20q is not there", key)
			}
		}
	}
	// The bytes are copied: whoever writes over them later has another key, and not the old one under a new name.
	room := []byte("mine")
	ok(limiter.TryAcquireBytes(room, 1))
	copy(room, "your")
	if ok(limiter.TryAcquire("mine", 1)) || !ok(limiter.TryAcquireBytes(room, 1)) {
		t.Error("a key changed with the memory that it came from")
	}
	if !ok(limiter.TryAcquireBytes(nil, 0)) {
		t.Error("no bytes are the empty key")
	}
}

// HAZARD c-lengths
func TestKeysThatAreTooLongAreRefusedEverywhere(t *testing.T) {
	limiter, _ := made(t, Rate{Limit: 5, Per: time.Hour})
	long := strings.Repeat("k", MaxKeyLen+1)
	calls := map[string]func() error{
		"TryAcquire":      func() error { _, err := limiter.TryAcquire(long, 1); return err },
		"TryAcquireBytes": func() error { _, err := limiter.TryAcquireBytes(bytes.Repeat([]byte("k"), len(long)), 1); return err },
		"Decide":          func() error { _, err := limiter.Decide(long, 1); return err },
		"Peek":            func() error { _, err := limiter.Peek(long, 1); return err },
		"Bucket":          func() error { _, err := limiter.Bucket(long); return err },
		"Reserve":         func() error { _, _, err := limiter.Reserve(long, 1); return err },
		"Acquire":         func() error { return limiter.Acquire(background, long, 1) },
		"Reset":           func() error { _, err := limiter.Reset(long); return err },
		"TryAcquireAll":   func() error { _, err := limiter.TryAcquireAll([]string{"a", long}, 1); return err },
		"TryAcquireMany": func() error {
			_, err := limiter.TryAcquireMany([]string{"a", long}, 1, make([]bool, 2))
			return err
		},
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, ErrKeyTooLong) || errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if ok(limiter.Contains("a")) {
		t.Error("a batch with a bad key has charged a good one")
	}
}

func TestManyKeysAreAnsweredInTurn(t *testing.T) {
	limiter, _ := made(t, Rate{Limit: 1, Per: time.Hour})
	answers := []bool{false, true, false, true, true}
	passed, err := limiter.TryAcquireMany([]string{"a", "b", "a", ""}, 1, answers)
	if want := []bool{true, true, false, true, true}; err != nil || passed != 3 || !reflect.DeepEqual(answers, want) {
		t.Fatal(passed, answers, err)
	}
	if passed, err = limiter.TryAcquireMany(nil, 1, nil); passed != 0 || err != nil {
		t.Fatal(passed, err)
	}
	if _, err = limiter.TryAcquireMany([]string{"c"}, 1, nil); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	many := make([]string, 100_000)
	for at := range many {
		many[at] = strings.Repeat("m", at%50)
	}
	if passed, err = limiter.TryAcquireMany(many, 1, make([]bool, len(many))); passed != 49 || err != nil {
		t.Fatal("one for each length but 0, which was asked for before", passed, err)
	}
}

func TestAllKeysOrNone(t *testing.T) {
	limiter, _ := made(t, Rate{Limit: 5, Per: time.Hour})
	keys := []string{"everybody", "example.org", "someone"}
	joint := ok(limiter.TryAcquireAll(keys, 3))
	if !joint.Allowed || joint.Remaining != 2 || joint.Key != "" {
		t.Fatalf("%+v", joint)
	}
	ok(limiter.TryAcquire("example.org", 2))
	joint = ok(limiter.TryAcquireAll(keys, 1))
	if joint.Allowed || joint.Key != "example.org" || joint.Reason != ReasonRate {
		t.Fatalf("%+v", joint)
	}
	if left := ok(limiter.Peek("someone", 0)).Remaining; left != 2 {
		t.Fatal("something was taken", left)
	}
	many := make([]string, 100)
	for at := range many {
		many[at] = strings.Repeat("m", at)
	}
	if joint = ok(limiter.TryAcquireAll(many, 5)); !joint.Allowed || joint.Remaining != 0 {
		t.Fatalf("%+v", joint)
	}
	many[99] = "someone"
	if joint = ok(limiter.TryAcquireAll(many, 1)); joint.Allowed || joint.Key == "someone" {
		t.Fatalf("%+v", joint)
	}
	for _, wrong := range [][]string{nil, {"a", "a"}} {
		if _, err := limiter.TryAcquireAll(wrong, 1); !errors.Is(err, ErrInvalid) {
			t.Error(wrong, err)
		}
	}
}

func TestABucketIsItsKeysAccount(t *testing.T) {
	limiter, _ := made(t, Rate{Limit: 2, Per: time.Hour}, MaxKeys(1))
	bucket := ok(limiter.Bucket("a"))
	if !ok(bucket.TryAcquire(1)) || !ok(limiter.TryAcquire("a", 1)) {
		t.Fatal("two tokens were there")
	}
	if ok(bucket.TryAcquire(1)) {
		t.Fatal("a third was not")
	}
	if told := ok(bucket.Peek(1)); told.Reason != ReasonRate || told.RetryAfter != 30*time.Minute {
		t.Fatalf("%+v", told)
	}
	if _, err := limiter.Bucket("b"); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	limiter.Close()
	if _, err := bucket.TryAcquire(0); err != nil {
		t.Fatal("it outlives the limiter's handle", err)
	}
	bucket.Close()
	bucket.Close()
	if _, err := bucket.TryAcquire(0); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestWhatIsDoneAboutAKey(t *testing.T) {
	limiter, clock := made(t, Policy{
		Rate{Limit: 4, Per: time.Hour},
		Jail{Denials: 2, Within: time.Minute, Duration: time.Hour, Factor: 2},
		Window{Limit: 1, Per: time.Hour, Name: "tried out", Shadow: true},
	})
	if told := ok(limiter.Decide("a", 4)); !told.Allowed || !told.Shadowed || told.Limit != "tried out" {
		t.Fatalf("%+v", told)
	}
	if ok(limiter.Penalize("a")) || !ok(limiter.Penalize("a")) {
		t.Fatal("two denials are a timeout, one is not")
	}
	if told := ok(limiter.Peek("a", 1)); told.Reason != ReasonJail || told.RetryAfter != time.Hour {
		t.Fatalf("%+v", told)
	}
	if !ok(limiter.Release("a")) || ok(limiter.Release("a")) {
		t.Fatal("a timeout ends once")
	}
	if !ok(limiter.Reconfigure("a", Rate{Limit: 6, Per: time.Hour}, AsIs)) {
		t.Fatal("it is known")
	}
	if left := ok(limiter.Peek("a", 0)).Remaining; left != 2 {
		t.Fatal(left)
	}
	if ok(limiter.Reconfigure("b", Rate{Limit: 6, Per: time.Hour}, AsIs)) {
		t.Fatal("b is unknown")
	}
	if !ok(limiter.Reset("a")) || ok(limiter.Reset("b")) {
		t.Fatal("a is known, b is not")
	}
	tariff := ok(limiter.WithPolicy(Rate{Limit: 9, Per: time.Hour}))
	defer tariff.Close()
	if left := ok(tariff.Decide("c", 1)).Remaining; left != 8 {
		t.Fatal(left)
	}
	if left := ok(limiter.Peek("c", 0)).Remaining; left != 8 {
		t.Fatal("an account keeps its policy, whoever asks", left)
	}
	clock.Advance(time.Second)
	totals := ok(limiter.Stats())
	// Also b's, which has no account yet.
	want := Totals{Allowed: 2, ShadowDenied: 1, Keys: 2, OwnLimits: 2}
	totals.MostLooks = 0
	if want.Denied = totals.Denied; totals != want {
		t.Fatalf("%+v", totals)
	}
	if count := ok(limiter.ShadowDenied("tried out")); count != 1 {
		t.Fatal(count)
	}
	if count := ok(limiter.ShadowDenied("no such limit")); count != 0 {
		t.Fatal(count)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	per := time.Second
	for _, one := range []struct {
		policy Limit
		opts   []Option
		says   string
	}{
		{nil, nil, "policy must have a limit"},
		{Policy{}, nil, "policy must have a limit"},
		{Policy{nil}, nil, "limit 1: limit must be one, not nil"},
		{Rate{Limit: 1}, nil, "limit 1: "},
		{Rate{Limit: 1, Per: -1}, nil, "limit 1: Per must not be negative, not -1ns"},
		{Policy{InFlight{Limit: 1}, Rate{Limit: 2, Per: per, Burst: 2, Strict: true}}, nil, "limit 2: "},
		{Policy{Rate{Limit: 1, Per: per}, Rate{Limit: 1, Per: per}}, nil, "name"},
		{Rate{Limit: 1, Per: per, Name: "\xff"}, nil, "name must be UTF-8"},
		{Jail{Denials: 1, Within: per, Duration: per, Factor: 0.5}, nil, "factor"},
		{Rate{Limit: 1, Per: per}, []Option{MaxKeys(0)}, "max_keys must be at least 1, not 0"},
		{Rate{Limit: 1, Per: per}, []Option{MaxKeys(1 << 30)}, "max_keys"},
		{Rate{Limit: 1, Per: per}, []Option{WhenTableIsFull(9)}, "when_full must be"},
		{Rate{Limit: 1, Per: per}, []Option{WithClock(nil)}, "clock must be one, not nil"},
	} {
		limiter, err := New(one.policy, one.opts...)
		if limiter != nil || !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), one.says) {
			t.Errorf("%+v: %v, which does not say %q", one.policy, err, one.says)
		}
	}
	limiter, _ := made(t, Rate{Limit: 1, Per: per})
	for _, term := range []Term{Lease(0), Lease(-1), Priority(0)} {
		if _, _, err := limiter.Reserve("a", 1, term); !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
	}
	for _, term := range []Term{Lease(per), GiveBack(), Priority(-1), Priority(128)} {
		if err := limiter.Acquire(background, "a", 1, term); !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
	}
	if ok(limiter.Contains("a")) {
		t.Error("a mistake has made an account")
	}
	if !strings.HasPrefix(Version(), "0.") {
		t.Error(Version())
	}
}
