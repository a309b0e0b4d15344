"""Limits of a key's own: given at first sight, changed while in use, carried over as declared."""

from __future__ import annotations

import threading

import pytest

from tollbar import InFlight, Jail, Limiter, Rate, Window


def test_a_callable_is_asked_once_at_first_sight(clock):
    asked = []

    def policies(key):
        asked.append(key)
        return {"big": Rate(100, per=10), "two": (Rate(5, per=1), Window(6, per=60)), "free": ()}.get(key)

    limiter = Limiter(Rate(1, per=10), policies=policies, clock=clock)
    assert limiter.try_acquire("big", 99)
    assert limiter.try_acquire("big")
    assert not limiter.try_acquire("big")
    assert limiter.try_acquire("two", 5)
    assert limiter.decide("two", 2).limit == "6 in 60 s"
    assert limiter.try_acquire("small")
    assert not limiter.try_acquire("small")
    assert limiter.try_acquire("free", 10**9)
    assert asked == ["big", "two", "small", "free"]


def test_a_mapping_serves_as_well_and_every_method_asks(clock):
    limiter = Limiter(Rate(1, per=10), policies={"big": Rate(100, per=10)}, clock=clock)
    assert limiter.peek("big").remaining == 100
    assert limiter.plan("big", 50) == 0.0
    assert limiter.try_acquire_many(["big", "small", "small", "big"], 1) == [True, True, False, True]
    assert limiter.decide("big", 90)
    assert limiter.reserve("big", 8)
    assert limiter.try_acquire_all(["big2"], 1)
    assert "big2" in limiter


def test_what_a_callable_raises_reaches_the_caller_and_nothing_is_made(clock):
    def policies(key):
        raise LookupError(key)

    limiter = Limiter(Rate(1, per=10), policies=policies, clock=clock)
    for call in (limiter.try_acquire, limiter.decide, limiter.peek, limiter.reserve, limiter.penalize):
        with pytest.raises(LookupError, match="a"):
            call("a")
    for call in (limiter.try_acquire_all, limiter.try_acquire_many):
        with pytest.raises(LookupError):
            call(["a"])
    assert len(limiter) == 0


@pytest.mark.parametrize("bad", [5, "text", [5], object()])
def test_what_is_no_policy_is_refused(clock, bad):
    with pytest.raises(TypeError, match="limits must be Rate, Window, InFlight, Jail or Closed objects"):
        Limiter(Rate(1, per=10), policies=lambda key: bad, clock=clock).try_acquire("a")
    with pytest.raises(TypeError, match="policies must be a callable, a mapping or None"):
        Limiter(Rate(1, per=10), policies=5)


def used(limiter, key="a"):
    return limiter.peek(key).remaining


@pytest.mark.parametrize(
    ("old", "new", "migration", "left"),
    [
        (Rate(10, per=10), Rate(20, per=20), "as_is", 16),
        (Rate(10, per=10), Rate(20, per=20), "proportional", 12),
        (Rate(10, per=10), Rate(20, per=20), "reset", 20),
        (Window(10, per=10), Window(20, per=10), "as_is", 16),
        (Window(10, per=10), Window(20, per=10), "proportional", 12),
        (Window(10, per=10), Window(20, per=10), "reset", 20),
        (Window(10, per=10), Window(5, per=10), "as_is", 1),
        (Window(10, per=10), Window(5, per=10), "proportional", 3),
        (Rate(10, per=10), Window(20, per=10), "as_is", 16),
        (Rate(10, per=10), Window(20, per=10), "proportional", 12),
        (Window(10, per=10), Rate(20, per=20), "as_is", 16),
        (Window(10, per=10), Rate(20, per=20), "proportional", 12),
        (Window(10, per=10), Window(20, per=10, steps=10), "as_is", 16),
        (Window(10, per=10, steps=10), Window(20, per=10), "as_is", 16),
        (Rate(10, per=10), (Rate(20, per=20), Window(6, per=10)), "as_is", 2),
        ((Rate(10, per=10), Window(6, per=10)), Rate(20, per=20), "as_is", 16),
    ],
)
def test_what_is_owed_is_carried_over_as_declared(clock, old, new, migration, left):
    old, new = (limits if isinstance(limits, tuple) else (limits,) for limits in (old, new))
    limiter = Limiter(*old, clock=clock)
    assert limiter.try_acquire("a", 4)
    assert limiter.reconfigure("a", *new, migration=migration) is True
    assert used(limiter) == left
    assert limiter.reconfigure("stranger", *new) is False
    clock.advance(60)
    assert used(limiter) == min(limit.limit for limit in new)


def test_windows_keep_their_log(clock):
    limiter = Limiter(Window(10, per=10), clock=clock)
    assert limiter.try_acquire("a", 4)
    clock.advance(6)
    assert limiter.try_acquire("a", 4)
    assert limiter.reconfigure("a", Window(9, per=10), InFlight(9))
    assert limiter.plan("a", 2) == 4.0
    clock.advance(4)
    assert limiter.peek("a").remaining == 5


def test_reservations_stay_and_end_under_the_new_limits(clock):
    limiter = Limiter(Rate(10, per=10), clock=clock)
    place = limiter.reserve("a", 4)
    assert limiter.reconfigure("a", Rate(20, per=20), InFlight(5))
    assert limiter.peek("a").remaining == 1, "four of five are in flight"
    assert place.cancel()
    assert limiter.peek("a").remaining == 5
    assert limiter.peek("a", 1).reset_after == 0.0, "and the bucket is full again"
    place = limiter.reserve("a", 4)
    assert limiter.reconfigure("a", Rate(10, per=10))
    assert used(limiter) == 6
    assert place.commit(1)
    assert used(limiter) == 9


def test_what_is_reserved_is_counted_once_when_a_rate_becomes_a_window(clock):
    limiter = Limiter(Rate(10, per=10), clock=clock)
    assert limiter.try_acquire("a", 2)
    place = limiter.reserve("a", 4)
    assert limiter.reconfigure("a", Window(10, per=10))
    assert used(limiter) == 4
    assert place.cancel()
    assert used(limiter) == 8


def test_no_detour_refills(clock):
    limiter = Limiter(Rate(10, per=10), clock=clock)
    assert limiter.try_acquire("a", 10)
    for detour in (
        (Window(10, per=10),),
        (Window(10, per=10, steps=10), Rate(10, per=10)),
        (Rate(5, per=5),),
    ):
        assert limiter.reconfigure("a", *detour)
        assert used(limiter) == 0
        assert limiter.reconfigure("a", Rate(10, per=10))
        assert not limiter.try_acquire("a", 10)


def test_a_timeout_survives_a_change_of_its_jail(clock):
    limiter = Limiter(Window(1, per=1), Jail(2, 10, 600), clock=clock)
    for _ in range(3):
        limiter.try_acquire("a")
    assert limiter.decide("a").reason == "jail"
    assert limiter.reconfigure("a", Window(5, per=1), Jail(9, 10, 60))
    assert limiter.decide("a").reason == "jail"
    assert limiter.reconfigure("a", Window(5, per=1))
    assert limiter.try_acquire("a")


@pytest.mark.hazard("race-reconfigure")
def test_a_change_in_use_mixes_nothing_and_loses_nothing(clock):
    limiter = Limiter(Rate(500, per=1000), clock=clock)
    limits = [
        (Rate(500, per=1000),),
        (Rate(500, per=1000), Window(500, per=10**6)),
        (Window(500, per=10**6),),
    ]
    passed = []

    def send():
        passed.append(sum(limiter.try_acquire("a") for _ in range(400)))

    limiter.try_acquire("a", 0)
    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(60):
        limiter.reconfigure("a", *limits[n % 3])
    for thread in threads:
        thread.join()
    assert sum(passed) == 500
