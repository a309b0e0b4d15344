"""Who waits on one event loop, in the order they came: for something to happen, or in line for room."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _ring(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Waiters:
    """Tasks that wait for one thing to happen. No wake-up is lost: one that a cancelled task got goes on."""

    def __init__(self) -> None:
        self._futures: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    def wake(self) -> None:
        """Wake the one who has waited longest, if there is one."""
        while self._futures:
            future, _ = self._futures.popitem(last=False)
            if not future.done():
                future.set_result(None)
                return

    def wake_all(self) -> None:
        """Wake everybody."""
        while self._futures:
            _ring(self._futures.popitem(last=False)[0])

    async def wait(self, until: float | None = None) -> None:
        """Wait to be woken, or until the loop's time is `until` seconds; then look again."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._futures[future] = None
        timer = None if until is None else loop.call_at(until, _ring, future)
        try:
            await future
        except BaseException:
            if future.done() and not future.cancelled():
                self.wake()
            raise
        finally:
            if timer is not None:
                timer.cancel()
            self._futures.pop(future, None)


class Line:
    """Tasks that wait for room, which only the first in line may have: none overtakes, none starves."""

    def __init__(self) -> None:
        self._futures: OrderedDict[object, asyncio.Future[None]] = OrderedDict()

    def wake(self) -> None:
        """Let the first in line look again."""
        if self._futures:
            _ring(next(iter(self._futures.values())))

    def wake_all(self) -> None:
        """Let everybody look again."""
        for future in self._futures.values():
            _ring(future)

    async def turn(self, ready: Callable[[], bool], over: Callable[[], bool]) -> None:
        """Wait until one is first in line and `ready`, or until it is `over`; at once if nobody waits."""
        ticket = object()
        loop = asyncio.get_running_loop()
        try:
            while not over() and (next(iter(self._futures), ticket) is not ticket or not ready()):
                self._futures[ticket] = loop.create_future()
                await self._futures[ticket]
        finally:
            self._futures.pop(ticket, None)
            self.wake()
