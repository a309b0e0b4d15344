"""A move of a `ManualClock` wakes waiters in every form."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from clocks import HOUR, LIMIT, come, hourly
from tollbar import InFlight, Limiter, ManualClock, NeverFits, Rate
from tollbar.dispatch import DispatchQueue, ThreadDispatchQueue
from tollbar.pacing import RateLimiter as Pacer
from tollbar.pacing import ThreadSafeRateLimiter


def run(main):
    """Run a coroutine, within the time limit."""
    return asyncio.run(asyncio.wait_for(main, LIMIT))


async def parked(task):
    """Let a task come to where it waits."""
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()


def blocked(clock, call, *arguments):
    """Start a thread and wait until it waits by the clock."""
    ends = []
    thread = threading.Thread(target=lambda: ends.append(call(*arguments)), daemon=True)
    thread.start()
    until = time.monotonic() + LIMIT
    while clock.until_next() is None:
        assert time.monotonic() < until, "it does not wait"
        time.sleep(0)
    assert not ends
    return thread, ends


def test_a_task_comes_when_the_clock_moves(clock):
    limiter = hourly(clock)

    async def main():
        task = asyncio.ensure_future(limiter.acquire("a"))
        await parked(task)
        assert clock.until_next() == HOUR
        clock.advance(HOUR - 1)
        await parked(task)
        clock.advance(1)
        assert await task is True
        assert clock.until_next() is None

    run(main())


def test_a_task_sets_no_timer(clock, monkeypatch):
    limiter, pacer = hourly(clock), Pacer(1, clock=clock)
    timers = []

    async def paced():
        async with pacer.acquire():
            pass

    async def main():
        await paced()
        loop = asyncio.get_running_loop()
        call_at = loop.call_at
        monkeypatch.setattr(loop, "call_at", lambda *a, **k: timers.append(a) or call_at(*a, **k))
        tasks = [asyncio.ensure_future(limiter.acquire("a")), asyncio.ensure_future(paced())]
        for task in tasks:
            await parked(task)
        clock.advance(HOUR)
        await asyncio.gather(*tasks)

    run(main())
    assert not timers


def test_a_move_from_another_thread_is_never_missed(clock):
    async def main():
        for _ in range(300):
            limiter = hourly(clock)
            mover = threading.Thread(target=clock.advance, args=(HOUR,))
            mover.start()
            assert await limiter.acquire("a")
            mover.join()

    run(main())


def test_threads_that_move_and_wait_at_once_never_miss_each_other(clock):
    def wait(limiter, ends):
        ends.append(limiter.acquire_blocking("a"))

    for _ in range(300):
        limiter, ends = hourly(clock), []
        waiter = threading.Thread(target=wait, args=(limiter, ends), daemon=True)
        waiter.start()
        clock.advance(HOUR)
        waiter.join(LIMIT)
        assert ends == [True]


def test_a_slot_comes_when_the_clock_moves(clock):
    limiter = hourly(clock, InFlight(5))

    async def hold():
        async with limiter.slot("a") as place:
            return place.is_open

    def hold_in_a_thread():
        with limiter.slot("a") as place:
            return place.is_open

    async def main():
        task = asyncio.ensure_future(hold())
        await parked(task)
        clock.advance(HOUR)
        assert await task is True

    run(main())
    thread, ends = blocked(clock, hold_in_a_thread)
    clock.advance(HOUR)
    assert come(thread, ends) is True


def test_a_thread_comes_when_the_clock_moves(clock):
    limiter = hourly(clock)
    thread, ends = blocked(clock, limiter.acquire_blocking, "a")
    clock.advance(HOUR - 1)
    assert (clock.until_next(), ends) == (1, [])
    clock.advance(1)
    assert come(thread, ends) is True


def test_a_timeout_is_over_when_the_clock_says_so(clock):
    limiter = hourly(clock)

    async def main():
        overtaken = asyncio.ensure_future(limiter.acquire("a", timeout=HOUR, priority=1))
        await parked(overtaken)
        first = asyncio.ensure_future(limiter.acquire("a"))
        await parked(first)
        clock.advance(HOUR)
        assert await first is True
        with pytest.raises(TimeoutError):
            await overtaken

    run(main())


def test_only_the_first_in_line_is_woken(clock):
    limiter, calls = hourly(clock), []

    async def send(number):
        await limiter.acquire("a")
        calls.append(number)

    async def main():
        tasks = [asyncio.ensure_future(send(number)) for number in range(20)]
        for number in range(20):
            await parked(tasks[-1])
            assert calls == list(range(number))
            assert clock.until_next() == HOUR
            clock.advance(HOUR)
        await asyncio.gather(*tasks)

    run(main())


def test_pacing_comes_when_the_clock_moves(clock):
    pacer, blocking = Pacer(1, clock=clock), ThreadSafeRateLimiter(1, clock=ManualClock())

    async def paced():
        async with pacer.acquire():
            return True

    async def main():
        await paced()
        task = asyncio.ensure_future(paced())
        await parked(task)
        clock.advance(2)
        assert await task

    run(main())

    def paced_in_a_thread(limiter):
        with limiter.acquire():
            return True

    still = ManualClock()
    blocking = ThreadSafeRateLimiter(1, clock=still)
    paced_in_a_thread(blocking)
    thread, ends = blocked(still, paced_in_a_thread, blocking)
    still.advance(2)
    assert come(thread, ends)


def test_a_dispatch_queue_goes_on_when_the_clock_moves(clock):
    async def main():
        done = []

        async def handle(item):
            done.append(item.payload)

        async with DispatchQueue(handle, {"w": Pacer(1, clock=clock)}, max_tries=1) as queue:
            for number in range(3):
                await queue.put(number)
            while len(done) < 3:
                await asyncio.sleep(0)
                if clock.until_next() is not None:
                    clock.advance(clock.until_next())

    run(main())


def test_a_dispatch_queue_of_threads_goes_on_when_the_clock_moves(clock):
    done = threading.Semaphore(0)
    queue = ThreadDispatchQueue(
        lambda _: done.release(), {"w": ThreadSafeRateLimiter(1, clock=clock)}, max_tries=1
    )
    with queue:
        for number in range(3):
            queue.put(number)
        until = time.monotonic() + LIMIT
        for _ in range(3):
            while not done.acquire(blocking=False):
                assert time.monotonic() < until, "the queue stands still"
                clock.advance(clock.until_next() or 0)
                time.sleep(0)


def test_a_task_of_trio_comes_when_the_clock_moves(clock):
    trio = pytest.importorskip("trio")
    limiter = hourly(clock)
    got = []

    async def wait():
        got.append(await limiter.acquire("a"))

    async def main():
        with trio.fail_after(LIMIT):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                while clock.until_next() is None:
                    await trio.lowlevel.checkpoint()
                clock.advance(HOUR)

    trio.run(main)
    assert got == [True]


def tokens(clock):
    """Make a limiter with 60 tokens an hour beside its requests, of which `a` has spent 50."""
    limiter = Limiter(Rate(10, per=1), Rate(60, per=HOUR, name="tokens"), clock=clock)
    assert limiter.try_acquire("a", costs={"tokens": 50})
    return limiter


def test_waits_with_costs_come_when_the_clock_moves(clock):
    limiter = tokens(clock)

    async def main():
        task = asyncio.ensure_future(limiter.acquire("a", costs={"tokens": 20}))
        await parked(task)
        assert clock.until_next() == HOUR / 6
        clock.advance(HOUR / 6 - 1)
        await parked(task)
        clock.advance(1)
        assert await task is True
        with pytest.raises(NeverFits):
            await limiter.acquire("a", costs={"tokens": 61})
        assert clock.until_next() is None

    run(main())
    thread, ends = blocked(clock, lambda: limiter.acquire_blocking("a", costs={"tokens": 1}))
    assert clock.until_next() == HOUR / 60
    clock.advance(HOUR / 60)
    assert come(thread, ends) is True


def test_a_slot_with_costs_holds_and_gives_back_by_the_clock(clock):
    limiter = Limiter(InFlight(1), Rate(60, per=HOUR, name="tokens"), clock=clock)
    assert limiter.try_acquire("a", costs={"tokens": 60})

    async def hold(most):
        async with limiter.slot("a", costs={"tokens": most}) as place:
            assert place.commit(actuals={"tokens": 1})
            return place.costs["tokens"]

    async def main():
        task = asyncio.ensure_future(hold(30))
        await parked(task)
        assert clock.until_next() == HOUR / 2
        clock.advance(HOUR / 2)
        assert await task == 30
        assert limiter.peek("a", costs={"tokens": 29}), "29 were given back"

    run(main())


def test_waits_behind_a_lease_come_when_it_is_over(clock):
    limiter = Limiter(InFlight(1), clock=clock)
    place = limiter.reserve("a", lease=60, lost="returned")

    async def main():
        task = asyncio.ensure_future(limiter.acquire("a"))
        await parked(task)
        assert clock.until_next() == 60
        clock.advance(59)
        assert place.renew(61)
        clock.advance(60)
        await parked(task)
        assert clock.until_next() == 1
        clock.advance(1)
        assert await task is True

    run(main())
    place = limiter.reserve("a", lease=60, lost="returned")
    thread, ends = blocked(clock, limiter.acquire_blocking, "a")
    clock.advance(60)
    assert come(thread, ends) is True


def test_behind_a_reservation_without_an_end_the_clock_has_no_timer(clock):
    limiter = Limiter(InFlight(1), clock=clock)
    place = limiter.reserve("a")

    async def main():
        task = asyncio.ensure_future(limiter.acquire("a"))
        await parked(task)
        assert clock.until_next() is None
        timed = asyncio.ensure_future(limiter.acquire("a", timeout=60))
        await parked(timed)
        assert clock.until_next() == 60
        clock.advance(HOUR)
        with pytest.raises(TimeoutError):
            await timed
        await parked(task)
        place.cancel()
        assert await task is True

    run(main())


def test_limits_that_change_move_the_time_of_a_wait(clock):
    limiter = hourly(clock)

    async def main():
        task = asyncio.ensure_future(limiter.acquire("a"))
        await parked(task)
        limiter.set_limits(Rate(1, per=HOUR / 2), migration="proportional")
        await parked(task)
        assert clock.until_next() == HOUR / 2
        clock.advance(HOUR / 2)
        assert await task is True

    run(main())


def test_a_reservation_dropped_by_an_exception_wakes_and_lets_it_pass(clock):
    limiter = Limiter(InFlight(1), clock=clock)
    places = [limiter.reserve("a")]

    async def main():
        task = asyncio.ensure_future(limiter.acquire("a"))
        await parked(task)
        # The place is dropped while the exception is on its way.
        with pytest.raises(ZeroDivisionError):
            [places.pop(), 1 / 0]
        assert await task is True

    run(main())
