"""`acquire_all`: waiting for several keys, in order, cancelled at every point, from tasks and threads."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import signal
import threading

import pytest

from tollbar import AcquireTimeout, Limiter, ManualClock, NeverFits, Rate
from virtual import VirtualLoop, run


def left(limiter, *keys):
    return [limiter.peek(key, 0).remaining for key in keys]


@pytest.mark.hazard("python-waiters")
def test_overlapping_sets_in_opposite_orders_pass_in_the_order_of_arrival(clock):
    limiter = Limiter(Rate(1, per=1), clock=clock)
    passed = []

    async def send(number, keys):
        assert await limiter.acquire_all(keys) is True
        passed.append((number, round(clock.now() - 1_000, 6)))

    async def main():
        sets = ["xyz", "zyx", "yx", "xz", "zy", "xyz"]
        await asyncio.gather(*(send(number, list(keys)) for number, keys in enumerate(sets)))

    run(clock, main())
    # Each after the one before it in a line that they share; yx and xz share x, xz and zy z.
    assert passed == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]
    assert left(limiter, "x", "y", "z") == [0, 0, 0]


def test_nothing_is_taken_before_all_keys_let_it_pass(clock):
    limiter = Limiter(Rate(5, per=5), clock=clock)
    coroutine = limiter.acquire_all(["x", "y"], 2)
    assert left(limiter, "x", "y") == [5, 5]
    coroutine.close()

    async def main():
        assert limiter.try_acquire("y", 5)
        task = asyncio.ensure_future(limiter.acquire_all(iter(["x", "y"]), 2))
        for _ in range(2):
            await asyncio.sleep(0.9)
            assert left(limiter, "x") == [5]
            assert not limiter.try_acquire("x"), "it does not overtake"
        await task
        assert left(limiter, "x", "y") == [3, 0]

    run(clock, main())
    assert round(clock.now() - 1_000, 6) == 2


@pytest.mark.hazard("python-waiters")
def test_cancelled_in_the_middle_it_leaves_all_lines(clock):
    limiter = Limiter(Rate(1, per=10), clock=clock)

    async def main():
        assert limiter.try_acquire("x")
        first = asyncio.ensure_future(limiter.acquire_all(["x", "y"]))
        await asyncio.sleep(0)
        single = asyncio.ensure_future(limiter.acquire("y"))
        second = asyncio.ensure_future(limiter.acquire_all(["y", "x"]))
        await asyncio.sleep(5)
        assert not single.done(), "y is free, and the first in its line waits for x"
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await single
        assert round(clock.now() - 1_000, 6) == 5
        await second

    run(clock, main())
    assert round(clock.now() - 1_000, 6) == 15, "one token of y is ten seconds old by then"
    assert left(limiter, "x", "y") == [0, 0]


KEYS = "wxyz"


async def send(limiter, clock, dice, taken):
    await asyncio.sleep(dice.randint(0, 5))
    keys, cost = dice.sample(KEYS, dice.randint(1, 3)), dice.randint(1, 3)
    timeout = dice.choice([None, None, dice.randint(0, 20)])
    try:
        if len(keys) == 1:
            await limiter.acquire(keys[0], cost, timeout)
        else:
            await limiter.acquire_all(keys, cost, timeout=timeout)
    except AcquireTimeout:
        return
    taken.append((clock.now(), keys, cost))


async def cancelled_at_times(limiter, clock, dice, taken):
    sent = [asyncio.ensure_future(send(limiter, clock, dice, taken)) for _ in range(dice.randint(2, 12))]
    loop = asyncio.get_running_loop()
    for victim in dice.sample(sent, len(sent) // 3):
        loop.call_at(loop.time() + dice.randint(0, 24) / 2, victim.cancel)
    done = await asyncio.gather(*sent, return_exceptions=True)
    assert all(end is None or isinstance(end, asyncio.CancelledError) for end in done)


@pytest.mark.hazard("python-waiters")
@pytest.mark.parametrize("seed", range(10))
def test_cancelled_at_any_time_no_token_is_lost_none_is_made_and_nobody_is_stuck(seed):
    dice = random.Random(seed)
    for _ in range(300):
        clock, taken = ManualClock(1_000), []
        limiter = Limiter(Rate(1, per=1, burst=3), clock=clock)
        run(clock, cancelled_at_times(limiter, clock, dice, taken))
        for key in KEYS:
            mine = [(at, cost) for at, keys, cost in taken if key in keys]
            for (begin, _), (end, _) in itertools.combinations_with_replacement(mine, 2):
                within = sum(cost for at, cost in mine if begin <= at <= end)
                assert within <= 3 + (end - begin) + 1e-6
        clock.advance(60)
        for key in KEYS:
            assert limiter.try_acquire(key, 3)
            assert not limiter.try_acquire(key)


def test_what_cannot_be_is_told_at_once_and_names_the_key(clock):
    limiter = Limiter(Rate(3, per=3), policies={"narrow": Rate(2, per=2)}, clock=clock)

    async def main():
        with pytest.raises(NeverFits, match="the turn of 'narrow' can never come: cost 3") as never:
            await limiter.acquire_all(["x", "narrow"], 3)
        assert (never.value.key, never.value.most) == ("narrow", 2)
        assert len(limiter) == 0
        await limiter.acquire_all(["x", "narrow"], 2)
        before = clock.now()
        with pytest.raises(AcquireTimeout, match="the turn of 'narrow' would come in 2.000 s") as late:
            await limiter.acquire_all(["x", "narrow"], 2, timeout=1.999)
        assert (late.value.key, late.value.retry_after) == ("narrow", 2.0)
        assert clock.now() == before
        assert await limiter.acquire_all(["x", "narrow"], 2, timeout=2)
        assert await limiter.acquire_all(["x", "narrow"], 1, 60, costs=None, priority=3)

    run(clock, main())


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ([], ValueError, "keys must be at least one, not none"),
        (["a", "b", "a"], ValueError, "keys must be different from each other, not a"),
        ("ab", TypeError, "keys must be an iterable of str, not a single str"),
        (["a", 1], TypeError, r"keys\[1\] must be str, not int"),
        (None, TypeError, "keys must be an iterable of str, not NoneType"),
        (["a", "\ud800"], UnicodeEncodeError, "surrogates"),
        (["a", "b" * (2**20 + 1)], ValueError, r"keys\[1\] must be at most 1048576 bytes, not 1048577"),
    ],
)
def test_bad_keys_are_refused_at_the_call(clock, keys, error, message):
    limiter = Limiter(Rate(1, per=1), clock=clock)
    for call in (limiter.acquire_all, limiter.acquire_all_blocking):
        with pytest.raises(error, match=message):
            call(keys)
    assert len(limiter) == 0


def test_other_bad_arguments_are_refused_at_the_call(clock):
    limiter = Limiter(Rate(1, per=1), clock=clock)
    for call in (limiter.acquire_all, limiter.acquire_all_blocking):
        with pytest.raises(ValueError, match="cost must be"):
            call(["a"], -1)
        with pytest.raises(ValueError, match="timeout must be at least 0"):
            call(["a"], timeout=-1)
        with pytest.raises(ValueError, match="priority must be at most 127"):
            call(["a"], priority=128)
    with pytest.raises(ValueError, match="bytes"):
        limiter.acquire_all_blocking(["a"], costs={"bytes": 1})


def test_policies_are_asked_at_the_first_step_and_what_they_raise_takes_nothing(clock):
    def policies(key):
        if key == "bad":
            raise KeyError(key)
        return Rate(2, per=2) if key == "two" else None

    limiter = Limiter(Rate(1, per=1), policies=policies, clock=clock)
    coroutine = limiter.acquire_all(["a", "bad"])
    with pytest.raises(KeyError):
        run(clock, coroutine)
    assert len(limiter) == 0
    assert limiter.acquire_all_blocking(["a", "two"])
    assert left(limiter, "a", "two") == [0, 1]


def test_a_thread_waits_with_tasks(clock):
    limiter = Limiter(Rate(1, per=1000), clock=clock)
    assert limiter.acquire_all_blocking(["x", "y"]) is True
    with pytest.raises(AcquireTimeout) as late:
        limiter.acquire_all_blocking(["y", "x"], timeout=999)
    assert (late.value.key, late.value.retry_after) == ("y", 1000.0)
    waiter = threading.Thread(target=limiter.acquire_all_blocking, args=(["y", "x"],))
    waiter.start()
    limiter.reset("x")
    limiter.reset("y")
    waiter.join(60)
    assert not waiter.is_alive()


def test_threads_and_loops_with_overlapping_sets_all_come_through():
    limiter = Limiter(Rate(100_000, per=1, burst=1))
    sets = ["xyz", "zyx", "yx", "zy", "x", "y"]
    done = []

    async def tasks():
        async def one(keys):
            for _ in range(30):
                await limiter.acquire_all(list(keys))

        await asyncio.gather(*(one(keys) for keys in sets))
        done.append(True)

    def plain(keys):
        for _ in range(30):
            limiter.acquire_all_blocking(list(keys))
        done.append(True)

    threads = [threading.Thread(target=plain, args=(keys,)) for keys in sets]
    threads += [threading.Thread(target=lambda: asyncio.run(tasks())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert len(done) == len(threads)
    assert limiter.stats()["allowed"] == 30 * (len(sets) * 3)


@pytest.mark.hazard("python-waiters")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that interrupt")
def test_an_interrupt_leaves_all_lines(clock):
    limiter = Limiter(Rate(1, per=1000), clock=clock)
    assert limiter.try_acquire("x")
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            limiter.acquire_all_blocking(["y", "x"])
    finally:
        signal.signal(signal.SIGALRM, before)
    assert limiter.try_acquire("y")


@pytest.mark.hazard("python-waiters")
def test_a_task_of_a_closed_loop_holds_up_nobody(clock):
    limiter = Limiter(Rate(1, per=1), clock=clock)
    assert limiter.try_acquire("x")
    loop = VirtualLoop(clock)
    task = loop.create_task(limiter.acquire_all(["x", "y"]))
    loop.run_until_complete(asyncio.sleep(0, task))
    assert not task.done()
    loop.close()
    run(clock, limiter.acquire("y"))
    run(clock, limiter.acquire_all(["y", "x"]))
    task._log_destroy_pending = False
    del task
    gc.collect()
    run(clock, limiter.acquire_all(["x", "y"]))


@pytest.mark.hazard("python-waiters")
def test_a_coroutine_that_is_dropped_while_it_waits_leaves_all_lines(clock):
    limiter = Limiter(Rate(1, per=1000), clock=clock)
    assert limiter.try_acquire("x")

    async def main():
        waiting = limiter.acquire_all(["x", "y"])
        waiting.send(None)
        assert not limiter.try_acquire("y")
        del waiting
        gc.collect()
        assert limiter.try_acquire("y")

    run(clock, main())


def test_under_trio():
    trio = pytest.importorskip("trio")
    limiter = Limiter(Rate(10_000, per=1, burst=1))
    order = []

    async def send(keys):
        await limiter.acquire_all(keys)
        order.append(keys)

    async def main():
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for keys in itertools.permutations("xyz"):
                    nursery.start_soon(send, keys)

    trio.run(main)
    assert len(order) == 6
