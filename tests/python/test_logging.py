"""Denials are logged once per account and interval, with the number of those that were not."""

from __future__ import annotations

import logging

import pytest

from conftest import account, now
from tollbar import RateLimiter, RateLimitExceeded


def lines(caplog):
    assert {record.name for record in caplog.records} <= {"tollbar"}
    assert {record.levelno for record in caplog.records} <= {logging.WARNING}
    messages = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return messages


def deny(limiter, email, times):
    for _ in range(times):
        with pytest.raises(RateLimitExceeded):
            now(limiter.acquire(email))


def test_once_an_account_and_interval(clock, caplog):
    limiter = RateLimiter(1, clock=clock)
    for email in ("a", "b"):
        limiter.try_acquire(email)
    assert lines(caplog) == []
    deny(limiter, "a", 5)
    deny(limiter, "b", 2)
    assert lines(caplog) == [
        "Rate limit exceeded for a (1 per 3600 s): retry in 3600.0 s",
        "Rate limit exceeded for b (1 per 3600 s): retry in 3600.0 s",
    ]
    clock.advance(59)
    assert not limiter.try_acquire("a")
    assert lines(caplog) == []
    clock.advance(1)
    deny(limiter, "a", 3)
    assert lines(caplog) == [
        "Rate limit exceeded for a (1 per 3600 s): retry in 3540.0 s (5 more since the last such line)"
    ]


def test_who_follows_in_a_full_table_is_told_at_once(clock, caplog):
    limiter = RateLimiter(1, max_buckets=1, clock=clock)
    limiter.try_acquire("a")
    deny(limiter, "a", 3)
    limiter.try_acquire("b")  # takes the place of "a", and its memory
    caplog.clear()
    deny(limiter, "b", 2)
    assert lines(caplog) == ["Rate limit exceeded for b (1 per 3600 s): retry in 3600.0 s"]


def test_the_interval_is_the_callers(clock, caplog):
    every, never = RateLimiter(1, log_interval=0, clock=clock), RateLimiter(1, log_interval=None, clock=clock)
    for limiter in (every, never):
        limiter.try_acquire("a")
        deny(limiter, "a", 4)
    assert len(lines(caplog)) == 4


def test_messages_say_why(clock, caplog):
    limiter = RateLimiter(5, clock=clock, log_interval=0, max_buckets=3, when_full="deny")
    limiter.try_acquire("a", 6)
    limiter.try_acquire("closed", account=account(0))
    limiter.try_acquire("odd%s{}", 5)
    limiter.try_acquire("odd%s{}")
    limiter.buckets["a"].try_acquire()
    assert lines(caplog) == [
        "Rate limit exceeded for a (5 per 3600 s): 6 tokens are more than a full bucket holds",
        "Rate limit exceeded for closed (closed): this account may not send",
        "Rate limit exceeded for odd%s{} (5 per 3600 s): retry in 720.0 s",
    ]


def test_a_bucket_of_its_own_and_a_check_log_nothing(clock, caplog):
    limiter = RateLimiter(1, clock=clock)
    bucket = now(limiter.get_or_create_bucket("a"))
    assert bucket.try_acquire()
    assert not bucket.try_acquire()
    assert now(limiter.check_rate_limit("a")) is False
    assert lines(caplog) == []
    deny(limiter, "a", 1)
    assert len(lines(caplog)) == 1, "and did not use up the account's line"


def test_a_handler_may_use_the_limiter_and_may_fail(clock, monkeypatch):
    reported = []
    monkeypatch.setattr("sys.unraisablehook", lambda report: reported.append(report.exc_value))
    limiter = RateLimiter(1, clock=clock)

    class Handler(logging.Handler):
        def emit(self, record):
            assert record
            self.seen = limiter.get_stats()["accounts"]
            limiter.try_acquire("from the handler")
            raise RuntimeError("a broken handler")

    handler, logger = Handler(), logging.getLogger("tollbar")
    logger.addHandler(handler)
    try:
        limiter.try_acquire("a")
        with pytest.raises(RateLimitExceeded):
            now(limiter.acquire("a"))
    finally:
        logger.removeHandler(handler)
    assert handler.seen == 1
    assert str(reported[0]) == "a broken handler", "the decision stands, whatever the log does"
    assert "from the handler" in limiter.buckets
