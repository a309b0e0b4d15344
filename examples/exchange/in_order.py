"""Lets requests overlap, but not so far that one could overtake another: nonces must arrive in order.

A request may go when the one before it was answered, or was sent so long ago that it must have arrived.
Waiting for each answer instead would cost every request its whole round trip, and the limit would not be
reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tollbar.pacing import RateLimiter, ThreadSafeRateLimiter


def _left(timeout_ms: float, since: float) -> float:
    """How much of a time-out is left, in milliseconds; 0 is none at all, as for the limiters."""
    if timeout_ms <= 0:
        return 0
    left = timeout_ms - 1000 * (time.monotonic() - since)
    if left <= 0:
        raise TimeoutError("the request before it took too long")
    return left


class InOrder:
    """A pacer for tasks. `gap` is how long a request is under way at most, in seconds."""

    def __init__(self, limiter: RateLimiter, gap: float) -> None:
        self._limiter = limiter
        self._gap = gap
        self._gate = asyncio.Lock()
        self._answered = asyncio.Event()
        self._sent = -gap

    @contextlib.asynccontextmanager
    async def acquire(self, timeout_ms: float = 0) -> AsyncIterator[None]:
        """Wait for the request before, then for the limiter, all within the time-out."""
        came = time.monotonic()
        async with contextlib.AsyncExitStack() as block:
            async with self._gate:
                if (wait := self._sent + self._gap - time.monotonic()) > 0:
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(self._answered.wait(), wait)
                await block.enter_async_context(self._limiter.acquire(_left(timeout_ms, came)))
                self._sent = time.monotonic()
                self._answered = answered = asyncio.Event()
            block.callback(answered.set)
            yield

    def record_rejected(self, retry_after: float | None = None) -> None:
        """Pass a 429 on."""
        self._limiter.record_rejected(retry_after)


class ThreadInOrder:
    """The same for threads."""

    def __init__(self, limiter: ThreadSafeRateLimiter, gap: float) -> None:
        self._limiter = limiter
        self._gap = gap
        self._gate = threading.Lock()
        self._answered = threading.Event()
        self._sent = -gap

    @contextlib.contextmanager
    def acquire(self, timeout_ms: float = 0) -> Iterator[None]:
        """Wait for the request before, then for the limiter, all within the time-out."""
        came = time.monotonic()
        with contextlib.ExitStack() as block:
            with self._gate:
                if (wait := self._sent + self._gap - time.monotonic()) > 0:
                    self._answered.wait(wait)
                block.enter_context(self._limiter.acquire(_left(timeout_ms, came)))
                self._sent = time.monotonic()
                self._answered = answered = threading.Event()
            block.callback(answered.set)
            yield

    def record_rejected(self, retry_after: float | None = None) -> None:
        """Pass a 429 on."""
        self._limiter.record_rejected(retry_after)
