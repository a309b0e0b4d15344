"""The limiters that are compared, each under the name the reports use and with a way to make a fresh one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import tollbar

from .references import AccountLockLimiter, GlobalLockLimiter, Limiter, NoLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_MAX_BUCKETS = 10_000


@dataclass(frozen=True)
class Contender:
    """A limiter by name. `make(default hourly limit, table size)` gives a new, empty one."""

    name: str
    make: Callable[[int, int], Limiter]
    limits: bool = True


def _none(_limit: int, _max_buckets: int) -> Limiter:
    return NoLimiter()


def _global_lock(limit: int, max_buckets: int) -> Limiter:
    return GlobalLockLimiter(limit, max_buckets, exception=tollbar.RateLimitExceeded)


def _account_lock(limit: int, max_buckets: int) -> Limiter:
    return AccountLockLimiter(limit, max_buckets, exception=tollbar.RateLimitExceeded)


def _tollbar(limit: int, max_buckets: int) -> Limiter:
    return tollbar.RateLimiter(limit, max_buckets, exception=tollbar.RateLimitExceeded)


# All raise one exception class, so that the relay treats them alike.
NONE = Contender("no limiter", _none, limits=False)
GLOBAL_LOCK = Contender("global asyncio lock", _global_lock)
ACCOUNT_LOCK = Contender("lock per account", _account_lock)
TOLLBAR = Contender("tollbar", _tollbar)

CONTENDERS = (NONE, GLOBAL_LOCK, ACCOUNT_LOCK, TOLLBAR)
