"""What servers say by `Retry-After`: seconds, dates, and texts that are neither. Each counts as a 429."""

from __future__ import annotations

import math
import time
from datetime import datetime, timezone
from email.utils import format_datetime

import pytest

from tollbar import ManualClock
from tollbar._retry_after import LONGEST, seconds
from tollbar.dispatch import Rejected
from tollbar.pacing import RateLimiter, ThreadSafeRateLimiter

# Wed, 21 Oct 2026 07:28:00 GMT
DATE = datetime(2026, 10, 21, 7, 28, tzinfo=timezone.utc)
UNIX = DATE.timestamp()

READ = [
    ("20", 20),
    (" 20 ", 20),
    ("\t20\r\n", 20),
    ("0", 0),
    ("007", 7),
    ("0.503", 0.503),
    ("86400", 86_400),
    ("86401", 86_400),
    ("1792567680", 86_400),
    ("9" * 64, 86_400),
    ("Wed, 21 Oct 2026 07:28:00 GMT", 100),
    ("Wednesday, 21-Oct-26 07:28:00 GMT", 100),
    ("Wed Oct 21 07:28:00 2026", 100),
    ("Wed, 21 Oct 2026 09:28:00 +0200", 100),
    ("Wed, 21 Oct 2026 07:26:19 GMT", 0),
    ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
    ("Sun Nov  6 08:49:37 1994", 0),
    ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
]
UNREADABLE = [
    "",
    " ",
    "nan",
    "inf",
    "-5",
    "+5",
    "1e400",
    "1e2",
    "0x10",
    "1_0",
    ".5",
    "5.",
    "٢٠",
    "20\u00a0",
    "Wed, \uff12\uff11 Oct 2026 07:28:00 GMT",
    "²",
    "9" * 65,
    "9" * 5_000,
    "6m0s",
    "20 s",
    "soon",
    "20, 30",
    "2026-10-21T07:28:00Z",
    "Wed, 99 Oct 2026 07:28:00 GMT",
    "Wed, 21 Oct 99999999999999999999 07:28:00 GMT",
    "Wed, 21 Oct 2026 07:28:00 +99999999999",
    "Wed, 21 Oct 2026 07:28:00 GMT" + " " * 5_000,
    "\ud800",
    "\x00",
    b"20",
    bytearray(b"20"),
]
NAMES = {"ids": lambda text: f"{text!r:.40}"}


def paced(form=ThreadSafeRateLimiter):
    return form(20, clock=ManualClock(start=5, unix=UNIX - 100))


@pytest.mark.parametrize(("text", "expected"), READ, **NAMES)
def test_numbers_and_dates_are_read_by_the_clock_of_the_limiter(text, expected):
    assert seconds(text, UNIX - 100) == expected
    for form in (RateLimiter, ThreadSafeRateLimiter):
        limiter = paced(form)
        limiter.record_rejected(text)
        assert limiter.stats()["blocked"] == expected
        assert limiter.stats()["refused"] == 1


@pytest.mark.parametrize("text", UNREADABLE, **NAMES)
def test_what_cannot_be_read_counts_as_a_429_that_says_nothing(text):
    assert seconds(text, UNIX) is None
    told, silent = paced(), paced()
    told.record_rejected(text)
    silent.record_rejected()
    assert told.stats() == silent.stats()
    assert told.stats()["refused"] == 1
    error = Rejected("429", retry_after=text)
    assert (error.retry_after, error.after) == (None, 0.0)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone cannot be set")
def test_a_date_without_a_zone_is_not_local(monkeypatch):
    try:
        with monkeypatch.context() as patched:
            patched.setenv("TZ", "EST5")
            time.tzset()
            assert seconds("Wed Oct 21 07:28:00 2026", UNIX - 100) == 100
    finally:
        time.tzset()


def test_a_date_before_the_block_ends_does_not_shorten_it():
    limiter = paced()
    limiter.record_rejected("500")
    limiter.record_rejected("Wed, 21 Oct 2026 07:28:00 GMT")
    limiter.record_rejected("soon")
    assert limiter.stats()["blocked"] == 500


@pytest.mark.parametrize("number", [86_400, 86_400.5, 2**40, 2**63, 10**400, 1e9, 1e300], **NAMES)
def test_a_number_beyond_a_day_is_a_day(number):
    limiter = paced()
    limiter.record_rejected(number)
    assert limiter.stats()["blocked"] == LONGEST
    if number != 10**400:
        assert Rejected(retry_after=number).after == LONGEST


@pytest.mark.parametrize("number", [-1, -0.5, math.nan, math.inf, -math.inf, -(10**400)], **NAMES)
def test_a_number_that_no_server_means_is_the_callers_mistake(number):
    limiter = paced()
    with pytest.raises(ValueError, match="retry_after must be"):
        limiter.record_rejected(number)
    with pytest.raises(ValueError, match="retry_after: must be finite seconds, at least 0"):
        Rejected(retry_after=number)
    assert limiter.stats()["refused"] == 0


@pytest.mark.parametrize("thing", [True, [5], object()], ids=repr)
def test_what_is_neither_number_nor_text_is_refused(thing):
    with pytest.raises(TypeError, match="retry_after must be"):
        paced().record_rejected(thing)


def test_a_rejection_reads_the_header_by_the_systems_clock(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: UNIX - 100)
    for text, expected in READ:
        error = Rejected("429", retry_after=text)
        assert (error.retry_after, error.after) == (expected, expected)
    assert Rejected().retry_after is None


def test_the_systems_clock_is_read_where_there_is_no_other():
    limiter = ThreadSafeRateLimiter(20)
    soon = datetime.fromtimestamp(time.time() + 3_600, timezone.utc)
    limiter.record_rejected(format_datetime(soon, usegmt=True))
    assert 3_000 < limiter.stats()["blocked"] <= 3_600
