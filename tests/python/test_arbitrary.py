"""Anything for a key or a number: an answer or a clear refusal, and a refusal charges nothing."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollbar import InFlight, Limiter, ManualClock, Rate, RateLimiter, RateLimitExceeded, TokenBucket, Window

EXAMPLES = int(os.environ.get("TOLLBAR_EXAMPLES", "300"))
REFUSALS = (TypeError, ValueError, OverflowError)  # UnicodeEncodeError is a ValueError

ODD_KEYS = ["", "a\0b", "a", "\r\n", "x" * 41, "x" * ((1 << 20) + 1), b"a", None, 5, 0.5, ("a",), ["a"]]
ODD_NUMBERS = [1 << 63, 1 << 64, -1, 1e308, 5e-324, True, None, "5", b"5", 2.0, 1j, (1,), float("nan")]

surrogates = st.text(st.characters(min_codepoint=0xD7F0, max_codepoint=0xE010))
keys = st.one_of(st.text(), surrogates, st.sampled_from(ODD_KEYS))
numbers = st.one_of(st.integers(), st.integers(-2, 6), st.floats(), st.sampled_from(ODD_NUMBERS))
calls = st.sampled_from(["try_acquire", "decide", "peek", "plan", "reserve", "release", "penalize", "reset"])


def answered(call, *arguments):
    """The answer, or None where the call was refused in words."""
    try:
        return call(*arguments)
    except REFUSALS as error:
        if not str(error):
            raise AssertionError("a refusal without a word") from error
        return None


@pytest.mark.hazard("cost-invalid")
@pytest.mark.hazard("keys-refused")
@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(calls, keys, numbers), max_size=20))
def test_any_key_and_cost_is_answered_or_refused(asked):
    limits = Rate(5, per=60), Window(7, per=60), InFlight(3)
    limiter = Limiter(*limits, max_keys=100, clock=ManualClock())
    for call, key, cost in asked:
        before = limiter.stats()
        alone = call in ("release", "penalize", "reset")
        answer = answered(getattr(limiter, call), *([key] if alone else [key, cost]))
        if answer is None and call != "plan":
            assert limiter.stats() == before, (call, key, cost)
            continue
        assert isinstance(key, str) or call == "plan"
        if call == "reserve":
            assert bool(answer) == answer.decision.allowed
            answer.cancel()
        if call in ("try_acquire", "decide") and answer:
            assert 0 <= int(cost) <= 5


@pytest.mark.hazard("construction-values")
@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from([Rate, Window, TokenBucket, InFlight, RateLimiter]), numbers, numbers, numbers)
def test_any_limit_is_made_or_refused(kind, first, second, cost):
    made = answered(kind, *([first] if kind in (InFlight, RateLimiter) else [first, second]))
    if made is not None and kind in (Rate, Window, InFlight):
        made = answered(Limiter, made)
    if made is not None:
        name = [] if kind is TokenBucket else ["a"]
        assert answered(made.try_acquire, *name, cost) in (True, False, None)


def awaited(awaitable):
    try:
        awaitable.send(None)
    except StopIteration as allowed:
        return allowed.value
    raise AssertionError("it waits")


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(keys, numbers), max_size=20))
def test_the_drop_in_answers_or_refuses(asked):
    limiter = RateLimiter(5, max_buckets=50, clock=ManualClock())
    for key, tokens in asked:
        before = limiter.get_stats()
        try:
            answer = answered(lambda key=key, tokens=tokens: awaited(limiter.acquire(key, None, tokens)))
        except RateLimitExceeded as denied:
            answer = denied.account_email == key
        if answer is None:
            assert limiter.get_stats() == before, (key, tokens)
        else:
            assert answer is True
