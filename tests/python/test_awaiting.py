"""The awaitables in everything that asyncio does with a coroutine."""

from __future__ import annotations

import asyncio
import collections.abc
import contextlib
import inspect
import threading

import pytest

from conftest import account, now
from tollbar import ManualClock, RateLimiter, RateLimitExceeded, TokenBucket


@pytest.fixture
def limiter(clock) -> RateLimiter:
    return RateLimiter(3, clock=clock, log_interval=None)


def test_await_gather_wait_for_ensure_future_and_create_task(limiter):
    async def main():
        assert await limiter.acquire("a") is True
        assert await asyncio.gather(limiter.acquire("b"), limiter.acquire("c")) == [True, True]
        assert await asyncio.wait_for(limiter.acquire("a"), timeout=1) is True
        assert await asyncio.ensure_future(limiter.acquire("a")) is True
        with pytest.raises(RateLimitExceeded):
            await asyncio.wait_for(limiter.acquire("a"), timeout=1)
        with pytest.raises(RateLimitExceeded):
            await asyncio.create_task(limiter.acquire("a"))
        results = await asyncio.gather(limiter.acquire("a"), limiter.acquire("b"), return_exceptions=True)
        assert isinstance(results[0], RateLimitExceeded)
        assert results[1] is True
        assert await asyncio.shield(limiter.acquire("b")) is True
        done, _ = await asyncio.wait([asyncio.create_task(limiter.acquire("d"))])
        assert [task.result() for task in done] == [True]

    asyncio.run(main())
    asyncio.run(main_again(limiter))


async def main_again(limiter):
    with pytest.raises(RateLimitExceeded):
        await limiter.acquire("a")


def test_everything_else_awaits_too(limiter):
    async def main():
        bucket = await limiter.get_or_create_bucket("a")
        assert await bucket.acquire(3) is True
        assert await bucket.acquire() is False
        assert await bucket._refill() is None
        assert await limiter.check_rate_limit("a") is False
        assert await asyncio.create_task(limiter.get_or_create_bucket("a")) == bucket
        assert await asyncio.gather(bucket.acquire(), bucket._refill()) == [False, None]

    asyncio.run(main(), debug=True)


def test_it_passes_for_a_coroutine_where_asyncio_asks(limiter):
    for awaitable in (limiter.acquire("a"), TokenBucket(1, 1).acquire(), limiter.acquire("z", account(0))):
        assert inspect.isawaitable(awaitable)
        assert asyncio.iscoroutine(awaitable)
        assert isinstance(awaitable, collections.abc.Coroutine)
        assert not inspect.iscoroutine(awaitable)
        awaitable.close()


@pytest.mark.hazard("race-k-tokens")
def test_a_thousand_tasks_with_ten_tokens(clock):
    limiter = RateLimiter(10, clock=clock, log_interval=None)

    async def ask():
        try:
            return await limiter.acquire("a")
        except RateLimitExceeded:
            return False

    async def main():
        return await asyncio.gather(*(ask() for _ in range(1000)))

    assert sum(asyncio.run(main())) == 10


@pytest.mark.hazard("python-no-loop")
def test_no_loop_is_needed(limiter):
    assert now(limiter.acquire("a")) is True
    assert limiter.try_acquire("a")
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


@pytest.mark.hazard("python-loops")
def test_one_limiter_over_several_runs_and_two_loops_in_two_threads(clock):
    limiter = RateLimiter(1000, clock=clock, log_interval=None)

    async def ask(times):
        admitted = 0
        for _ in range(times):
            with contextlib.suppress(RateLimitExceeded):
                admitted += await limiter.acquire("a")
            await asyncio.sleep(0)
        return admitted

    assert sum(asyncio.run(ask(100)) for _ in range(3)) == 300
    results = []
    threads = [threading.Thread(target=lambda: results.append(asyncio.run(ask(600)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(results) == 700


@pytest.mark.hazard("python-cancel")
def test_a_task_cancelled_before_its_first_step_is_cancelled(limiter):
    async def main():
        task = asyncio.create_task(limiter.acquire("a"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert limiter.buckets["a"].tokens == 2.0, "the call took the token, as documented"
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(limiter.acquire("a"), timeout=0)
        assert limiter.buckets["a"].tokens == 1.0, "a timeout of 0 cancels before the first step too"

    asyncio.run(main())


def test_throw_send_and_close_behave_as_a_coroutines(limiter):
    awaitable = limiter.acquire("a")
    with pytest.raises(StopIteration) as stop:
        awaitable.send(None)
    assert stop.value.value is True
    with pytest.raises(StopIteration):
        next(awaitable.__await__())
    for thrown in ((ValueError("x"),), (ValueError,), (ValueError, "x"), (ValueError, ValueError("x"), None)):
        with pytest.raises(ValueError):  # noqa: PT011
            awaitable.throw(*thrown)
    with pytest.raises(TypeError):
        awaitable.throw("x")
    assert awaitable.close() is None
    assert list(awaitable) == []
    assert awaitable.__await__() is awaitable


def test_each_await_of_a_denial_raises_anew(limiter):
    limiter.try_acquire("a", 3)
    denied = limiter.acquire("a")
    caught = []
    for _ in range(2):
        with pytest.raises(RateLimitExceeded) as info:
            now(denied)
        caught.append(info.value)
    assert caught[0] is not caught[1]


def test_a_denial_keeps_the_context_that_it_is_raised_in(limiter):
    limiter.try_acquire("a", 3)
    before = LookupError("before")
    try:
        raise before
    except LookupError:
        with pytest.raises(RateLimitExceeded) as info:
            now(limiter.acquire("a"))
    assert info.value.__context__ is before


def test_a_value_that_is_a_tuple_or_none_arrives_whole():
    bucket = TokenBucket(1, 1, clock=ManualClock())
    assert now(bucket._refill()) is None
    assert now(bucket.acquire(0)) is True
