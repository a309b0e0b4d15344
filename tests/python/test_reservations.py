"""`reserve`: committed, cancelled, lost; nothing is minted and nothing blocks for good."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import threading

import pytest

from tollbar import InFlight, Limiter, Rate, Window


def test_a_place_is_held_until_it_ends(clock):
    limiter = Limiter(InFlight(2), clock=clock)
    first, second = limiter.reserve("a"), limiter.reserve("a")
    assert first and second and first.is_open
    third = limiter.reserve("a")
    assert not third
    assert (third.decision.reason, third.decision.retry_after) == ("in_flight", float("inf"))
    assert third.decision.estimated, "when a reservation ends is not known"
    assert third.commit() is False and third.cancel() is False
    assert not limiter.try_acquire("a"), "it needs a free place, though it would hold none"
    assert first.commit() is True
    assert first.commit() is False and first.cancel() is False
    assert limiter.try_acquire("a") and limiter.try_acquire("a")
    assert (second.key, second.cost) == ("a", 1)
    assert second.cancel() is True


def test_a_rate_gets_back_what_was_not_used(clock):
    limiter = Limiter(Rate(10, per=10), clock=clock)
    place = limiter.reserve("a", 6)
    assert limiter.peek("a").remaining == 4
    assert place.cancel()
    assert limiter.peek("a").remaining == 10
    place = limiter.reserve("a", 6)
    assert place.commit(actual=2)
    assert limiter.peek("a").remaining == 8
    place = limiter.reserve("a", 2)
    assert place.commit(actual=5)
    assert limiter.peek("a").remaining == 3, "what has happened is charged"
    place = limiter.reserve("a", 1)
    assert place.commit(actual=10**30)
    assert limiter.peek("a").remaining == 0
    assert limiter.plan("a") == 1.0, "no bucket is emptier than empty"


@pytest.mark.hazard("incident-refund")
def test_a_refund_never_mints(clock):
    limiter = Limiter(Rate(1, per=1), clock=clock)
    place = limiter.reserve("a")
    clock.advance(2)
    assert limiter.try_acquire("a")
    place.cancel()
    assert not limiter.try_acquire("a"), "what was reserved has long flowed back"


def test_in_a_window_it_counts_from_when_it_ended(clock):
    limiter = Limiter(Window(1, per=10), clock=clock)
    place = limiter.reserve("a")
    clock.advance(60)
    assert not limiter.try_acquire("a"), "still in flight"
    assert place.commit()
    clock.advance_ns(9_999_999_999)
    assert not limiter.try_acquire("a")
    clock.advance_ns(1)
    assert limiter.try_acquire("a")


@pytest.mark.parametrize(("lost", "after"), [("sent", 40.0), ("returned", 30.0)])
def test_a_lost_one_blocks_nobody_for_good(clock, lost, after):
    limiter = Limiter(Window(1, per=10), InFlight(5), clock=clock)
    place = limiter.reserve("a", lease=30, lost=lost)
    assert limiter.plan("a") == after
    clock.advance(after)
    assert limiter.try_acquire("a")
    assert place.cancel() is False
    assert not place.is_open


def test_a_late_commit_of_a_returned_one_is_charged_all_the_same(clock):
    limiter = Limiter(Rate(5, per=5), clock=clock)
    place = limiter.reserve("a", 5, lease=1, lost="returned")
    clock.advance(2)
    assert limiter.peek("a").remaining == 5
    assert place.commit() is False
    assert limiter.peek("a").remaining == 0


def test_a_dropped_one_counts_as_used(clock):
    limiter = Limiter(InFlight(1), Window(1, per=10), clock=clock)
    place = limiter.reserve("a")
    assert place
    del place
    gc.collect()
    assert limiter.decide("a").reason == "window"


def test_with_commits_and_an_exception_cancels(clock):
    limiter = Limiter(Rate(2, per=10), clock=clock)
    with limiter.reserve("a") as place:
        assert place and place.is_open
    assert not place.is_open
    assert limiter.peek("a").remaining == 1
    with pytest.raises(KeyError), limiter.reserve("a"):
        raise KeyError
    assert limiter.peek("a").remaining == 1
    with limiter.reserve("a") as place:
        place.cancel()
    assert limiter.peek("a").remaining == 1, "who ended it inside has said what became of it"
    with limiter.reserve("a", 2) as place:
        assert not place


def test_async_with_cancels_when_the_task_is_cancelled(clock):
    limiter = Limiter(InFlight(1), Window(5, per=10), clock=clock)

    async def send(forever):
        async with limiter.reserve("a") as place:
            assert place
            if forever:
                await asyncio.Event().wait()

    async def main():
        task = asyncio.ensure_future(send(forever=True))
        await asyncio.sleep(0)
        assert limiter.decide("a").reason == "in_flight"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert limiter.peek("a").remaining == 1
        await send(forever=False)

    asyncio.run(main())
    clock.advance_ns(9_999_999_999)
    assert limiter.try_acquire("a", 1)
    decision = limiter.decide("a", 5)
    assert decision.reason == "never", "five are more than one lane"


def test_a_rate_with_reservations_is_exact_beside_others(clock):
    limiter = Limiter(Rate(1000, per=1000), clock=clock)
    ends = []

    def work(number):
        for n in range(250):
            if (number + n) % 2:
                ends.append(limiter.try_acquire("a"))
            else:
                place = limiter.reserve("a")
                ends.append(bool(place) and n % 4 < 2 and place.commit())
                place.cancel()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert limiter.peek("a").remaining == 1000 - sum(ends)


def test_it_is_no_value(clock):
    place = Limiter(Rate(5, per=5), clock=clock).reserve("a")
    for twin in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            twin(place)
    assert repr(place) == 'Reservation("a", cost=1, open)'


@pytest.mark.hazard("cost-invalid")
def test_bad_arguments_charge_nothing(clock):
    limiter = Limiter(Rate(5, per=5), clock=clock)
    for bad in (-1, 0.5, float("nan")):
        with pytest.raises(ValueError, match="cost must be"):
            limiter.reserve("a", bad)
    with pytest.raises(ValueError, match="lease must be at least 1 ns"):
        limiter.reserve("a", lease=0)
    with pytest.raises(ValueError, match="lost must be"):
        limiter.reserve("a", lost="found")
    place = limiter.reserve("a")
    with pytest.raises(ValueError, match="actual must be"):
        place.commit(-1)
    with pytest.raises(TypeError, match="actual must be"):
        place.commit("1")
    assert place.is_open
    assert limiter.peek("a").remaining == 4


def test_nothing_limits_a_key_without_limits(clock):
    limiter = Limiter(Rate(1, per=1), policies={"free": ()}, clock=clock)
    places = [limiter.reserve("free", 10**6) for _ in range(3)]
    assert all(places)
    assert all(place.commit() for place in places)
    assert limiter.try_acquire("free", 10**9)


def test_reset_forgets_reservations(clock):
    limiter = Limiter(Rate(5, per=5), InFlight(2), clock=clock)
    places = [limiter.reserve("a"), limiter.reserve("a")]
    assert limiter.reset("a")
    assert limiter.peek("a").remaining == 2
    assert not any(place.commit() for place in places)
    assert limiter.peek("a").remaining == 2
