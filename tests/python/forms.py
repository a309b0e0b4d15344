"""Both forms of the dispatch queue behind one set of awaitable names, and stand-ins for their company."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
import random

import virtual_time
from tollbar.dispatch import DispatchQueue, ThreadDispatchQueue


class AsyncPacer:
    """A plain pacer as the asyncio form wants it, with the same arguments."""

    def __init__(self, pacer):
        self._pacer = pacer
        if "timeout_ms" in inspect.signature(pacer.acquire).parameters:
            self.acquire = self._acquire_timed
        if hasattr(pacer, "record_rejected"):
            self.record_rejected = pacer.record_rejected

    @contextlib.asynccontextmanager
    async def acquire(self):
        with self._pacer.acquire():
            yield

    @contextlib.asynccontextmanager
    async def _acquire_timed(self, timeout_ms=0):
        with self._pacer.acquire(timeout_ms):
            yield


class AsyncForm:
    """The queue as it is; plain handlers are made async."""

    def queue(self, handler, workers=("a",), **options):
        async def call(item):
            return handler(item)

        if not isinstance(workers, dict):
            workers = dict.fromkeys(workers)
        paced = {name: None if pacer is None else AsyncPacer(pacer) for name, pacer in workers.items()}
        return DispatchQueue(call, paced, **options)

    def run(self, scenario):
        return virtual_time.run(scenario())

    def advance(self, seconds):
        asyncio.get_running_loop().advance(seconds)

    async def until(self, condition):
        while not condition():
            await asyncio.sleep(0.01)  # of the loop's own time, which jumps


class _Awaited:
    """The thread form's methods, to be awaited; they block."""

    def __init__(self, queue):
        self._queue = queue

    def __getattr__(self, name):
        return getattr(self._queue, name)

    async def start(self):
        return self._queue.start()

    async def put(self, payload, **options):
        return self._queue.put(payload, **options)

    async def join(self):
        return self._queue.join()

    async def stop(self, **options):
        return self._queue.stop(**options)

    async def __aenter__(self):
        self._queue.__enter__()
        return self

    async def __aexit__(self, *raised):
        return self._queue.__exit__(*raised)


class ThreadForm:
    """The thread form on a clock that jumps."""

    def __init__(self):
        self.clock = virtual_time.JumpingClock()

    def queue(self, handler, workers=("a",), **options):
        if not isinstance(workers, dict):
            workers = dict.fromkeys(workers)
        return _Awaited(ThreadDispatchQueue(handler, workers, clock=self.clock, **options))

    def run(self, scenario):
        return asyncio.run(scenario())

    def advance(self, seconds):
        self.clock.advance(seconds)

    async def until(self, condition):
        while not condition():
            await asyncio.sleep(0)


FORMS = [AsyncForm, ThreadForm]


def settled(queue):
    """Assert that the books balance with nothing under way, and give the statistics."""
    stats = queue.stats()
    assert stats.balanced
    assert stats.main == stats.dead_letters == stats.in_flight == 0
    return stats


class Highest(random.Random):
    """Draws the upper end always: the backoff without its jitter."""

    def uniform(self, _low, high):
        return high


class Fails:
    """A handler that fails so many times for each payload, and remembers when it was called."""

    def __init__(self, times=math.inf, error=RuntimeError):
        self.times = times
        self.error = error
        self.calls = []

    def __call__(self, item):
        self.calls.append((item.payload, item.tries, item.clock()))
        if item.tries <= self.times:
            raise self.error("not this time")
        return f"answer to {item.payload}"


class SlowPacer:
    """Lets one call pass each so many seconds of the loop's time."""

    def __init__(self, interval):
        self.interval = interval
        self.next = 0.0

    @contextlib.asynccontextmanager
    async def acquire(self):
        now = asyncio.get_running_loop().time()
        self.next = max(self.next, now) + self.interval
        await asyncio.sleep(self.next - now)
        try:
            yield
        finally:
            await asyncio.sleep(0)


def workers_of(queue):
    return sorted(queue._tasks, key=lambda task: task.get_name())


async def quick(item):
    return item.payload
