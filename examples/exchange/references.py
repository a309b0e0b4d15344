"""Two plain pacers to compare with, which use what a client finds at hand: a ring of send times.

Both know that the exchange admits so many in a second, and stamp a request when it is sent. They differ in
what they do about the way to the exchange, which may bring two requests closer together than they were sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING

from .rules import PER_SECOND, WINDOW_MS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_WINDOW = WINDOW_MS / 1000
_POLL = 0.001
_LEAST_SLEEP = 0.0001


class FixedInterval:
    """Keeps a fixed interval between two requests beside the ring, looks every millisecond, and hopes."""

    def __init__(self) -> None:
        self._sent: deque[float] = deque([-_WINDOW] * PER_SECOND, maxlen=PER_SECOND)

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        """Wait until the interval is over and the oldest request has left the window."""
        while True:
            now = time.monotonic()
            if now - self._sent[-1] > _WINDOW / PER_SECOND and now - self._sent[0] > _WINDOW:
                break
            await asyncio.sleep(_POLL)
        self._sent.append(now)
        yield


class AdaptiveBuffer:
    """Waits longer than the window, by a tenth more than the usual latency, within bounds chosen by hand."""

    least = 0.030
    most = 0.050
    first = 0.040

    def __init__(self) -> None:
        self._sent: deque[float] = deque([-2 * _WINDOW] * PER_SECOND, maxlen=PER_SECOND)
        self._latencies: deque[float] = deque(maxlen=100)

    @property
    def buffer(self) -> float:
        """Seconds by which the window is taken to be longer than it is."""
        if not self._latencies:
            return self.first
        usual = sum(self._latencies) / len(self._latencies)
        return min(self.most, max(self.least, 1.1 * usual))

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        """Sleep until the oldest request has left the longer window; the block's end is the answer."""
        while (wait := self._sent[0] + _WINDOW + self.buffer - time.monotonic()) >= 0:
            await asyncio.sleep(max(wait, _LEAST_SLEEP))
        sent = time.monotonic()
        self._sent.append(sent)
        yield
        self._latencies.append(time.monotonic() - sent)
