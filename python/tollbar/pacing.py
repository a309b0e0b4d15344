"""Pace the requests of an API client: reach the server's limit, and never be told 429.

`RateLimiter` is for tasks, `ThreadSafeRateLimiter` for threads.

    import asyncio
    from tollbar.pacing import RateLimiter, RateLimiterTimeout

    limiter = RateLimiter(20, 50)


    async def request() -> str:
        try:
            async with limiter.acquire(timeout_ms=900):
                return "sent"  # the block ends with the response; a 429 is told by limiter.record_rejected(5)
        except RateLimiterTimeout as late:
            return f"not now: in {late.retry_after} s"


    async def main() -> None:
        print(await asyncio.gather(*(request() for _ in range(21))))


    asyncio.run(main())
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollbar._parked import Parked
from tollbar._tollbar import Pacing, RateLimiterTimeout, Turn

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["RateLimiter", "RateLimiterTimeout", "ThreadSafeRateLimiter"]


class RateLimiter(Pacing):
    """Paces tasks: at most `per_second_rate` requests in any second of the server.

    - `per_second_rate`: whole, from 1 to 2**32 - 1.
    - `min_duration_ms_between_requests`: kept only with `enforce_spacing=True`.
    - `headroom_ms`: how long a request may be under way, to begin with; from then on it is learned.
    - `clock`: a `ManualClock`, whose moves wake the waiters whose time has come, or a `LoopClock`; None is
      the system's monotonic clock.

    One limiter may serve any number of `asyncio.run`, one after another, and of loops in several threads at
    once; turns come in the order of arrival among all of them. A request takes two short calls; memory goes
    with the permits in use. ValueError or TypeError that names the argument, for what is none.
    """

    def acquire(self, timeout_ms: float = 0) -> Acquiring:
        """Wait for a permit and hold it for the block: `async with limiter.acquire(): ...`.

        The block should be the request: its end stamps the response, and a block that is left by an exception
        or a cancellation counts as a request that may still arrive. `timeout_ms` of 0 and below is none.
        RateLimiterTimeout as soon as it is known that the turn would come too late, which may be at once.
        """
        return Acquiring(self, self._turn(timeout_ms))


class ThreadSafeRateLimiter(Pacing):
    """Paces threads: `RateLimiter` for a plain `with`."""

    def acquire(self, timeout_ms: float = 0) -> Turn:
        """Wait for a permit and hold it for the block: `with limiter.acquire(): ...`.

        As `RateLimiter.acquire`, but for the waiting: the thread is parked and lets others run. An interrupt
        is raised within 100 ms, and takes no permit.
        """
        return self._turn(timeout_ms)


class Acquiring:
    """One `async with` block: parks its task until the turn has come."""

    __slots__ = ("_limiter", "_turn")

    def __init__(self, limiter: RateLimiter, turn: Turn) -> None:
        self._limiter = limiter
        self._turn = turn

    async def __aenter__(self) -> RateLimiter:
        parked = Parked(lambda: self._turn._finish(answered=False))  # noqa: SLF001 - the native part is ours
        if not self._turn._start(parked.wake):  # noqa: SLF001
            try:
                while (wait := self._turn._look()) is not None:  # noqa: SLF001
                    await parked.park(wait)
            except BaseException:
                self._turn._finish(answered=False)  # noqa: SLF001
                raise
        return self._limiter

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._turn._finish(answered=kind is None)  # noqa: SLF001
