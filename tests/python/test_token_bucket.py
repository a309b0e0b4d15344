"""TokenBucket: the original's contract, and what a bucket is worth."""

from __future__ import annotations

import copy
import math
import pickle
from datetime import datetime, timedelta, timezone

import pytest

from conftest import now
from tollbar import ManualClock, TokenBucket

HUGE = [2**63, 2**64 - 1, 2**64, 10**30]


def test_a_bucket_starts_full_and_refills_exactly(clock):
    bucket = TokenBucket(10, 10 / 3600, clock=clock)
    assert [now(bucket.acquire()) for _ in range(11)] == [True] * 10 + [False]
    clock.advance_ns(360 * 10**9 - 1)
    assert now(bucket.acquire()) is False
    clock.advance_ns(1)
    assert now(bucket.acquire()) is True
    assert now(bucket.acquire()) is False


def test_the_originals_calls_and_attributes(clock):
    bucket = TokenBucket(capacity=100, refill_rate=100 / 3600, clock=clock)
    assert now(bucket.acquire(tokens=30, timeout=0.5)) is True
    assert now(bucket.acquire(30, None)) is True
    assert now(bucket._refill()) is None
    assert bucket.get_state() == {"tokens": 40.0, "capacity": 100, "refill_rate": 100 / 3600}
    assert (bucket.capacity, bucket.refill_rate, bucket.tokens) == (100, 100 / 3600, 40.0)
    assert isinstance(bucket.capacity, int)
    clock.advance(36)
    assert bucket.tokens == pytest.approx(41, abs=1e-9)
    assert bucket.try_acquire(41) is True
    assert bucket.try_acquire() is False
    with pytest.raises(AttributeError):
        bucket.tokens = 100.0


def test_last_refill_is_the_reading_in_utc(clock):
    bucket = TokenBucket(5, 1, clock=clock)
    start = datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)
    assert bucket.last_refill == start
    clock.advance(90.5)
    assert bucket.last_refill == start + timedelta(seconds=90.5)
    assert bucket.last_refill.utcoffset() == timedelta(0)
    assert abs(TokenBucket(5, 1).last_refill - datetime.now(timezone.utc)) < timedelta(hours=1)


@pytest.mark.hazard("construction-values")
@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf, -math.inf, 1e308, 5e-324, *HUGE, 1.5])
def test_a_capacity_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match="capacity"):
        TokenBucket(bad, 1.0)


@pytest.mark.hazard("construction-values")
@pytest.mark.parametrize("bad", [0, 0.0, -1, math.nan, math.inf, -math.inf, 1e308, 5e-324, *HUGE])
def test_a_rate_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match="refill_rate|limit"):
        TokenBucket(5, bad)


@pytest.mark.hazard("construction-values")
@pytest.mark.parametrize("bad", ["5", True, None, b"5", [5]])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(TypeError, match="capacity"):
        TokenBucket(bad, 1.0)
    with pytest.raises(TypeError, match="refill_rate"):
        TokenBucket(5, bad)


@pytest.mark.hazard("construction-range")
def test_beyond_the_range_is_refused_by_name():
    with pytest.raises(ValueError, match=r"10,000,000|1e7"):
        TokenBucket(5, 1.0001e7)
    with pytest.raises(ValueError, match=r"capacity must refill within 4\.5 years"):
        TokenBucket(2**32 - 1, 1.0)


@pytest.mark.hazard("construction-exact")
def test_the_ends_of_the_range_are_exact(clock):
    one = TokenBucket(1, 1 / (100 * 86_400), clock=clock)
    assert one.try_acquire()
    clock.advance_ns(100 * 86_400 * 10**9 - 1)
    assert not one.try_acquire()
    clock.advance_ns(1)
    assert one.try_acquire()
    wide = TokenBucket(2**32 - 1, 1000, clock=clock)
    assert wide.try_acquire(2**32 - 1)
    assert not wide.try_acquire()
    clock.advance_ns(10**6)
    assert wide.try_acquire()
    assert not wide.try_acquire()


@pytest.mark.hazard("cost-zero")
def test_a_cost_of_zero_takes_nothing_and_passes(clock):
    bucket = TokenBucket(1, 1, clock=clock)
    assert now(bucket.acquire(0)) is True
    assert bucket.tokens == 1.0
    assert bucket.try_acquire()
    assert bucket.try_acquire(0)


@pytest.mark.hazard("cost-invalid")
@pytest.mark.parametrize("bad", [-1, -(2**70), math.nan, math.inf, 0.5, -1.0])
def test_a_cost_that_is_none_is_refused_and_charges_nothing(bad, clock):
    bucket = TokenBucket(5, 1, clock=clock)
    for call in (bucket.acquire, bucket.try_acquire):
        with pytest.raises(ValueError, match="tokens must be"):
            call(bad)
    for text in ("1", None, True, b"1"):
        with pytest.raises(TypeError, match="tokens"):
            bucket.try_acquire(text)
    assert bucket.tokens == 5.0


@pytest.mark.hazard("cost-above-capacity")
@pytest.mark.parametrize("huge", [6, 2**63, 2**64, 10**30, 1e19])
def test_more_than_a_full_bucket_is_never(huge, clock):
    bucket = TokenBucket(5, 1, clock=clock)
    assert now(bucket.acquire(huge)) is False
    assert bucket.tokens == 5.0


def test_whole_floats_and_numbers_with_an_index_are_numbers(clock):
    class Five:
        def __index__(self) -> int:
            return 5

    bucket = TokenBucket(10.0, 1, clock=clock)
    assert bucket.try_acquire(Five())
    assert bucket.try_acquire(5.0)
    assert not bucket.try_acquire()


@pytest.mark.hazard("python-copy")
def test_a_bucket_cannot_be_copied_into_a_second_budget():
    bucket = TokenBucket(5, 1)
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            attempt(bucket)


def test_buckets_of_their_own_are_equal_to_themselves_alone():
    one, other = TokenBucket(5, 1), TokenBucket(5, 1)
    assert one == one  # noqa: PLR0124
    assert one != other
    assert len({one, other, one}) == 2
    assert one != "bucket"


def test_it_can_be_subclassed_and_says_what_it_is(clock):
    class Named(TokenBucket):
        name = "mine"

    bucket = Named(5, 0.5, clock=clock)
    assert bucket.try_acquire()
    assert repr(bucket) == "TokenBucket(capacity=5, refill_rate=0.5, tokens=4.000)"


@pytest.mark.hazard("clock-zero")
def test_a_first_reading_of_zero():
    bucket = TokenBucket(2, 1, clock=ManualClock())
    assert [bucket.try_acquire() for _ in range(3)] == [True, True, False]


@pytest.mark.hazard("clock-back")
@pytest.mark.parametrize("step", [1, 10**9, 3600 * 10**9])
def test_a_clock_moved_back_mints_nothing_and_locks_out_no_longer_than_an_empty_bucket(step, clock):
    clock.advance(7200)
    bucket = TokenBucket(5, 1, clock=clock)
    clock.advance(7200)
    assert bucket.try_acquire(5)
    clock.advance_ns(-step)
    assert not bucket.try_acquire()
    clock.advance_ns(5 * 10**9 + min(step, 10**8))
    assert bucket.try_acquire(5)


@pytest.mark.hazard("clock-forward")
@pytest.mark.parametrize("leap", [3600, 100 * 365 * 86_400])
def test_a_leap_admits_one_burst(leap, clock):
    bucket = TokenBucket(5, 1, clock=clock)
    assert bucket.try_acquire(5)
    clock.advance(leap)
    assert sum(bucket.try_acquire() for _ in range(10)) <= 5
    clock.advance(5)
    assert sum(bucket.try_acquire() for _ in range(10)) == 5
