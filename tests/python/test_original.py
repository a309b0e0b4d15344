"""The drop-ins answer as the original does: random schedules through both, answer by answer."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import original
from conftest import Account, account, now
from tollbar import ManualClock, RateLimiter, RateLimitExceeded, TokenBucket

# For each of the two tests; a share of it where another interpreter does all of it.
SCHEDULES = 10_000 * int(os.environ.get("TOLLBAR_PERCENT", "100")) // 100
EVERY_SCHEDULE = settings(
    max_examples=SCHEDULES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)

# Nanoseconds to let pass: bursts, pauses of a refill or so, and long silences.
PAUSES = st.one_of(
    st.just(0),
    st.integers(1, 10**9),
    st.integers(10**9, 10**12),
    st.integers(10**12, 10**14),
)


def admits(limiter: RateLimiter, email: str, who: Account | None, tokens: int) -> bool:
    try:
        assert now(limiter.acquire(email, account=who, tokens=tokens)) is True
    except RateLimitExceeded:
        return False
    return True


@EVERY_SCHEDULE
@given(
    capacity=st.integers(1, 30_000),  # at a token an hour, what a bucket may hold
    per_second=st.fractions(min_value="1/3600", max_value=8000, max_denominator=3600),
    steps=st.lists(st.tuples(PAUSES, st.integers(0, 120)), min_size=1, max_size=12),
    start=st.integers(0, 10**15),
)
def test_a_bucket_answers_as_the_original(capacity, per_second, steps, start):
    clock = ManualClock()
    clock.advance_ns(start)
    rate = float(per_second)
    bucket, model = TokenBucket(capacity, rate, clock=clock), original.Bucket(capacity, rate, clock.now_ns())
    for pause, share in steps:
        clock.advance_ns(pause)
        tokens = max(1, capacity * share // 100) if share else 0
        if model.is_near_a_tie(tokens, clock.now_ns()):
            continue
        assert now(bucket.acquire(tokens)) is model.acquire(tokens, clock.now_ns())
        assert abs(bucket.tokens - model.tokens) <= 1e-6 * capacity


@EVERY_SCHEDULE
@given(
    default=st.integers(1, 20_000),
    limits=st.lists(st.one_of(st.none(), st.integers(0, 20_000)), min_size=1, max_size=4),
    steps=st.lists(
        st.tuples(PAUSES, st.integers(0, 3), st.one_of(st.integers(1, 3), st.integers(1, 20_000))),
        min_size=1,
        max_size=16,
    ),
)
def test_a_limiter_answers_as_the_original(default, limits, steps):
    clock = ManualClock()
    limiter, model = RateLimiter(default, clock=clock, log_interval=None), original.Limiter(default)
    accounts = [Account(None) if limit is None else account(limit) for limit in limits]
    for pause, number, tokens in steps:
        clock.advance_ns(pause)
        which = number % len(limits)
        email = f"account{which}@example.org"
        bucket = model.bucket(email, limits[which], clock.now_ns())
        if bucket.is_near_a_tie(tokens, clock.now_ns()):
            continue
        expected = bucket.acquire(tokens, clock.now_ns())
        assert admits(limiter, email, accounts[which], tokens) is expected
        assert abs(limiter.buckets[email].tokens - bucket.tokens) <= 1e-6 * max(1, bucket.capacity)
    assert set(limiter.buckets) == set(model.buckets)
