"""Keys are text, told apart by their UTF-8 bytes and by nothing else."""

from __future__ import annotations

import unicodedata

import pytest

from conftest import now
from tollbar import Limiter, Rate, RateLimiter

LOOKALIKES = [
    "",
    " ",
    "a",
    "A",
    "a\0",
    "a\0b",
    "\0",
    "a\n",
    "a\r\n",
    "\n",
    "{}",
    "{0}",
    "%s",
    "*",
    "'; --",
    "5",
    "5.0",
    unicodedata.normalize("NFC", "é@example.org"),
    unicodedata.normalize("NFD", "é@example.org"),
    "e@example.org",
    "E@EXAMPLE.ORG",
    "ß",
    "ss",
    "\N{FULLWIDTH LATIN SMALL LETTER A}",
    "\N{CYRILLIC SMALL LETTER A}",
    "\U0001f4e8",
    "x" * 255 + "1",
    "x" * 255 + "2",
    "x" * 255,
    "y" * 2**20,
    "y" * (2**20 - 1) + "z",
]


@pytest.mark.hazard("keys-distinct")
def test_keys_that_look_alike_are_accounts_of_their_own(clock):
    limiter, mail = Limiter(Rate(3, 1), clock=clock), RateLimiter(3, clock=clock)
    for spent, key in enumerate(LOOKALIKES):
        cost = spent % 4
        assert limiter.try_acquire(key, cost)
        assert now(mail.acquire(key, tokens=cost)) is True
    assert len(limiter) == len(mail.buckets) == len(LOOKALIKES)
    for spent, key in enumerate(LOOKALIKES):
        assert limiter.peek(key).remaining == 3 - spent % 4
        assert mail.buckets[key].tokens == 3 - spent % 4
    assert set(mail.buckets) == set(LOOKALIKES)


@pytest.mark.hazard("keys-distinct")
def test_equal_text_is_one_account_whatever_its_object():
    class Email(str):
        __slots__ = ()

    limiter = Limiter(Rate(2, 3600))
    assert limiter.try_acquire("user@example.org")
    assert limiter.try_acquire(Email("user@" + "example.org"))
    assert not limiter.try_acquire("user@example.org")


@pytest.mark.hazard("keys-refused")
def test_what_is_no_key_is_refused(clock):
    limiter, mail = Limiter(Rate(3, 1), clock=clock), RateLimiter(3, clock=clock)
    calls = [limiter.try_acquire, limiter.decide, limiter.peek, limiter.reset]
    calls += [mail.try_acquire, mail.reconfigure]
    awaited = [mail.acquire, mail.check_rate_limit, mail.get_or_create_bucket]
    calls += [lambda key, call=call: now(call(key)) for call in awaited]
    for call in calls:
        for bad in (5, 5.0, None, b"a", b"\xff", ["a"], object()):
            with pytest.raises(TypeError):
                call(bad)
        for bad in ("\ud800", "a\udcffb"):
            with pytest.raises(UnicodeEncodeError):
                call(bad)
        with pytest.raises(ValueError, match="key must be at most 1048576 bytes, not 1048577"):
            call("x" * (2**20 + 1))
    assert len(limiter) == len(mail.buckets) == 0


@pytest.mark.hazard("cost-invalid")
def test_a_bad_cost_charges_nothing_and_creates_nothing(clock):
    limiter, mail = Limiter(Rate(3, 1), clock=clock), RateLimiter(3, clock=clock)
    for call in (limiter.try_acquire, limiter.decide, limiter.peek, mail.try_acquire):
        for bad in (-1, float("nan"), 0.5, float("inf")):
            with pytest.raises(ValueError, match=r"(cost|tokens) must be"):
                call("a", bad)
        for bad in ("1", None, True, b"1"):
            with pytest.raises(TypeError, match="cost|tokens"):
                call("a", bad)
    with pytest.raises(ValueError, match="tokens must be at least 0, not -1"):
        mail.acquire("a", None, -1)
    assert len(limiter) == len(mail.buckets) == 0


@pytest.mark.hazard("cost-above-capacity")
def test_a_request_above_the_burst_leaves_no_trace(clock):
    limiter = Limiter(Rate(3, 1), clock=clock)
    for huge in (4, 2**64, 10**30):
        assert limiter.decide("a", huge).reason == "never"
    assert len(limiter) == 0


@pytest.mark.hazard("cost-zero")
def test_a_cost_of_zero(clock):
    limiter = Limiter(Rate(3, 1), clock=clock)
    assert limiter.try_acquire("a", 0)
    assert limiter.try_acquire("a", 3)
    decision = limiter.decide("a", 0)
    assert (decision.allowed, decision.remaining) == (True, 0)
