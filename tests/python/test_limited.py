"""`Limiter.limited`: every shape of function waits its turn, and no event loop stands still."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import pickle
import signal
import sys
import threading
import types
import typing
from collections.abc import Awaitable

import pytest

from tollbar import AcquireTimeout, InFlight, Limiter, Rate
from virtual import VirtualLoop, run

Name = str


@pytest.fixture(autouse=True)
def _a_blocked_loop_fails():
    """A thread that waits for a manual clock waits for ever; this interrupts it."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def interrupt(number, frame):
        raise AssertionError("something blocks the thread")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 60)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


async def fetch(name: Name, *, more: int = 0) -> int:
    """Fetch it."""
    return len(name) + more


async def stream(count):
    for number in range(count):
        yield number


def promised(name: str) -> Awaitable[int]:
    return fetch(name)


@types.coroutine
def old_coroutine():
    yield from asyncio.sleep(0).__await__()
    return 3


class Callable:
    """An object that is called."""

    async def __call__(self):
        return 3


class Streaming:
    async def __call__(self):
        yield 3


class Client:
    async def method(self):
        return 3


async def all_of(items):
    return [item async for item in items]


SHAPES = {
    "coroutine function": (fetch, ("abc",), 3),
    "partial": (functools.partial(fetch, "abc"), (), 3),
    "partial of a partial": (functools.partial(functools.partial(fetch, more=1), "ab"), (), 3),
    "bound method": (Client().method, (), 3),
    "object": (Callable(), (), 3),
    "partial of an object": (functools.partial(Callable()), (), 3),
    "annotated": (promised, ("abc",), 3),
    "types.coroutine": (old_coroutine, (), 3),
    "async generator function": (stream, (3,), [0, 1, 2]),
    "partial of an async generator function": (functools.partial(stream, 3), (), [0, 1, 2]),
    "object with an async generator": (Streaming(), (), [3]),
}


def in_a_loop(clock, call, count=3):
    """Call it beside a heart that beats once a second; say when each call came, and how often it beat."""
    times, results, beats = [], [], [0]

    async def beat():
        while True:
            await asyncio.sleep(1)
            beats[0] += 1

    async def main():
        heart = asyncio.ensure_future(beat())
        for _ in range(count):
            result = call()
            results.append(await (all_of(result) if hasattr(result, "__aiter__") else result))
            times.append(round(clock.now() - 1_000, 6))
        heart.cancel()

    run(clock, main())
    return times, results, beats[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_async_shape_waits_as_a_task(clock, shape):
    function, arguments, expected = SHAPES[shape]
    limiter = Limiter(Rate(1, per=5), clock=clock)
    limited = limiter.limited(key="a")(function)
    times, results, beats = in_a_loop(clock, lambda: limited(*arguments))
    assert (times, results) == ([0, 5, 10], [expected] * 3)
    assert beats >= 9, "the loop went on"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no mark for coroutine functions")
def test_a_marked_function_waits_as_a_task(clock):
    limiter = Limiter(Rate(1, per=5), clock=clock)
    limited = limiter.limited(key="a")(inspect.markcoroutinefunction(lambda: fetch("abc")))
    assert in_a_loop(clock, limited)[:2] == ([0, 5, 10], [3, 3, 3])


@pytest.mark.parametrize("around", [True, False])
@pytest.mark.parametrize("descriptor", [staticmethod, classmethod])
def test_descriptors_are_decorated_inside_and_outside(clock, descriptor, around):
    limiter = Limiter(Rate(1, per=5), clock=clock)
    decorate = limiter.limited(key=lambda *owner: owner[0].__name__ if owner else "static")

    class Service:
        async def call(*owner):
            return [one.__name__ for one in owner]

        call = decorate(descriptor(call)) if around else descriptor(decorate(call))

    assert type(vars(Service)["call"]) is descriptor
    key, result = ("static", []) if descriptor is staticmethod else ("Service", ["Service"])
    assert in_a_loop(clock, Service().call, 1)[1] == [result]
    assert in_a_loop(clock, Service.call, 1)[0] == [5]
    assert not limiter.try_acquire(key)


def test_an_async_generator_waits_beside_a_slot_of_the_same_loop():
    limiter = Limiter(InFlight(1))
    words = limiter.limited(key="model")(stream)

    async def hold(entered):
        async with limiter.slot("model"):
            entered.set()
            await asyncio.sleep(0)

    async def main():
        entered = asyncio.Event()
        holder = asyncio.ensure_future(hold(entered))
        await entered.wait()
        assert await all_of(words(2)) == [0, 1]
        await holder

    asyncio.run(main())


def test_an_async_generator_is_passed_through(clock):
    limiter = Limiter(Rate(10, per=10), clock=clock)
    log = []

    @limiter.limited(key="a")
    async def echo():
        heard = "first"
        try:
            while True:
                try:
                    heard = yield heard
                except KeyError as error:  # noqa: PERF203
                    heard = f"caught {error}"
        finally:
            await asyncio.sleep(1)
            log.append(clock.now())

    async def main():
        made = echo()
        assert limiter.peek("a").remaining == 10, "nothing is charged before the first step"
        assert await made.asend(None) == "first"
        assert limiter.peek("a").remaining == 9
        assert await made.asend("second") == "second"
        assert await made.athrow(KeyError("third")) == "caught 'third'"
        await made.aclose()
        assert log == [1_001]
        with pytest.raises(StopAsyncIteration):
            await made.__anext__()
        with pytest.raises(ZeroDivisionError):
            await (broken := echo()).__anext__(), await broken.athrow(ZeroDivisionError)
        assert log == [1_001, 1_002]
        left = limiter.peek("a").remaining
        await echo().aclose()
        assert limiter.peek("a").remaining == left, "one that never began takes nothing"

    run(clock, main())


def test_a_cancelled_wait_of_an_async_generator_takes_nothing(clock):
    limiter = Limiter(Rate(1, per=10), clock=clock)
    limited = limiter.limited(key="a")(stream)

    async def main():
        await limiter.acquire("a")
        task = asyncio.ensure_future(all_of(limited(1)))
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(5)
        assert limiter.try_acquire("a")

    run(clock, main())


def test_a_loop_that_shuts_down_closes_a_limited_generator_once(clock):
    limiter = Limiter(Rate(10, per=10), clock=clock)
    closed, complaints = [], []

    @limiter.limited(key="a")
    async def endless():
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    kept = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        kept.append(endless())
        await kept[0].__anext__()

    loop = VirtualLoop(clock)
    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert (closed, complaints) == ([True], [])


def test_a_dropped_async_generator_is_closed_by_its_loop(clock):
    limiter = Limiter(Rate(10, per=10), clock=clock)
    closed = []

    @limiter.limited(key="a")
    async def endless():
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(1)
            closed.append(clock.now())

    async def main():
        async for _ in endless():
            break
        gc.collect()
        await asyncio.sleep(2)

    run(clock, main())
    assert closed == [1_001]


def test_a_generator_waits_at_its_first_step(clock):
    limiter = Limiter(Rate(1, per=10), clock=clock)
    log = []

    @limiter.limited(key="a", timeout=0)
    def echo(heard):
        try:
            while heard != "end":
                try:
                    heard = yield heard
                except KeyError:  # noqa: PERF203
                    heard = "caught"
            return "result"
        finally:
            log.append("closed")

    first, second, third = echo(1), echo(1), echo(1)
    assert limiter.peek("a").remaining == 1, "nothing is charged when it is made"
    assert (next(first), first.send(2), first.throw(KeyError())) == (1, 2, "caught")
    with pytest.raises(AcquireTimeout):
        next(second)
    with pytest.raises(StopIteration) as stop:
        first.send("end")
    assert (stop.value.value, log) == ("result", ["closed"])
    third.close()
    assert log == ["closed"]
    clock.advance(10)
    fourth = echo(1)
    assert next(fourth) == 1
    fourth.close()
    assert log == ["closed"] * 2


def test_a_plain_function_waits_in_its_thread(clock):
    limiter = Limiter(Rate(1, per=1000), clock=clock)
    done = []
    limited = limiter.limited(key="a")(done.append)
    limited(1)
    thread = threading.Thread(target=limited, args=(2,), daemon=True)
    thread.start()
    limiter.reset("a")
    thread.join(60)
    assert done == [1, 2]


@pytest.mark.hazard("decorator-loop")
def test_a_plain_function_does_not_wait_in_a_loop(clock):
    limiter = Limiter(Rate(1, per=10), clock=clock)
    plain = limiter.limited(key="a")(lambda: "done")
    coroutines = limiter.limited(key="b", cost=1)(lambda: fetch("abc"))
    steps = limiter.limited(key="a")(lambda: (yield 1))

    async def main():
        assert plain() == "done"
        with pytest.raises(AcquireTimeout, match=r"would come in 10.000 s; .*event loop.*to_thread") as late:
            plain()
        assert late.value.retry_after == 10
        assert "to_thread" in str(pickle.loads(pickle.dumps(late.value)))
        with pytest.raises(AcquireTimeout, match="event loop"):
            next(steps())
        with pytest.raises(AcquireTimeout) as told:
            limiter.limited(key="a", timeout=0)(lambda: None)()
        assert "event loop" not in str(told.value), "it would not have waited elsewhere either"
        assert await coroutines() == 3
        with pytest.raises(AcquireTimeout, match="markcoroutinefunction"):
            coroutines()
        waiting = asyncio.ensure_future(limiter.acquire("a"))
        await asyncio.sleep(0)
        clock.advance(10)
        with pytest.raises(AcquireTimeout):
            plain()  # nor does it overtake
        assert await waiting

    run(clock, main())


def test_under_trio(clock):
    trio = pytest.importorskip("trio")
    limiter = Limiter(InFlight(1), Rate(3, per=10), clock=clock)
    words = limiter.limited(key="a")(stream)
    plain = limiter.limited(key="a")(lambda: "done")

    async def main():
        assert [word async for word in words(2)] == [0, 1]
        assert plain() == "done"
        async with limiter.slot("a"):
            with pytest.raises(AcquireTimeout, match="event loop"):
                plain()

    trio.run(main)


@pytest.mark.parametrize("function", [fetch, stream, lambda name: name])
def test_a_missing_key_is_told_at_the_decoration(clock, function):
    limiter = Limiter(Rate(1, per=10), clock=clock)
    with pytest.raises(
        TypeError, match=r'given by place. Write @limiter.limited\(key="name"\) above'
    ) as error:
        limiter.limited(function)
    assert function.__name__ in str(error.value)
    with pytest.raises(TypeError, match=r"limited\(\) missing 1 required positional argument: 'key'"):
        limiter.limited()
    assert len(limiter) == 0


def test_bad_options_are_refused_at_the_decoration(clock):
    limiter = Limiter(Rate(1, per=10), clock=clock)
    for key in (None, 5, b"a", fetch):
        with pytest.raises(TypeError, match="key must be a str, or a plain function that gives one, not"):
            limiter.limited(key=key)
    with pytest.raises(ValueError, match="cost must be at least 0"):
        limiter.limited("a", -1)
    with pytest.raises(ValueError, match="timeout must be at least 0"):
        limiter.limited("a", 1, -1)
    with pytest.raises(ValueError, match="priority must be at most 127"):
        limiter.limited("a", priority=128)
    with pytest.raises(TypeError, match="unexpected keyword argument 'prio'"):
        limiter.limited("a", prio=1)
    with pytest.raises(UnicodeEncodeError):
        limiter.limited("\ud800")
    for thing in (property(len), 5, None, functools.partialmethod(len)):
        with pytest.raises(TypeError, match="limited decorates a function"):
            limiter.limited("a")(thing)


@pytest.mark.parametrize("result", [5, None, b"a", ["a"]])
def test_a_key_that_is_no_text_is_told_by_name(clock, result):
    limiter = Limiter(Rate(1, per=10), clock=clock)
    limited = limiter.limited(key=lambda name: result)
    message = f"key must give a str, not {type(result).__name__}"
    with pytest.raises(TypeError, match=message):
        run(clock, limited(fetch)("a"))
    with pytest.raises(TypeError, match=message):
        limited(len)("a")
    assert len(limiter) == 0


def test_the_key_is_named_by_the_arguments_of_the_call(clock):
    limiter = Limiter(Rate(1, per=10), clock=clock)

    class Service:
        name = "mail"

        @limiter.limited(key=lambda self, user, **_: f"{self.name} {user}")
        async def send(self, user, *, text=""):
            return user

    run(clock, Service().send("a", text="hello"))
    assert not limiter.try_acquire("mail a")


@pytest.mark.parametrize("shape", SHAPES)
def test_the_wrapper_passes_for_the_function(shape):
    function = SHAPES[shape][0]
    limited = Limiter(Rate(1, per=10)).limited(key="a")(function)
    assert inspect.signature(limited) == inspect.signature(function)
    assert limited.__wrapped__ is function
    assert inspect.isfunction(limited)
    assert inspect.isasyncgenfunction(limited) == ("generator" in shape)
    assert inspect.iscoroutinefunction(limited) == ("generator" not in shape)
    assert limited.__globals__ is globals(), "where frameworks look up the names of annotations"


def test_names_documentation_and_annotations_survive():
    decorate = Limiter(Rate(1, per=10)).limited(key="a")
    limited = decorate(functools.partial(fetch, more=1))
    assert (limited.__name__, limited.__doc__) == ("fetch", "Fetch it.")
    assert (decorate(Callable()).__name__, decorate(Callable()).__doc__) == (
        "Callable",
        "An object that is called.",
    )
    assert typing.get_type_hints(decorate(fetch)) == {"name": str, "more": int, "return": int}
    assert typing.get_type_hints(decorate(promised)) == {"name": str, "return": Awaitable[int]}
    assert decorate(len)([1, 2]) == 2
