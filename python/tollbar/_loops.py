"""The loop that a `LoopClock` follows: the one that runs, of asyncio or trio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollbar._waiting import in_trio

if TYPE_CHECKING:
    from collections.abc import Callable


def running() -> tuple[Callable[[], float], Callable[[], bool]]:
    """Return what reads the running loop's time, and what tells that the loop has ended."""
    if in_trio():
        import trio  # noqa: PLC0415 - only where it runs already

        clock = trio.lowlevel.current_clock()

        def is_over() -> bool:
            return in_trio() and trio.lowlevel.current_clock() is not clock

        return clock.current_time, is_over

    import asyncio  # noqa: PLC0415 - few tests follow a loop

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        message = "no event loop runs here: use the limiter inside of one first, or give its LoopClock a loop"
        raise RuntimeError(message) from None
    return loop.time, loop.is_closed
