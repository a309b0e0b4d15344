"""Limits per minute, hour and day, counted from logged sends: the drop-in for a dispatcher's own limiter.

A check costs the same whether ten sends are remembered or a million.

    import asyncio
    from tollbar.sliding_window import RateLimiter

    limiter = RateLimiter(plan="exact", lease=300)
    account = {"id": "newsletter", "limit_per_minute": 2, "limit_per_day": "1000"}


    async def dispatch() -> str:
        deferred_until, should_reject = await limiter.check_and_plan(account)
        if deferred_until is not None:
            return "rejected" if should_reject else "deferred"
        try:
            pass  # hand the message over
        except BaseException:
            await limiter.release_slot("newsletter")
            raise
        await limiter.log_send("newsletter")
        return "sent"


    async def main() -> None:
        print([await dispatch() for _ in range(3)])


    asyncio.run(main())
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tollbar._histories import InFlight, SendHistory
from tollbar._tollbar import SlidingWindow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Literal

    from tollbar._tollbar import LoopClock, ManualClock

__all__ = ["WINDOW_DAY", "WINDOW_HOUR", "WINDOW_MINUTE", "RateLimiter"]

# Seconds.
WINDOW_MINUTE: Final = 60
WINDOW_HOUR: Final = 3600
WINDOW_DAY: Final = 86400


class RateLimiter(SlidingWindow):
    """Limits what accounts send per minute, hour and day, sends in flight included.

    A send logged at second t counts in a window of W seconds for as long as t > now - W. Time is the wall
    clock in whole seconds; sends logged in what is the future after a step back count.

    - `smtp_sender`: kept as an attribute, and not used.
    - `plan`: what `check_and_plan` tells those who must wait. "boundary": the next full minute, hour or day
      of the first limit reached, as the original does, which may be too early or too late. "exact": the
      first second at which the same request would pass if nothing else happened; where those in flight take
      the whole limit, that is after one of them ends, and the next second is told.
    - `lease`: seconds after which a reservation that was neither logged nor released is taken for lost; None:
      never, as the original. It is not known which of an account's reservations a call ends, so the oldest is
      taken for it: none expires early; a lost one is released at the latest when its account has made no
      new reservation for a lease.
    - `log_unlimited`: also keep a history of accounts whose last check had no limit, as the original does.
    - `clock`: a `ManualClock` or a `LoopClock`, whose wall clock is read; None is the system's.

    Everything may be used from any thread and any event loop. What is awaited has happened when it was
    called, and answers at once. An account costs some 300 bytes, and 16 to 32 for each second of the last day
    in which it sent. ValueError or TypeError for options that are none.
    """

    smtp_sender: Any

    def __init__(
        self,
        smtp_sender: object = None,
        *,
        plan: Literal["boundary", "exact"] = "boundary",  # noqa: ARG002 - the native class has taken it
        lease: float | None = None,  # noqa: ARG002
        log_unlimited: bool = False,  # noqa: ARG002
        clock: LoopClock | ManualClock | None = None,  # noqa: ARG002
    ) -> None:
        super().__init__()
        self.smtp_sender = smtp_sender

    @property
    def _send_history(self) -> SendHistory:
        """Account id -> its logged sends: live, and assignable as a whole or for an account."""
        return SendHistory(self)

    @_send_history.setter
    def _send_history(self, given: Mapping[str, Iterable[float]]) -> None:
        SendHistory(self)._replace(given)

    @property
    def _in_flight(self) -> InFlight:
        """Account id -> its reservations: live, and assignable as a whole or for an account."""
        return InFlight(self)

    @_in_flight.setter
    def _in_flight(self, given: Mapping[str, int]) -> None:
        InFlight(self)._replace(given)
