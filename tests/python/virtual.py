"""What the pacing tests share; above all an event loop whose time is a `ManualClock`.

Instead of waiting, it moves the clock to the next timer, of its own or of a waiter by that clock.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tollbar import ManualClock


class VirtualSelector(selectors.SelectSelector):
    """Never waits: whoever would have waited so long finds that so much time has passed."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            waits = [wait for wait in (timeout, self.clock.until_next()) if wait is not None]
            timeout = min(waits, default=None)
            assert timeout is not None, "everybody waits for everybody"
            if timeout > 0:
                self.clock.advance_ns(math.ceil(timeout * 1e9))
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__(VirtualSelector(clock))
        self.clock = clock

    def time(self) -> float:
        return self.clock.now()


def run(clock: ManualClock, main: Coroutine[Any, Any, Any]) -> Any:
    """Do what `asyncio.run` does, without waiting."""
    loop = VirtualLoop(clock)
    try:
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()


async def request(limiter, clock, log=None, *, number=0, lasts=0.03):
    async with limiter.acquire():
        if log is not None:
            log.append((number, round(clock.now() - 1_000, 3)))
        await asyncio.sleep(lasts)


def use(limiter, times=1):
    """Use so many permits that are free."""
    for _ in range(times):
        with limiter.acquire(1):
            pass


def stats(limiter, *names):
    told = limiter.stats()
    return tuple(told[name] for name in names)
