"""What the tests of clocks share: limiters that are spent, threads that end, loops whose time is virtual."""

from __future__ import annotations

import asyncio
import selectors

from tollbar import Limiter, Rate

HOUR = 3600
LIMIT = 60  # seconds of real time after which a test has failed


def hourly(clock, *more):
    """Make a limiter whose key `a` is spent for an hour."""
    limiter = Limiter(Rate(1, per=HOUR), *more, clock=clock)
    assert limiter.try_acquire("a")
    return limiter


def come(thread, ends):
    """Expect the thread to end."""
    thread.join(LIMIT)
    assert not thread.is_alive(), "it still waits"
    return ends.pop()


class Time:
    """All that a `LoopClock` needs of a loop."""

    def __init__(self, now=0.0):
        self.now = now

    def time(self):
        return self.now


class JumpingLoop(asyncio.SelectorEventLoop):
    """Jumps to its next timer instead of sleeping."""

    def __init__(self, now=0.0):
        super().__init__(selectors.SelectSelector())
        self.now, self.jumps = now, 0
        select = self._selector.select

        def jump(timeout=None):
            ready = select(0)
            if not ready:
                assert timeout is not None, "everybody waits for everybody"
                self.now += timeout
                self.jumps += timeout > 0
                assert self.jumps < 1000, "the loop jumps without end"
            return ready

        self._selector.select = jump

    def time(self):
        return self.now

    def run(self, main):
        """Run to the end, and close."""
        try:
            return self.run_until_complete(main)
        finally:
            self.close()
