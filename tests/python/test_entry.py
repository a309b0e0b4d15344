"""The raw entries of the hot methods: nothing about a call shows that they are there, but its speed."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import subprocess
import sys
import sysconfig
import textwrap
import threading

import pytest

from conftest import account, now
from tollbar import Limiter, ManualClock, Rate, RateLimiter, RateLimitExceeded, TokenBucket, _tollbar

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def run(code, **environment):
    """Run code in a fresh interpreter; the timeout is there only to end a hang."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def limiter(clock) -> RateLimiter:
    return RateLimiter(3, clock=clock, log_interval=None)


def test_every_hot_method_has_its_fast_entry():
    assert _tollbar._fast_entries == 7


@pytest.mark.skipif(not FREE_THREADED, reason="an interpreter with a global lock")
def test_the_import_does_not_bring_the_global_lock_back():
    assert not sys._is_gil_enabled()


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (RateLimiter.acquire, "(self, /, account_email, account=None, tokens=1)"),
        (RateLimiter.try_acquire, "(self, /, account_email, tokens=1, account=None)"),
        (Limiter.try_acquire, "(self, /, key, cost=1, *, costs=None)"),
        (TokenBucket.acquire, "(self, /, tokens=1, timeout=1.0)"),
        (TokenBucket.try_acquire, "(self, /, tokens=1)"),
    ],
)
def test_methods_keep_their_name_and_signature(method, parameters):
    assert str(inspect.signature(method)) == parameters
    assert method.__name__ in {"acquire", "try_acquire"}
    assert method.__objclass__.__module__ == "tollbar"
    assert type(method).__name__ == "method_descriptor"
    with pytest.raises(TypeError, match=r"requires a|doesn't apply"):
        method(5, "a")


def test_every_way_to_pass_the_same_arguments_is_the_same(limiter, clock):
    calls = [
        lambda who: limiter.acquire("a", who, 1),
        lambda who: limiter.acquire("a", who, tokens=1),
        lambda who: limiter.acquire("a", account=who),
        lambda who: limiter.acquire("a", account=who, tokens=1),
        lambda who: limiter.acquire(account_email="a", account=who, tokens=1),
        lambda who: limiter.acquire(tokens=1, account=who, account_email="a"),
        lambda who: limiter.acquire("a", **{str(b"account", "ascii"): who}),
    ]
    for who in (None, account(50)):
        for call in calls:
            before = limiter.buckets["a"].tokens if "a" in limiter.buckets else 3.0
            assert now(call(who)) is True
            assert limiter.buckets["a"].tokens == pytest.approx(before - 1)
            clock.advance(3600)
    native = Limiter(Rate(5, 5), clock=clock)
    forms = [
        native.try_acquire("k"),
        native.try_acquire("k", 1),
        native.try_acquire(key="k"),
        native.try_acquire("k", cost=1),
    ]
    assert forms == [True] * 4
    assert native.peek("k").remaining == 1


def test_bad_calls_are_told_as_they_are_without_a_fast_entry(limiter):
    for wrong in (
        limiter.acquire,
        lambda: limiter.acquire("a", None, 1, 2),
        lambda: limiter.acquire("a", nonsense=1),
        lambda: limiter.acquire("a", None, account=None),
        lambda: limiter.acquire("a", account_email="a"),
        lambda: Limiter(Rate(1, 1)).try_acquire(),
        lambda: TokenBucket(1, 1).try_acquire(1, 2),
    ):
        with pytest.raises(TypeError, match=r"acquire\(\)"):
            wrong()
    assert len(limiter.buckets) == 0


def test_an_overridden_method_and_super_work(clock):
    class Counting(Limiter):
        calls = 0

        def try_acquire(self, key, cost=1):
            type(self).calls += 1
            return super().try_acquire(key, cost)

    limiter = Counting(Rate(1, 1), clock=clock)
    assert [limiter.try_acquire("a"), limiter.try_acquire("a")] == [True, False]
    assert Counting.calls == 2
    assert list(map(Limiter(Rate(9, 9)).try_acquire, "aab")) == [True] * 3


def test_a_mock_may_stand_in_for_a_method(limiter, monkeypatch):
    monkeypatch.setattr(RateLimiter, "acquire", lambda *_args, **_options: "mocked")
    assert limiter.acquire("a") == "mocked"


def test_ten_thousand_awaits_and_denials_keep_nothing(clock):
    limiter = RateLimiter(20_000, clock=clock, log_interval=None)
    email = "someone@example.org"

    async def main():
        for _ in range(10_000):
            await limiter.acquire(email)
        for _ in range(2_000):
            with pytest.raises(RateLimitExceeded):
                await limiter.acquire(email, None, 20_000)

    asyncio.run(main())
    gc.collect()
    things = (email, limiter, RateLimitExceeded)
    before = [sys.getrefcount(thing) for thing in things]
    asyncio.run(main())
    gc.collect()
    after = [sys.getrefcount(thing) for thing in things]
    assert not any(isinstance(thing, RateLimitExceeded) for thing in gc.get_objects())
    if not FREE_THREADED:  # where a count is spread over threads and says little
        assert all(abs(a - b) <= 2 for a, b in zip(after, before, strict=True)), (before, after)


def test_the_allowed_awaitable_cannot_be_made_or_changed(limiter):
    granted = limiter.acquire("a")
    kind = type(granted)
    assert kind.__name__ == "Granted"
    with pytest.raises(TypeError, match="cannot create"):
        kind()
    with pytest.raises(AttributeError):
        granted.answer = False
    with pytest.raises(TypeError):
        kind.send = None
    if not FREE_THREADED:
        assert limiter.acquire("b") is granted


def test_a_stop_iteration_that_somebody_keeps_is_not_used_again(limiter):
    granted = limiter.acquire("a")
    kept = []
    for _ in range(3):
        with pytest.raises(StopIteration) as stop:
            next(granted)
        kept.append(stop.value)
        stop.value.value = "poisoned"
        stop.value.note = "mine"
    assert len({id(stop) for stop in kept}) == 3

    async def main():
        return await limiter.acquire("b")

    assert asyncio.run(main()) is True
    with pytest.raises(StopIteration) as stop:
        granted.send(None)
    assert stop.value.value is True


def test_tracing_and_profiling_see_nothing_odd(clock):
    limiter = RateLimiter(100, clock=clock)
    seen = []

    def trace(_frame, event, arg):
        if event == "exception":
            seen.append(arg[1])
        return trace

    async def main():
        return [await limiter.acquire("a") for _ in range(10)]

    for install, off in ((sys.settrace, sys.settrace), (sys.setprofile, sys.setprofile)):
        install(trace)
        try:
            results = asyncio.run(main())
        finally:
            off(None)
        assert results == [True] * 10
    assert all(isinstance(one, BaseException) for one in seen)


def test_threads_each_get_an_answer_and_may_end(clock):
    limiter = RateLimiter(100_000, clock=clock)

    def work():
        async def main():
            for _ in range(50):
                assert await limiter.acquire("a") is True
                assert await asyncio.create_task(limiter.acquire("a")) is True

        asyncio.run(main())

    for _ in range(5):
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert limiter.buckets["a"].tokens == 100_000 - 5 * 4 * 100


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_eager_tasks(limiter):
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        assert await asyncio.create_task(limiter.acquire("a")) is True
        with pytest.raises(RateLimitExceeded):
            await asyncio.create_task(limiter.acquire("a", None, 99))

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups came with 3.11")
def test_task_groups_and_another_threads_loop(limiter):
    async def main():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(limiter.acquire(name)) for name in "abc"]
        assert [task.result() for task in tasks] == [True] * 3
        loop = asyncio.get_running_loop()
        future = await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(limiter.acquire("d"), loop))
        assert await asyncio.wrap_future(future) is True

    asyncio.run(main(), debug=True)


def test_run_takes_an_acquire_for_a_coroutine():
    assert asyncio.run(RateLimiter(1, clock=ManualClock()).acquire("a")) is True


def test_a_panic_after_the_charge_is_raised_and_charges_once():
    # In a process of its own: each library made with pyo3 has its own class of that name.
    code = """
        import logging, sys
        from tollbar import ManualClock, RateLimiter

        clock, lines = ManualClock(start=1000.0), []
        limiter = RateLimiter(1, clock=clock)
        assert limiter.try_acquire("a")
        raises = KeyError

        class Raises(logging.Handler):
            def emit(self, record):
                lines.append(record.getMessage())
                if raises:
                    raise raises("the log is full")

        async def ask():
            return await limiter.acquire("a")

        logging.getLogger("tollbar").addHandler(Raises())
        sys.unraisablehook = lambda _: None
        # After an error pyo3 asks whether it is a panic that came through Python, and makes that class.
        assert not limiter.try_acquire("a")
        (raises,) = (kind for kind in BaseException.__subclasses__() if kind.__name__ == "PanicException")
        for attempt in (lambda: limiter.try_acquire("a"), lambda: ask().send(None)):
            clock.advance(60.0)
            try:
                attempt()
            except raises as panic:
                print(panic)
        raises = None
        clock.advance(60.0)
        assert not limiter.try_acquire("a")
        print(len(lines), "more since" in lines[-1])
    """
    done = run(code)
    # Each of the two is counted once, so no denial is left untold.
    assert (done.returncode, done.stdout) == (0, "the log is full\nthe log is full\n4 False\n"), done.stderr


@pytest.mark.skipif(
    not FREE_THREADED or sys.platform != "linux", reason="one awaitable for the whole process"
)
def test_an_await_after_the_threads_storage_is_gone_raises_a_live_exception():
    # A key has its destructor run after those of thread-local storage; freed memory is overwritten here.
    code = """
        import ctypes, threading
        from tollbar import TokenBucket

        libc, key = ctypes.CDLL(None), ctypes.c_uint()
        bucket, answers = TokenBucket(1000, 1.0), []

        async def ask():
            return await bucket.acquire()

        def first_step(coroutine):
            try:
                coroutine.send(None)
            except StopIteration as stop:
                answers.append(stop.value)

        @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        def last(_):
            for _ in range(3):
                first_step(ask())

        assert libc.pthread_key_create(ctypes.byref(key), last) == 0

        def work():
            first_step(ask())
            libc.pthread_setspecific(key, ctypes.c_void_p(1))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        print(answers)
    """
    done = run(code, PYTHONMALLOC="debug")
    assert (done.returncode, done.stdout) == (0, f"{[True] * 4}\n"), done.stderr
