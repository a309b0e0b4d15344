"""Time for the thread form, which tests replace by a clock that does not wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading


class Clock(Protocol):
    """Tells the time and waits. From any thread."""

    def time(self) -> float:
        """Seconds from some moment, never less than before."""
        ...

    def wait(self, condition: threading.Condition, timeout: float | None) -> object:
        """Wait on a condition whose lock is held, for so many seconds at most; None is for ever.

        It may return too early: whoever waits looks again.
        """
        ...


class SystemClock:
    """The system's monotonic clock."""

    def time(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def wait(self, condition: threading.Condition, timeout: float | None) -> object:
        """Wait for so many seconds of real time at most; a wait longer than a thread can is cut short."""
        # threading refuses time-outs above TIMEOUT_MAX, which an hour is not.
        return condition.wait(None if timeout is None else min(timeout, 3600.0))
