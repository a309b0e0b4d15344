"""Waiting one's turn from Python: in order, cancelled at every point, over loops, threads and frameworks."""

from __future__ import annotations

import asyncio
import gc
import pickle
import random
import signal
import threading

import pytest

from tollbar import AcquireTimeout, InFlight, Limiter, ManualClock, NeverFits, Rate, Window
from virtual import VirtualLoop, run


@pytest.mark.hazard("python-waiters")
def test_turns_come_in_the_order_of_arrival(clock):
    limiter = Limiter(Rate(10, per=10, burst=1), clock=clock)
    order = []

    async def send(number):
        assert await limiter.acquire("a") is True
        order.append((number, clock.now()))

    async def main():
        await asyncio.gather(*(send(number) for number in range(5)))

    run(clock, main())
    assert [number for number, _ in order] == list(range(5))
    assert [round(at - order[0][1], 6) for _, at in order] == [0, 1, 2, 3, 4]
    assert not limiter.try_acquire("a")


def test_nothing_is_charged_before_the_first_step(clock):
    limiter = Limiter(Rate(1, per=10), clock=clock)
    coroutine = limiter.acquire("a")
    assert limiter.peek("a").remaining == 1
    coroutine.close()
    with pytest.warns(RuntimeWarning, match="never awaited"):
        forget(limiter.acquire("a"))
    assert limiter.try_acquire("a")


def forget(coroutine):
    del coroutine
    gc.collect()


def test_a_deadline_that_cannot_be_met_is_told_at_once(clock):
    limiter = Limiter(Rate(1, per=10), clock=clock)

    async def main():
        await limiter.acquire("a")
        before = clock.now()
        with pytest.raises(AcquireTimeout, match="the turn of .a. would come in 10.000 s") as late:
            await limiter.acquire("a", timeout=9.999)
        assert late.value.retry_after == 10.0
        assert isinstance(late.value, TimeoutError)
        with pytest.raises(NeverFits, match="can never come") as never:
            await limiter.acquire("a", 2)
        assert never.value.retry_after == float("inf")
        with pytest.raises(AcquireTimeout):
            await limiter.acquire("a", timeout=0)
        assert clock.now() == before
        assert await limiter.acquire("a", timeout=10)
        assert await limiter.acquire("a", timeout=float("inf"))

    run(clock, main())
    twin = pickle.loads(pickle.dumps(AcquireTimeout("a", 2.5)))
    assert (twin.key, twin.retry_after) == ("a", 2.5)


def test_priorities_and_large_costs(clock):
    limiter = Limiter(Rate(4, per=4), clock=clock)
    order = []

    async def send(name, cost, priority=0):
        await limiter.acquire("a", cost, priority=priority)
        order.append(name)

    async def main():
        assert limiter.try_acquire("a", 4)
        asks = [send("low", 1, 5), send("big", 4), send("small", 1)]
        tasks = [asyncio.ensure_future(ask) for ask in asks]
        await asyncio.sleep(0)
        assert not limiter.try_acquire("a")
        await asyncio.gather(*tasks)

    run(clock, main())
    assert order == ["big", "small", "low"]


@pytest.mark.hazard("python-waiters")
def test_cancelled_in_the_cycle_of_its_grant_it_hands_it_on(clock):
    limiter = Limiter(Rate(1, per=10), clock=clock)

    async def main():
        assert limiter.try_acquire("a")
        first = asyncio.ensure_future(limiter.acquire("a"))
        second = asyncio.ensure_future(limiter.acquire("a"))
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        # At ten seconds both happen in one turn of the loop: the head's timer, then the cancellation.
        loop.call_at(loop.time() + 10, first.cancel)
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await second is True
        assert not limiter.try_acquire("a")

    run(clock, main())
    assert clock.now() < 1_000 + 21
    clock.advance(10)
    assert limiter.try_acquire("a")


@pytest.mark.hazard("python-waiters")
@pytest.mark.parametrize("seed", range(20))
def test_cancelled_at_any_time_no_token_is_lost_none_is_made_and_nobody_is_stuck(seed):
    dice = random.Random(seed)
    for _ in range(1_000):
        clock = ManualClock(1_000)
        burst, width = dice.randint(1, 4), dice.randint(1, 6)
        limiter = Limiter(Rate(1, per=1, burst=burst), Window(burst + 2, per=width), clock=clock)
        taken = []

        async def send(limiter, clock, cost, delay, taken):
            await asyncio.sleep(delay)
            await limiter.acquire("a", cost)
            taken.append((clock.now(), cost))

        async def main(limiter, clock, burst, taken):
            tasks = [
                asyncio.ensure_future(send(limiter, clock, dice.randint(1, burst), dice.randint(0, 5), taken))
                for _ in range(dice.randint(1, 12))
            ]
            victims = dice.sample(tasks, len(tasks) // 2)
            loop = asyncio.get_running_loop()
            for victim in victims:
                loop.call_at(loop.time() + dice.randint(0, 24) / 2, victim.cancel)
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(end is None or isinstance(end, asyncio.CancelledError) for end in done)
            assert all(task in victims for task, end in zip(tasks, done, strict=True) if end is not None)

        run(clock, main(limiter, clock, burst, taken))
        for at, _ in taken:
            within = sum(cost for then, cost in taken if at <= then < at + width)
            assert within <= burst + 2
            assert sum(cost for then, cost in taken if then <= at) <= burst + (at - 1_000) + 1e-6
        clock.advance(60)
        assert limiter.try_acquire("a", burst)
        assert not limiter.try_acquire("a")


def test_a_slot_is_held_for_the_block(clock):
    limiter = Limiter(InFlight(1), Window(2, per=10), clock=clock)
    inside = []

    async def send(fails):
        async with limiter.slot("a") as place:
            inside.append(place.is_open)
            assert limiter.peek("a").remaining == 0
            await asyncio.sleep(1)
            if fails:
                raise KeyError

    async def main():
        sends = [send(fails=True), send(fails=False), send(fails=False)]
        return await asyncio.gather(*sends, return_exceptions=True)

    ends = run(clock, main())
    assert inside == [True, True, True]
    assert [type(end) for end in ends] == [KeyError, type(None), type(None)]
    assert limiter.decide("a").reason == "window", "the one that failed was not sent"
    slot = limiter.slot("b")
    with slot as place:
        assert place.is_open
    assert not place.is_open
    with pytest.raises(RuntimeError, match="one block"), slot:
        pass


def test_decorated_functions_wait(clock):
    limiter = Limiter(Rate(1, per=5), clock=clock)

    @limiter.limited("api")
    async def task(value):
        return value, clock.now()

    @limiter.limited(key=lambda name, **_: f"user {name}", timeout=0)
    def thread(name, greeting="hello"):
        """Greet."""
        return f"{greeting} {name}"

    async def main():
        return await asyncio.gather(task(1), task(2))

    (_, first), (_, second) = run(clock, main())
    assert round(second - first, 6) == 5
    assert thread("a", greeting="hi") == "hi a"
    assert thread("b") == "hello b"
    with pytest.raises(AcquireTimeout):
        thread("b")
    assert (thread.__name__, thread.__doc__) == ("thread", "Greet.")
    with pytest.raises(TypeError, match="key must be a str, or a plain function"):
        limiter.limited(5)


def test_jitter_holds_what_was_granted_and_a_cancellation_gives_it_back(clock):
    limiter = Limiter(Rate(1, per=100), clock=clock)

    async def main():
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(limiter.acquire("a", jitter=50))
        await asyncio.sleep(0)
        assert not limiter.try_acquire("a")
        loop.call_soon(task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        before = clock.now()
        assert await limiter.acquire("a", jitter=50)
        assert 0 < clock.now() - before < 50

    run(clock, main())
    assert not limiter.try_acquire("a")


@pytest.mark.hazard("python-waiters")
def test_one_limiter_over_three_loops_in_a_row_and_a_closed_one(clock):
    limiter = Limiter(Rate(1, per=1), clock=clock)

    async def main():
        await asyncio.gather(*(limiter.acquire("a") for _ in range(3)))

    for _ in range(3):
        run(clock, main())
    loop = VirtualLoop(clock)
    task = loop.create_task(limiter.acquire("a"))
    loop.run_until_complete(asyncio.sleep(0, task))
    assert not task.done()
    loop.close()
    run(clock, limiter.acquire("a"))
    task._log_destroy_pending = False
    del task
    gc.collect()
    run(clock, limiter.acquire("a"))


@pytest.mark.hazard("python-waiters")
def test_two_loops_in_two_threads_and_plain_threads_wait_in_one_line():
    limiter = Limiter(InFlight(1))
    inside, most = [0], [0]

    def enter():
        inside[0] += 1
        most[0] = max(most[0], inside[0])

    def leave():
        inside[0] -= 1

    async def tasks():
        async def one():
            for _ in range(20):
                async with limiter.slot("a"):
                    enter()
                    await asyncio.sleep(0)
                    leave()

        await asyncio.gather(*(one() for _ in range(4)))

    def plain():
        for _ in range(20):
            with limiter.slot("a"):
                enter()
                leave()

    works = [lambda: asyncio.run(tasks()), lambda: asyncio.run(tasks()), plain, plain]
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert most == [1]
    assert limiter.try_acquire("a")


def test_a_thread_waits(clock):
    limiter = Limiter(Rate(1, per=1000), clock=clock)
    assert limiter.acquire_blocking("a") is True
    with pytest.raises(AcquireTimeout) as late:
        limiter.acquire_blocking("a", timeout=999)
    assert late.value.retry_after == 1000.0
    waiter = threading.Thread(target=limiter.acquire_blocking, args=("a",))
    waiter.start()
    limiter.reset("a")
    waiter.join(60)
    assert not waiter.is_alive()


@pytest.mark.hazard("python-waiters")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that interrupt")
def test_an_interrupt_is_raised_and_takes_nothing(clock):
    limiter = Limiter(Rate(1, per=1000), clock=clock)
    assert limiter.try_acquire("a")
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            limiter.acquire_blocking("a")
    finally:
        signal.signal(signal.SIGALRM, before)
    clock.advance(1000)
    assert limiter.try_acquire("a")


def test_a_hundred_thousand_wait_in_order(clock):
    many = 100_000
    limiter = Limiter(Rate(1000, per=1, burst=1000), clock=clock)
    order = []

    async def send(number):
        await limiter.acquire("a")
        order.append(number)

    async def main():
        assert limiter.try_acquire("a", 1000)
        tasks = [asyncio.ensure_future(send(number)) for number in range(many)]
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        assert len(loop._scheduled) <= 1, "one timer at a time"
        await asyncio.gather(*tasks)

    run(clock, main())
    assert order == list(range(many))
    assert round(clock.now() - 1_000) == many // 1000


def test_under_trio(clock):
    trio = pytest.importorskip("trio")
    limiter = Limiter(InFlight(1))
    order = []

    async def send(number):
        async with limiter.slot("a"):
            order.append(number)
            await trio.lowlevel.checkpoint()

    async def main():
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(send, number)
        with trio.CancelScope() as scope:
            held = limiter.reserve("a")
            scope.cancel()
            await limiter.acquire("a")
        held.cancel()
        assert await limiter.acquire("a", jitter=1e-6)

    trio.run(main)
    assert sorted(order) == list(range(5))
    assert limiter.try_acquire("a")


def test_under_uvloop():
    uvloop = pytest.importorskip("uvloop")
    limiter = Limiter(InFlight(2))

    async def send():
        async with limiter.slot("a"):
            await asyncio.sleep(0)

    async def main():
        await asyncio.gather(*(send() for _ in range(20)))

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert limiter.try_acquire("a")


@pytest.mark.hazard("cost-invalid")
def test_bad_arguments_are_refused_at_the_call(clock):
    limiter = Limiter(Rate(1, per=1), clock=clock)
    for call in (limiter.acquire, limiter.acquire_blocking, limiter.slot):
        with pytest.raises(ValueError, match="cost must be"):
            call("a", -1)
        with pytest.raises(ValueError, match="timeout must be at least 0"):
            call("a", timeout=-1)
        with pytest.raises(ValueError, match="priority must be at most 127"):
            call("a", priority=128)
        with pytest.raises(TypeError):
            call(5)
        with pytest.raises(UnicodeEncodeError):
            call("\ud800")
    with pytest.raises(ValueError, match="jitter must be"):
        limiter.acquire("a", jitter=-1)
    with pytest.raises(ValueError, match="lease must be at least 1 ns"):
        limiter.slot("a", lease=0)
    assert len(limiter) == 0
