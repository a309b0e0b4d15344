"""RateLimiter: the original's contract, its accounts, its live views, its table."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import weakref
from collections.abc import Mapping
from datetime import datetime, timezone

import pytest

from conftest import Account, Config, account, now
from tollbar import ManualClock, RateLimiter, RateLimitExceeded, TokenBucket


def exhaust(limiter, email, who=None):
    return next(n for n in range(10**6) if not limiter.try_acquire(email, account=who))


def test_the_originals_calls(clock):
    limiter = RateLimiter(3, 100, clock=clock)
    assert now(limiter.acquire("a@x")) is True
    assert now(limiter.acquire("a@x", None, 1)) is True
    assert now(limiter.acquire(account_email="a@x", account=None, tokens=1)) is True
    with pytest.raises(RateLimitExceeded, match="a@x") as caught:
        now(limiter.acquire("a@x"))
    assert caught.value.account_email == "a@x"
    assert caught.value.retry_after == 1200.0
    assert "retry in 1200.0 s" in str(caught.value)
    assert caught.value.args == (str(caught.value),)
    assert (limiter.default_messages_per_hour, limiter.max_buckets) == (3, 100)
    assert limiter.default_refill_rate == 3 / 3600
    keyword = RateLimiter(messages_per_hour=7, max_buckets=9, clock=clock)
    assert (keyword.default_messages_per_hour, keyword.max_buckets) == (7, 9)
    plain = RateLimiter()
    assert (plain.default_messages_per_hour, plain.max_buckets) == (10_000, 10_000)


def test_ones_own_exception_is_constructed_with_a_message_alone(clock):
    class TooFast(Exception):
        def __init__(self, message):
            super().__init__(message)

    class Sealed(Exception):
        __slots__ = ()

        def __setattr__(self, name, value):
            raise AttributeError(name)

    for cls in (TooFast, Sealed):
        limiter = RateLimiter(1, exception=cls, clock=clock)
        now(limiter.acquire("a"))
        with pytest.raises(cls, match="Rate limit exceeded for a") as caught:
            now(limiter.acquire("a"))
        assert getattr(caught.value, "retry_after", 3600.0) == 3600.0
    for bad in (BaseException, int, "TooFast", TooFast("instance")):
        with pytest.raises(TypeError, match="exception must be"):
            RateLimiter(exception=bad)


def test_the_exception_survives_pickling_with_its_attributes(clock):
    limiter = RateLimiter(1, clock=clock)
    limiter.try_acquire("a")
    with pytest.raises(RateLimitExceeded) as caught:
        now(limiter.acquire("a"))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.account_email, again.retry_after, str(again)) == ("a", 3600.0, str(caught.value))
    fresh = RateLimitExceeded("mine")
    assert (fresh.account_email, fresh.retry_after) == (None, None)


def test_tokens_are_taken_by_the_call(clock):
    limiter = RateLimiter(5, clock=clock)
    pending = limiter.acquire("a")
    assert limiter.buckets["a"].tokens == 4.0
    assert now(pending) is True
    assert now(pending) is True, "and not again by another await"
    assert limiter.buckets["a"].tokens == 4.0


def test_check_takes_nothing(clock):
    limiter = RateLimiter(2, clock=clock)
    assert [now(limiter.check_rate_limit("a", None, 2)) for _ in range(3)] == [True] * 3
    assert now(limiter.check_rate_limit("a", tokens=3)) is False
    assert limiter.try_acquire("a", 2)
    assert now(limiter.check_rate_limit("a")) is False
    assert now(limiter.check_rate_limit("a", tokens=0)) is True


def test_accounts_bring_their_own_limit_once(clock):
    limiter, mine, unlimited = RateLimiter(100, clock=clock), account(2), Account(None)
    assert exhaust(limiter, "mine", mine) == 2
    assert mine.asked == 1
    assert exhaust(limiter, "default", unlimited) == 100
    assert unlimited.asked == 1
    assert exhaust(limiter, "plain") == 100
    assert limiter.buckets["mine"].capacity == 2


def test_a_limit_of_zero_is_a_denial(clock):
    limiter, closed = RateLimiter(100, clock=clock), account(0)
    assert limiter.try_acquire("a", account=closed) is False
    with pytest.raises(RateLimitExceeded, match="may not send") as caught:
        now(limiter.acquire("a", closed))
    assert caught.value.retry_after == math.inf
    assert now(limiter.check_rate_limit("a", closed)) is False
    assert limiter.buckets["a"].get_state() == {"tokens": 0.0, "capacity": 0, "refill_rate": 0.0}
    assert closed.asked == 1


@pytest.mark.hazard("construction-values")
@pytest.mark.parametrize(
    "bad", [-1, math.nan, math.inf, 1e308, 5e-324, 2**63, 2**64 - 1, 0.5, "5", True, None]
)
def test_an_account_with_a_limit_that_is_none_is_refused_and_leaves_no_bucket(bad, clock):
    limiter = RateLimiter(100, clock=clock)
    for call in (limiter.acquire, limiter.check_rate_limit, limiter.get_or_create_bucket):
        with pytest.raises((ValueError, TypeError), match="messages_per_hour|burst|limit"):
            now(call("a", account(bad)))
    assert len(limiter.buckets) == 0


@pytest.mark.hazard("construction-values")
@pytest.mark.parametrize("name", ["messages_per_hour", "max_buckets", "burst_size"])
def test_arguments_that_are_none_are_refused_by_name(name):
    for bad in (0, -1, math.nan, math.inf, -math.inf, 1e308, 5e-324, 2**63, 2**64 - 1):
        with pytest.raises(ValueError, match=f"{name}|burst"):
            RateLimiter(**{name: bad})
    for bad in ("5", True):
        with pytest.raises(TypeError, match=name):
            RateLimiter(**{name: bad})


def test_other_options_that_are_none_are_refused():
    for bad in (
        {"when_full": "panic"},
        {"log_interval": -1},
        {"log_interval": math.nan},
        {"log_interval": 1e9},
    ):
        with pytest.raises(ValueError, match=next(iter(bad))):
            RateLimiter(**bad)
    for bad in ({"clock": 5}, {"log_interval": "1"}, {"shadow": "yes"}, {"nonsense": 1}):
        with pytest.raises(TypeError, match=next(iter(bad))):
            RateLimiter(**bad)


@pytest.mark.hazard("python-account-raises")
def test_what_an_account_raises_reaches_the_caller_and_leaves_no_bucket(clock):
    class Broken:
        def get_rate_limiting_config(self):
            raise LookupError("no such tenant")

    class NoLimit:
        def get_rate_limiting_config(self):
            return object()

    limiter = RateLimiter(100, clock=clock)
    for call in (limiter.acquire, limiter.check_rate_limit, limiter.get_or_create_bucket):
        pending = call("a", Broken())
        with pytest.raises(LookupError, match="no such tenant"):
            now(pending)
        with pytest.raises(AttributeError, match="messages_per_hour"):
            now(call("a", NoLimit()))
        with pytest.raises(AttributeError, match="get_rate_limiting_config"):
            now(call("a", object()))
    with pytest.raises(LookupError):
        limiter.try_acquire("a", account=Broken())
    assert len(limiter.buckets) == 0
    assert limiter.try_acquire("a", account=account(1))
    with pytest.raises(LookupError):
        limiter.reconfigure("a", Broken())
    assert limiter.buckets["a"].capacity == 1


def test_an_account_may_use_the_limiter_while_it_is_asked(clock):
    limiter = RateLimiter(100, clock=clock)

    class Nosy:
        def get_rate_limiting_config(self):
            limiter.try_acquire("a")
            assert len(limiter.buckets) == 1
            return Config(5)

    assert limiter.try_acquire("a", account=Nosy())
    assert limiter.buckets["a"].tokens == 98.0, "the bucket made meanwhile is the account's"


def test_parts_of_the_configuration_are_followed_when_asked_to(clock):
    limits = account(100, burst_size=7, enabled=False)
    assert exhaust(RateLimiter(clock=clock), "a", limits) == 100
    assert exhaust(RateLimiter(clock=clock, account_burst=True), "a", limits) == 7
    free = RateLimiter(clock=clock, account_enabled=True)
    assert all(free.try_acquire("a", 1000, account=limits) for _ in range(1000))
    assert free.buckets["a"].tokens == 100.0
    assert exhaust(RateLimiter(clock=clock, account_enabled=True), "b", account(3, enabled=True)) == 3
    assert exhaust(RateLimiter(clock=clock, account_burst=True), "c", account(3, burst_size=None)) == 3
    bare = RateLimiter(clock=clock, account_burst=True, account_enabled=True)
    assert exhaust(bare, "d", account(3)) == 3


def test_burst_apart_from_rate(clock):
    limiter = RateLimiter(3600, burst_size=10, clock=clock)
    assert exhaust(limiter, "a") == 10
    clock.advance(1)
    assert exhaust(limiter, "a") == 1
    assert limiter.buckets["a"].get_state()["refill_rate"] == 1.0


def test_shadow_counts_and_denies_nothing(clock, caplog):
    limiter = RateLimiter(2, shadow=True, clock=clock)
    assert all(now(limiter.acquire("a")) for _ in range(10))
    assert limiter.try_acquire("a")
    assert now(limiter.check_rate_limit("a")) is True
    assert limiter.buckets["a"].tokens == 0.0
    assert [record.getMessage() for record in caplog.records] == [
        "Shadow limit, let through: Rate limit exceeded for a (2 per 3600 s): retry in 1800.0 s"
    ]


def test_reconfigure_carries_what_was_spent_over(clock):
    limiter, who = RateLimiter(100, clock=clock), account(10)
    assert limiter.try_acquire("a", 6, account=who)
    who.config = Config(20)
    assert limiter.buckets["a"].capacity == 10, "not before it is said"
    assert limiter.reconfigure("a", who) is True
    assert (limiter.buckets["a"].capacity, limiter.buckets["a"].tokens) == (20, 14.0)
    assert limiter.reconfigure("a", account(40), migration="proportional")
    assert limiter.buckets["a"].tokens == 28.0
    assert limiter.reconfigure("a", account(0))
    assert not limiter.try_acquire("a")
    assert limiter.reconfigure("a")
    assert limiter.buckets["a"].capacity == 100
    assert limiter.buckets["a"].tokens < 100, "closing and opening refills nothing"
    assert limiter.reconfigure("a", migration="reset")
    assert limiter.buckets["a"].tokens == 100.0
    assert limiter.reconfigure("stranger", account(1)) is False
    assert "stranger" not in limiter.buckets
    with pytest.raises(ValueError, match="migration"):
        limiter.reconfigure("a", migration="double")


def test_a_bucket_is_live_and_the_same_account_while_others_come_and_go(clock):
    limiter = RateLimiter(10, max_buckets=5, clock=clock)
    bucket = now(limiter.get_or_create_bucket("a"))
    assert isinstance(bucket, TokenBucket)
    assert now(bucket.acquire(4)) is True
    assert limiter.buckets["a"].tokens == 6.0
    for stranger in range(100):
        limiter.try_acquire(f"stranger{stranger}", 9)
        assert limiter.buckets["a"] == bucket
    assert limiter.try_acquire("a", 5)
    assert bucket.tokens == 1.0
    assert hash(bucket) == hash(limiter.buckets["a"])
    assert bucket != limiter.buckets[next(email for email in limiter.buckets if email != "a")]
    limiter.reconfigure("a", account(20))
    assert bucket.capacity == 20, "its limit too"


def test_a_held_bucket_outlives_its_limiter(clock):
    limiter = RateLimiter(10, clock=clock)
    bucket = now(limiter.get_or_create_bucket("a"))
    gone = weakref.ref(limiter)
    del limiter
    gc.collect()
    assert gone() is None
    assert bucket.try_acquire(10)
    assert not bucket.try_acquire()


def test_the_views_read_like_dicts(clock):
    limiter = RateLimiter(10, clock=clock)
    names = [f"user{i}@example.org" for i in range(50)]
    for name in names:
        limiter.try_acquire(name)
    buckets = limiter.buckets
    assert isinstance(buckets, Mapping)
    assert len(buckets) == 50
    assert sorted(buckets) == sorted(names) == sorted(buckets.keys())
    assert names[0] in buckets
    assert "stranger" not in buckets
    assert {email: bucket.tokens for email, bucket in buckets.items()} == dict.fromkeys(names, 9.0)
    assert len(list(buckets.values())) == 50
    assert buckets.get("stranger") is None
    with pytest.raises(KeyError, match="stranger"):
        buckets["stranger"]
    for no_key in (5, None, b"user0@example.org", "\ud800", "x" * 2**21):
        assert no_key not in buckets
        with pytest.raises(KeyError):
            buckets[no_key]
    stats = limiter.get_stats()
    assert stats["accounts"] == 50
    assert stats["buckets"][names[3]] == {"tokens": 9.0, "capacity": 10, "refill_rate": 10 / 3600}
    assert "user7@example.org" in repr(buckets)
    with pytest.raises(TypeError):
        buckets["user0@example.org"] = None


def test_iterating_pins_nothing_and_passes_over_what_has_gone(clock):
    limiter = RateLimiter(10, max_buckets=3, clock=clock)
    for name in "abc":
        limiter.try_acquire(name)
    seen = []
    for email, _ in limiter.buckets.items():  # noqa: PERF102 - the walk over items is what is tried
        seen.append(email)
        for stranger in range(50):
            limiter.try_acquire(f"{email}{stranger}")
    assert 1 <= len(seen) <= 3
    assert len(limiter.buckets) <= 4, "a bucket in hand may stand beside max_buckets others"
    limiter.try_acquire("x")
    limiter.try_acquire("y")
    assert len(limiter.buckets) == 3


def test_first_sights_are_dated_when_asked_to(clock):
    limiter = RateLimiter(10, track_created=True, max_buckets=2, clock=clock)
    limiter.try_acquire("a")
    clock.advance(60)
    limiter.try_acquire("b")
    created = limiter.bucket_created_at
    assert created["a"] == datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)
    assert created["b"] == datetime(2023, 11, 14, 22, 14, 20, tzinfo=timezone.utc)
    assert set(created) == {"a", "b"}
    limiter.try_acquire("c")
    assert len(created) == 2
    without = RateLimiter(10, clock=clock)
    with pytest.raises(AttributeError, match="track_created=True"):
        _ = without.bucket_created_at


@pytest.mark.hazard("table-active")
def test_twice_as_many_active_accounts_as_places_and_nobody_within_the_limit_is_refused(clock, caplog):
    limiter = RateLimiter(1000, max_buckets=10_000, clock=clock)
    assert limiter.try_acquire("exhausted", 1000)
    for _ in range(2):
        for i in range(20_000):
            assert limiter.try_acquire(f"user{i}@example.org")
        assert not limiter.try_acquire("exhausted"), "who owes most outlives the rest"
    assert len(limiter.buckets) == 10_000
    warnings = [record for record in caplog.records if "max_buckets=10000" in record.getMessage()]
    assert len(warnings) == 1, "said once"


@pytest.mark.hazard("table-when-full")
def test_a_full_table_answers_as_declared(clock):
    deny = RateLimiter(1000, max_buckets=2, when_full="deny", clock=clock)
    assert deny.try_acquire("a")
    assert deny.try_acquire("b")
    assert not deny.try_acquire("c")
    for call in (deny.acquire, deny.get_or_create_bucket):
        with pytest.raises(RateLimitExceeded, match="table full"):
            now(call("c"))
    assert now(deny.check_rate_limit("c")) is False
    assert deny.try_acquire("a")
    allow = RateLimiter(1000, max_buckets=2, when_full="allow", clock=clock)
    assert all(allow.try_acquire(name) for name in "ababcdefcccc")
    assert set(allow.buckets) == {"a", "b"}
    assert now(allow.get_or_create_bucket("z")).try_acquire(1000)
    assert "z" not in allow.buckets


@pytest.mark.hazard("table-refilled-first")
def test_who_has_refilled_goes_first(clock):
    limiter = RateLimiter(3600, max_buckets=3, when_full="deny", clock=clock)
    limiter.try_acquire("busy", 3600)
    limiter.try_acquire("idle")
    limiter.try_acquire("half", 1800)
    clock.advance(1)
    assert limiter.try_acquire("new")
    assert set(limiter.buckets) == {"busy", "half", "new"}


def test_an_evicted_account_is_configured_anew(clock):
    limiter = RateLimiter(3600, max_buckets=1, clock=clock)
    assert exhaust(limiter, "a", account(5)) == 5
    clock.advance(3600)
    assert limiter.try_acquire("b")
    assert exhaust(limiter, "a", account(7)) == 7


@pytest.mark.hazard("python-copy")
def test_a_limiter_cannot_be_copied_into_a_second_budget(clock):
    limiter = RateLimiter(clock=clock)
    bucket = now(limiter.get_or_create_bucket("a"))
    for thing in (limiter, bucket, limiter.acquire("a"), clock):
        for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                attempt(thing)


def test_it_can_be_subclassed_as_the_original():
    class Mine(RateLimiter):
        def __init__(self, *args, **kwargs):
            super().__init__()
            self.calls = 0

        async def acquire(self, account_email, account=None, tokens=1):
            self.calls += 1
            return await super().acquire(account_email, account, tokens)

    limiter = Mine(1, clock=ManualClock())
    assert now(limiter.acquire("a")) is True
    with pytest.raises(RateLimitExceeded):
        now(limiter.acquire("a"))
    assert limiter.calls == 2
