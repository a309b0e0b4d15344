"""A task of asyncio that is parked until it is woken from any thread, or until its timer runs out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FOREVER = float("inf")


class Parked:
    """Made in the task that will be parked. `leave` is called when it is woken and its loop is closed."""

    __slots__ = ("_future", "_leave", "_loop", "group")

    def __init__(self, leave: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self.group = id(self._loop)
        self._future: asyncio.Future[None] | None = None
        self._leave = leave

    async def park(self, seconds: float) -> None:
        """Sleep until woken, or for so long."""
        self._future = self._loop.create_future()
        timer = None if seconds == FOREVER else self._loop.call_later(seconds, self._go_on)
        try:
            await self._future
        finally:
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        """Let the task look again; called from whatever thread has something for it."""
        try:
            self._loop.call_soon_threadsafe(self._go_on)
        except RuntimeError:  # the loop is closed, and its tasks with it: the next one's turn
            self._leave()

    def _go_on(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)
