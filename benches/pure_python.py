"""The fastest keyed limiter we can write in pure Python: GCRA over a dict, in a closure, without a lock."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def gcra(limit: int, per: float) -> Callable[[str], bool]:
    """Make a `try_acquire(key)` that lets `limit` pass at once and then one every per/limit seconds.

    A key is one float, the time at which its bucket will be full again. Keys are never dropped, and two
    threads may both take the last token: each remedy would cost more than the decision.
    """
    interval = per / limit
    tolerance = per - interval
    full_at: dict[str, float] = {}
    now = monotonic

    def try_acquire(key: str) -> bool:
        moment = now()
        try:
            full = full_at[key]
        except KeyError:
            full = moment
        if full > moment:
            if full - moment > tolerance:
                return False
            full_at[key] = full + interval
        else:
            full_at[key] = moment + interval
        return True

    return try_acquire
