"""Time that jumps to the next thing that is due: an event loop, and a clock for threads. Nobody waits."""

from __future__ import annotations

import asyncio
import selectors
import threading


class _JumpingSelector(selectors.DefaultSelector):
    """Tells its loop how long it would have waited, instead of waiting."""

    jump = None

    def select(self, timeout=None):
        ready = super().select(0)
        if ready:
            return ready
        assert timeout is not None, "nothing is due and nobody runs: this would wait for ever"
        self.jump(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time stands still while there is work, and jumps to the next timer when there is none."""

    def __init__(self):
        selector = _JumpingSelector()
        selector.jump = self.advance
        self._now = 1_000.0
        super().__init__(selector)

    def time(self):
        return self._now

    def advance(self, seconds):
        self._now += seconds


def run(scenario):
    """Run a coroutine in virtual time; no task may be left when it has ended."""
    loop = VirtualLoop()
    try:
        result = loop.run_until_complete(scenario)
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
        assert not left, left
        return result
    finally:
        loop.close()


class JumpingClock:
    """For threads: whoever waits for a time finds that it has come."""

    def __init__(self):
        self._lock = threading.Lock()
        self._now = 1_000.0

    def time(self):
        return self._now

    def wait(self, condition, timeout):
        if timeout is None:
            condition.wait()
            return
        self.advance(max(0.0, timeout))
        # Others may have something to do first.
        condition.release()
        condition.acquire()

    def advance(self, seconds):
        with self._lock:
            self._now += seconds
