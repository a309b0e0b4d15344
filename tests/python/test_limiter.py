"""The native API: Rate, Limiter, Decision, ManualClock."""

from __future__ import annotations

import copy
import math
import pickle

import pytest

from tollbar import Closed, InFlight, Limiter, ManualClock, Rate, Window

HOUR = 3600


def exhaust(limiter, key):
    return next(n for n in range(10**6) if not limiter.try_acquire(key))


def test_a_rate_admits_its_burst_and_then_a_token_each_interval(clock):
    limiter = Limiter(Rate(10_000, HOUR), clock=clock)
    assert exhaust(limiter, "a") == 10_000
    clock.advance_ns(360 * 10**6 - 1)
    assert not limiter.try_acquire("a")
    clock.advance_ns(1)
    assert exhaust(limiter, "a") == 1
    assert exhaust(limiter, "b") == 10_000


def test_an_hour_at_ten_thousand_an_hour(clock):
    """One hour of requests every 0.1 s: the burst, and floor(w/T) more."""
    plain, strict = (Limiter(Rate(10_000, HOUR, strict=strict), clock=clock) for strict in (False, True))
    admitted = {plain: [], strict: []}
    for limiter, times in admitted.items():
        start = clock.now_ns()
        for _ in range(36_000 * 3):
            if limiter.try_acquire("a"):
                times.append(clock.now_ns())
            clock.advance_ns(10**8)
        assert clock.now_ns() == start + 3 * HOUR * 10**9
    # A request every 0.1 s drains the burst until the refill alone is left.
    times = admitted[plain]
    first_hour = sum(t < times[0] + HOUR * 10**9 for t in times)
    assert first_hour == 10_000 + (HOUR * 10**9 - 10**8) // (360 * 10**6)
    times = admitted[strict]
    assert len(times) > 20_000
    for index, t in enumerate(times):
        if index >= 10_000:
            assert t - times[index - 10_000] >= HOUR * 10**9, "never more than 10,000 in any hour"


def test_decisions_tell_all(clock):
    limiter = Limiter(Rate(10, per=10, name="sends"), clock=clock)
    first = limiter.decide("a", 4)
    assert first
    assert (first.allowed, first.reason, first.retry_after, first.limit) == (True, None, 0.0, None)
    assert (first.remaining, first.reset_after, first.shadowed) == (6, 4.0, False)
    denied = limiter.decide("a", cost=9)
    assert not denied
    assert (denied.reason, denied.retry_after, denied.remaining, denied.limit) == ("rate", 3.0, 6, "sends")
    never = limiter.decide("a", 11)
    assert (never.reason, never.retry_after, never.allowed) == ("never", math.inf, False)
    assert repr(first) == (
        "Decision(allowed=True, reason=None, retry_after=0.0, remaining=6, reset_after=4.0, limit=None)"
    )


def test_who_waits_as_told_is_not_refused_again(clock):
    limiter = Limiter(Rate(7, per=3, burst=1), clock=clock)
    for _ in range(1000):
        decision = limiter.decide("a")
        if not decision:
            clock.advance(decision.retry_after)
            assert limiter.try_acquire("a")
        clock.advance(0.0137)


def test_peek_takes_nothing_and_makes_nothing(clock):
    limiter = Limiter(Rate(5, 5), clock=clock)
    for _ in range(3):
        seen = limiter.peek("a", cost=5)
        assert (seen.allowed, seen.remaining) == (True, 5)
    assert not limiter.peek("a", 6)
    assert len(limiter) == 0
    limiter.try_acquire("a", 3)
    seen = limiter.peek("a", 3)
    assert (seen.allowed, seen.reason, seen.remaining, seen.retry_after) == (False, "rate", 2, 1.0)
    assert limiter.stats()["denied"] == 0, "a peek is no request"


def test_a_batch_decides_key_by_key(clock):
    limiter = Limiter(Rate(2, 2), clock=clock)
    assert limiter.try_acquire_many(["a", "b", "a", "a", "b"]) == [True, True, True, False, True]
    assert limiter.try_acquire_many((f"k{i}" for i in range(5000)), cost=2) == [True] * 5000
    assert limiter.try_acquire_many([]) == []
    for bad in (["x", 5], ["x", None], [b"x"], "xy", 5):
        with pytest.raises(TypeError):
            limiter.try_acquire_many(bad)
    with pytest.raises(UnicodeEncodeError):
        limiter.try_acquire_many(["x", "\ud800"])
    with pytest.raises(ValueError, match=r"keys\[1\] must be at most"):
        limiter.try_acquire_many(["x", "y" * (2**20 + 1)])
    assert "x" not in limiter, "nothing is charged when any key is refused"


def test_reset_len_contains_and_stats(clock):
    limiter = Limiter(Rate(2, 2), max_keys=2, clock=clock)
    assert bool(limiter) is True
    assert (len(limiter), "a" in limiter) == (0, False)
    assert limiter.try_acquire_many(list("aaabb")) == [True, True, False, True, True]
    assert not limiter.try_acquire("c")
    assert limiter.reset("a") is True
    assert limiter.reset("c") is False
    assert exhaust(limiter, "a") == 2
    stats = limiter.stats()
    assert {name: stats[name] for name in ("allowed", "denied", "full", "evicted", "forgiven", "keys")} == {
        "allowed": 6,
        "denied": 3,
        "full": 1,
        "evicted": 0,
        "forgiven": 0,
        "keys": 2,
    }
    assert 0 < stats["most_looks"] <= 64


@pytest.mark.hazard("table-when-full")
def test_a_full_table_says_so_and_counts_it(clock):
    deny = Limiter(Rate(2, 2), max_keys=1, clock=clock)
    deny.try_acquire("a")
    decision = deny.decide("b")
    assert (decision.reason, decision.retry_after, decision.limit) == ("full", 1.0, None)
    allow = Limiter(Rate(2, 2), max_keys=1, when_full="allow", clock=clock)
    assert all(allow.try_acquire(key) for key in "abbbbb")
    assert allow.decide("c").allowed
    assert (allow.stats()["full"], allow.stats()["allowed"]) == (6, 7)
    evict = Limiter(Rate(2, 2), max_keys=1, when_full="evict_least", clock=clock)
    assert all(evict.try_acquire(key, 2) for key in "abcd")
    assert (evict.stats()["forgiven"], evict.stats()["evicted"], len(evict)) == (3, 3, 1)


def test_a_shadow_limit_counts_only(clock):
    limiter = Limiter(Rate(1, 1, shadow=True, name="trial"), clock=clock)
    assert limiter.try_acquire("a")
    decision = limiter.decide("a")
    assert (decision.allowed, decision.shadowed, decision.limit, decision.reason) == (
        True,
        True,
        "trial",
        None,
    )
    assert limiter.try_acquire("a")
    stats = limiter.stats()
    assert (stats["allowed"], stats["denied"], stats["shadow_denied"]) == (3, 0, 2)


@pytest.mark.hazard("construction-values")
@pytest.mark.parametrize("name", ["limit", "per", "burst", "max_keys"])
def test_what_cannot_be_limited_is_refused_by_name(name):
    good = {"limit": 5, "per": 1}
    for bad in (0, -1, math.nan, math.inf, -math.inf, 1e308, 5e-324, 2**63, 2**64 - 1, 10**30):
        with pytest.raises(ValueError, match=f"{name}|burst|per"):
            Limiter(Rate(**good)) if name != "max_keys" else Limiter(Rate(**good), max_keys=bad)
            Limiter(Rate(**{**good, name: bad}))
    for bad in ("5", True, [5]):
        with pytest.raises(TypeError, match=name):
            Limiter(Rate(**good), max_keys=bad) if name == "max_keys" else Rate(**{**good, name: bad})


@pytest.mark.hazard("construction-range")
@pytest.mark.hazard("incident-fast-rates")
def test_beyond_the_range_is_refused():
    for refused in (
        {"limit": 10_000_001, "per": 1},
        {"limit": 2, "per": 1e-9},
        {"limit": 1, "per": 5 * 365 * 86_400},
        {"limit": 1, "per": 86_400, "burst": 2**32 - 1},
        {"limit": 10, "per": 1, "burst": 10, "strict": True},
        {"limit": 10, "per": 1, "burst": 11, "strict": True},
    ):
        with pytest.raises(ValueError, match="must"):
            Rate(**refused)
    assert Rate(10_000_000, 1).burst == 10_000_000
    assert Rate(1, 1, strict=True).burst == 1


@pytest.mark.hazard("cost-duplicate")
def test_a_limiter_takes_limits_of_different_names():
    with pytest.raises(ValueError, match="at least one"):
        Limiter()
    with pytest.raises(ValueError, match="limits must have different names, not 5 per 1 s"):
        Limiter(Rate(5, per=1), Rate(5, per=1))
    with pytest.raises(ValueError, match="at most 16"):
        Limiter(*(Rate(5, per=1, name=str(n)) for n in range(17)))
    with pytest.raises(
        TypeError, match="limits must be Rate, Window, InFlight, Jail or Closed objects, not 5"
    ):
        Limiter(5)
    assert Limiter(Rate(5, per=1), Rate(5, per=1, name="other")).limits == (
        Rate(5, per=1),
        Rate(5, per=1, name="other"),
    )


@pytest.mark.hazard("incident-long-period")
@pytest.mark.hazard("construction-exact")
def test_long_periods_are_exact(clock):
    limiter = Limiter(Rate(1, 100 * 86_400), clock=clock)
    assert limiter.try_acquire("a")
    assert limiter.decide("a").retry_after == 100 * 86_400
    clock.advance_ns(100 * 86_400 * 10**9 - 1)
    assert not limiter.try_acquire("a")
    clock.advance_ns(1)
    assert limiter.try_acquire("a")


@pytest.mark.hazard("incident-free-cell")
def test_the_burst_is_the_burst_and_not_one_more(clock):
    for burst in (1, 2, 10):
        assert exhaust(Limiter(Rate(10, 1, burst=burst), clock=clock), "a") == burst


@pytest.mark.hazard("incident-limit-zero")
@pytest.mark.parametrize("zero", [Rate(0, 1), Window(0, per=1), InFlight(0)])
def test_a_limit_of_zero_closes_a_key_and_is_an_error_for_all(clock, zero):
    with pytest.raises(ValueError, match=r"limit must be at least 1, not .*0.*: use Closed\(\)"):
        Limiter(zero)
    limiter = Limiter(Rate(1, 1), policies={"suspended": zero}, clock=clock)
    with pytest.raises(ValueError, match="limit must be at least 1"):
        limiter.set_limits(zero)
    assert limiter.try_acquire("other")
    for _ in range(2):
        decision = limiter.decide("suspended")
        assert (decision.reason, decision.retry_after, decision.remaining) == ("closed", float("inf"), 0)
    assert limiter.plan("suspended") is None
    assert limiter.reconfigure("other", zero) and limiter.peek("other").reason == "closed"
    assert (zero.limit, zero.name) == (0, limiter.peek("other").limit)


def test_a_closed_limiter_denies_all_but_keys_with_limits_of_their_own(clock):
    limiter = Limiter(Closed(), policies={"partner": Rate(1, 1)}, clock=clock)
    assert limiter.try_acquire("partner") and not limiter.try_acquire("partner")
    assert limiter.decide("other").reason == "closed"
    assert Closed() == Closed() and repr(Closed()) == "Closed()" and Closed(name="x").name == "x"
    assert pickle.loads(pickle.dumps(Closed(shadow=True))) == Closed(shadow=True)
    assert Limiter(Closed(shadow=True), clock=clock).try_acquire("anybody")


def test_a_rate_is_a_value():
    rate = Rate(100, per=60, burst=5, name="mine")
    assert (rate.limit, rate.per, rate.burst, rate.strict, rate.shadow) == (100, 60.0, 5, False, False)
    assert Rate(100, 60) == Rate(100, 60)
    assert Rate(100, 60) != Rate(101, 60)
    assert hash(Rate(100, 60)) == hash(Rate(100, 60))
    assert (
        repr(Rate(100, 60, strict=True, shadow=True))
        == "Rate(100, per=60.0, burst=10, strict=True, shadow=True)"
    )
    for again in (copy.copy(rate), copy.deepcopy(rate), pickle.loads(pickle.dumps(rate))):
        assert again == rate
    strict = Rate(1000, 60, strict=True)
    assert copy.copy(strict) == strict


@pytest.mark.hazard("python-copy")
def test_a_limiter_cannot_be_copied():
    limiter = Limiter(Rate(1, 1))
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            attempt(limiter)


@pytest.mark.hazard("clock-frozen")
def test_a_clock_that_stands_still_refills_nothing(clock):
    limiter = Limiter(Rate(3, 1), clock=clock)
    assert exhaust(limiter, "a") == 3
    assert not any(limiter.try_acquire("a") for _ in range(1000))


def test_the_manual_clock():
    clock = ManualClock(start=5, unix=100.5)
    assert (clock.now(), clock.now_ns(), clock.unix()) == (5.0, 5 * 10**9, 100.5)
    clock.advance(0.1)
    assert clock.now_ns() == 5_100_000_000
    clock.advance(-1)
    clock.advance_ns(7)
    assert (clock.now_ns(), clock.unix()) == (4_100_000_007, pytest.approx(99.6, abs=1e-6))
    clock.advance(-1000)
    assert (clock.now(), clock.unix()) == (0.0, 0.0)
    for bad in (math.nan, math.inf, 1e300, 10**30):
        with pytest.raises(ValueError, match="seconds"):
            clock.advance(bad)
    for bad in ("1", None, True):
        with pytest.raises(TypeError, match="seconds"):
            clock.advance(bad)
    for bad in (-1, math.nan):
        with pytest.raises(ValueError, match="start"):
            ManualClock(start=bad)
    assert repr(ManualClock(1, 2)) == "ManualClock(start=1.0, unix=2.0)"


@pytest.mark.hazard("clock-suspended")
def test_without_a_clock_time_is_monotonic_and_runs():
    limiter = Limiter(Rate(1_000_000, 1, burst=1))
    admitted = sum(limiter.try_acquire("a") for _ in range(200_000))
    assert 1 <= admitted < 200_000


def test_a_plan_says_now_when_or_never(clock):
    limiter = Limiter(Rate(10, per=3600, burst=2), clock=clock)
    assert limiter.plan("a") == 0.0
    assert limiter.plan("a", 3) is None
    assert limiter.try_acquire("a", 2)
    assert (limiter.plan("a"), limiter.plan("a", 2)) == (360.0, 720.0)
    clock.advance_ns(359_999_999_999)
    assert limiter.plan("a") == 1e-9
    assert not limiter.try_acquire("a")
    clock.advance_ns(1)
    assert limiter.plan("a") == 0.0
    assert limiter.try_acquire("a")
    assert Limiter(Rate(1, per=60, shadow=True), clock=clock).plan("a", 5) == 0.0
