"""The pacing drop-in for tasks: a client that reaches the server's limit and is never told 429."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import inspect
import math
import pickle
import threading

import pytest

from tollbar import ManualClock
from tollbar.pacing import RateLimiter, RateLimiterTimeout, ThreadSafeRateLimiter
from virtual import VirtualLoop, request, run, stats, use

NEITHER_NUMBER_NOR_TEXT = ([5], object(), b"5")


def test_permits_go_round_a_window_after_the_response(clock):
    limiter, log = RateLimiter(3, 50, clock=clock), []

    async def main():
        await asyncio.gather(*(request(limiter, clock, log, number=n) for n in range(8)))

    run(clock, main())
    assert [number for number, _ in log] == list(range(8))
    assert [at for _, at in log] == pytest.approx([0, 0, 0, 1.031, 1.031, 1.031, 2.062, 2.062], abs=0.002)
    assert stats(limiter, "granted", "waiting", "in_flight", "refused", "timed_out") == (8, 0, 0, 0, 0)


def test_the_originals_calls(clock):
    limiter = RateLimiter(per_second_rate=2, min_duration_ms_between_requests=50, clock=clock)
    assert str(inspect.signature(limiter.acquire)).startswith("(timeout_ms: 'float' = 0)")

    async def main():
        async with limiter.acquire(timeout_ms=0) as given:
            assert given is limiter
            given.record_latency(12)
            given.record_latency(latency_ms=12.5)
        async with limiter.acquire(-5):
            pass

    run(clock, main())
    threads = ThreadSafeRateLimiter(per_second_rate=2, min_duration_ms_between_requests=50, clock=clock)
    with threads.acquire(timeout_ms=0) as given:
        assert given is threads


@pytest.mark.parametrize("waits", [0, 1, 5])
def test_a_timeout_that_cannot_be_met_is_raised_before_any_waiting(clock, waits):
    limiter = RateLimiter(1, clock=clock)

    async def main():
        tasks = [asyncio.create_task(request(limiter, clock)) for _ in range(1 + waits)]
        await asyncio.sleep(0.04)
        before = clock.now_ns()
        with pytest.raises(RateLimiterTimeout, match="no permit within 900 ms: the turn") as caught:
            async with limiter.acquire(timeout_ms=900):
                raise AssertionError("no")
        assert clock.now_ns() == before
        assert caught.value.retry_after == pytest.approx(0.991 + waits * 1.001, abs=0.002)
        await asyncio.gather(*tasks)

    run(clock, main())
    assert stats(limiter, "timed_out", "granted", "waiting") == (1, 1 + waits, 0)


def test_a_timeout_is_kept_where_nobody_knows_when_the_turn_comes(clock):
    limiter = RateLimiter(1, clock=clock)

    async def main():
        holder = asyncio.create_task(request(limiter, clock, lasts=5))
        await asyncio.sleep(2)
        began = clock.now()
        with pytest.raises(RateLimiterTimeout):
            async with limiter.acquire(timeout_ms=500):
                raise AssertionError("no")
        assert clock.now() - began == pytest.approx(0.5, abs=0.002)
        await holder

    run(clock, main())
    assert stats(limiter, "timed_out", "in_use", "waiting") == (1, 1, 0)


def test_the_exception_is_the_originals_and_says_when():
    assert RateLimiterTimeout.__mro__[1] is Exception, "who catches OSError does not mean this one"
    assert (RateLimiterTimeout().args, RateLimiterTimeout().retry_after) == ((), None)
    limiter = ThreadSafeRateLimiter(1, clock=ManualClock())
    use(limiter)
    with pytest.raises(RateLimiterTimeout) as caught, limiter.acquire(1):
        pass
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.retry_after) == (str(caught.value), pytest.approx(1.001))


@pytest.mark.hazard("python-waiters")
@pytest.mark.parametrize("cycles", range(6))
def test_a_permit_that_was_granted_in_the_cycle_of_a_cancellation_is_not_lost(clock, cycles):
    """Whether the cancelled task had its turn or not: the next one has it, or has the one after."""
    limiter, log = RateLimiter(1, clock=clock), []

    async def main():
        await request(limiter, clock)
        first = asyncio.create_task(request(limiter, clock, log, number=1))
        second = asyncio.create_task(request(limiter, clock, log, number=2))
        await asyncio.sleep(0.1)
        assert stats(limiter, "waiting") == (2,)
        clock.advance(1)
        limiter.record_latency(30)  # something happens at the limiter, which calls the first
        assert stats(limiter, "waiting", "in_use") == (2, 1)
        for _ in range(cycles):
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        before = clock.now()
        await second
        assert [number for number, _ in log] in ([2], [1, 2])
        if log[0][0] == 2:
            assert clock.now() - before == pytest.approx(0.03, abs=0.001), "it had the first one's permit"

    run(clock, main())
    assert stats(limiter, "waiting", "in_flight") == (0, 0)
    clock.advance(3)
    assert stats(limiter, "in_use", "granted") == (0, 1 + len(log))


@pytest.mark.hazard("python-cancel")
def test_cancelled_waiters_leave_and_the_others_keep_their_order(clock):
    limiter, log = RateLimiter(2, clock=clock), []

    async def main():
        tasks = [asyncio.create_task(request(limiter, clock, log, number=n)) for n in range(12)]
        tasks[3].cancel()  # before its first step
        await asyncio.sleep(0.5)
        for number in (2, 5, 6):
            tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(clock, main())
    assert [number for number, _ in log] == [0, 1, 4, 7, 8, 9, 10, 11]
    assert log[-1][1] == pytest.approx(3 * 1.031, abs=0.01)


@pytest.mark.parametrize("how", ["exception", "cancelled", "closed", "timeout"])
def test_every_way_out_of_the_block_gives_the_permit_back_and_counts_the_request(clock, how):
    limiter = RateLimiter(1, clock=clock)

    async def block():
        async with limiter.acquire():
            if how == "exception":
                raise OSError
            await asyncio.sleep(100)

    async def main():
        if how == "closed":
            coroutine = block()
            coroutine.send(None)
            coroutine.close()
            return
        task = asyncio.create_task(block())
        await asyncio.sleep(0)
        if how == "cancelled":
            task.cancel()
        if how == "timeout":
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(task, 0.001)
        await asyncio.gather(task, return_exceptions=True)

    run(clock, main())
    assert stats(limiter, "in_flight", "in_use", "waiting") == (0, 1, 0)
    held = 1.051 - (clock.now() - 1_000), "it may still arrive, 50 ms after the send"
    clock.advance(held[0] - 1e-6)
    assert stats(limiter, "in_use") == (1,), held[1]
    clock.advance(2e-6)
    assert stats(limiter, "in_use") == (0,)


@pytest.mark.hazard("python-loops")
def test_one_limiter_over_several_runs(clock):
    limiter, log = RateLimiter(1, clock=clock), []
    for number in range(3):
        run(clock, request(limiter, clock, log, number=number))
        with contextlib.suppress(asyncio.TimeoutError):  # a run that ends while somebody waits
            run(clock, asyncio.wait_for(request(limiter, clock), 0.1))
        assert stats(limiter, "waiting") == (0,)
    assert [at for _, at in log] == pytest.approx([0, 1.031, 2.062], abs=0.01)


@pytest.mark.hazard("python-loops")
def test_a_task_of_one_loop_hands_on_to_a_task_of_another(clock):
    limiter = RateLimiter(1, clock=clock)
    inside, done = threading.Event(), threading.Event()

    async def first():
        async with limiter.acquire():
            inside.set()
            while stats(limiter, "waiting") != (1,):
                pass
        clock.advance(1.001)
        limiter.record_latency(1)

    async def second():
        async with limiter.acquire():
            done.set()

    threads = [threading.Thread(target=asyncio.run, args=(first(),))]
    threads[0].start()
    assert inside.wait(60)
    threads.append(threading.Thread(target=asyncio.run, args=(second(),)))
    threads[1].start()
    assert done.wait(60)
    for thread in threads:
        thread.join()
    assert stats(limiter, "granted", "waiting", "in_flight") == (2, 0, 0)


@pytest.mark.hazard("python-waiters")
def test_a_loop_that_is_closed_while_somebody_waits_holds_up_nobody(clock):
    limiter, log = RateLimiter(1, clock=clock), []
    abandoned = VirtualLoop(clock)
    abandoned.run_until_complete(request(limiter, clock))
    left = abandoned.create_task(request(limiter, clock, log, number=1))
    abandoned.run_until_complete(asyncio.sleep(0.1))
    abandoned.close()
    assert stats(limiter, "waiting") == (1,)

    async def main():
        second = asyncio.create_task(request(limiter, clock, log, number=2))
        await asyncio.sleep(0)
        clock.advance(1)
        limiter.record_latency(30)  # calls the first, who is gone
        await second

    run(clock, main())
    assert [number for number, _ in log] == [2]
    assert stats(limiter, "waiting", "granted") == (0, 2)
    left._log_destroy_pending = False
    del left
    gc.collect()


@pytest.mark.hazard("python-waiters")
def test_ten_thousand_who_wait_are_served_in_order(clock):
    limiter, log = RateLimiter(1_000, clock=clock), []

    async def main():
        await asyncio.gather(*(request(limiter, clock, log, number=n, lasts=0.001) for n in range(10_000)))

    run(clock, main())
    assert [number for number, _ in log] == list(range(10_000))
    assert log[-1][1] == pytest.approx(9 * 1.002, abs=0.1)


def test_a_429_raises_the_headroom_and_its_retry_after_is_kept(clock):
    limiter = RateLimiter(5, clock=clock)

    async def main():
        async with limiter.acquire():
            limiter.record_rejected()
        assert stats(limiter, "refused", "headroom", "blocked") == (1, 0.1, 0.0)
        async with limiter.acquire():
            limiter.record_rejected(retry_after=5)
        with pytest.raises(RateLimiterTimeout) as caught:
            async with limiter.acquire(timeout_ms=4_999):
                pass
        assert caught.value.retry_after == 5.0
        began = clock.now()
        async with limiter.acquire(timeout_ms=5_000):
            pass
        assert clock.now() - began == pytest.approx(5, abs=0.001)

    run(clock, main())
    for given, blocked in (("7", 7), (" 7.5 ", 7.5), (8.25, 8.25), (0, 8.25), (None, 8.25)):
        limiter.record_rejected(given)
        assert stats(limiter, "blocked") == (blocked,)
    with pytest.raises(TypeError, match="retry_after"):
        limiter.record_rejected(True)
    for bad in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match="retry_after"):
            limiter.record_rejected(bad)
    for bad in ([5], object()):
        with pytest.raises(TypeError, match="retry_after"):
            limiter.record_rejected(bad)
    assert stats(limiter, "refused", "blocked") == (7, 8.25)
    for unread in ("-1", "nan", "soon", "", b"5"):
        limiter.record_rejected(unread)
    limiter.record_rejected("Wed, 21 Oct 2015 07:28:00 GMT")  # past
    assert stats(limiter, "refused", "blocked") == (13, 8.25)


def test_a_latency_that_does_not_fit_raises_the_headroom_at_once(clock):
    limiter = RateLimiter(5, clock=clock, headroom_ms=20)
    assert stats(limiter, "headroom") == (0.02,)
    limiter.record_latency(19)
    assert stats(limiter, "headroom") == (0.02,)
    limiter.record_latency(80.5)
    assert stats(limiter, "headroom") == (0.0805,)
    for bad in (-1, math.nan, math.inf, 1e308):
        with pytest.raises(ValueError, match="latency_ms"):
            limiter.record_latency(bad)
    for bad in ("5", True, None, *NEITHER_NUMBER_NOR_TEXT):
        with pytest.raises(TypeError, match="latency_ms"):
            limiter.record_latency(bad)
    assert stats(limiter, "headroom") == (0.0805,)


@pytest.mark.parametrize(("enforce", "last"), [(False, 0), (True, 0.25)])
def test_the_minimum_spacing_is_kept_where_it_is_wanted(clock, enforce, last):
    limiter, log = RateLimiter(100, 50, enforce_spacing=enforce, clock=clock), []

    async def main():
        await asyncio.gather(*(request(limiter, clock, log, number=n) for n in range(6)))

    run(clock, main())
    assert [number for number, _ in log] == list(range(6))
    assert log[-1][1] == pytest.approx(last, abs=0.001)


@pytest.mark.hazard("construction-values")
@pytest.mark.parametrize("kind", [RateLimiter, ThreadSafeRateLimiter])
def test_what_is_no_pace_is_refused_by_name(kind):
    for bad in (0, -1, 0.5, math.nan, math.inf, 1e308, 2**32, 2**63, 10**30):
        with pytest.raises(ValueError, match="per_second_rate"):
            kind(bad, 50)
    for bad in ("5", True, None, *NEITHER_NUMBER_NOR_TEXT):
        with pytest.raises(TypeError, match="per_second_rate"):
            kind(bad, 50)
    for name in ("min_duration_ms_between_requests", "headroom_ms"):
        for bad in (-1, math.nan, math.inf, 1e308, 2**63):
            with pytest.raises(ValueError, match=name):
                kind(5, **{name: bad})
        for bad in ("5", True, *NEITHER_NUMBER_NOR_TEXT):
            with pytest.raises(TypeError, match=name):
                kind(5, **{name: bad})
    with pytest.raises(TypeError, match="enforce_spacing"):
        kind(5, enforce_spacing=1)
    with pytest.raises(TypeError, match="clock"):
        kind(5, clock=5)
    limiter = kind(5)
    with pytest.raises(ValueError, match="timeout_ms"):
        limiter.acquire(math.nan)
    for bad in ("5", True, None, *NEITHER_NUMBER_NOR_TEXT):
        with pytest.raises(TypeError, match="timeout_ms"):
            limiter.acquire(bad)
    assert stats(limiter, "granted", "in_use") == (0, 0)
    assert kind(2**32 - 1, clock=ManualClock()).acquire(math.inf)


@pytest.mark.hazard("python-copy")
@pytest.mark.parametrize("kind", [RateLimiter, ThreadSafeRateLimiter])
def test_a_limiter_cannot_be_copied(kind):
    for thing in (kind(5, 50), kind(5)._turn(0)):
        for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                attempt(thing)


@pytest.mark.hazard("python-no-loop")
def test_without_a_loop_nothing_is_taken(clock):
    limiter = RateLimiter(1, clock=clock)
    entering = limiter.acquire().__aenter__()
    with pytest.raises(RuntimeError, match="no running event loop"):
        entering.send(None)
    assert stats(limiter, "granted", "in_use") == (0, 0)
