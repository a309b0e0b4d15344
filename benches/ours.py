"""tollbar itself, and what it is measured beside: floors, pure Python, the reference lock designs."""

# ruff: noqa: D102 - the methods are described where they are declared, in adapters.py

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import tollbar
from adapters import PER, AsyncAdapter, SyncAdapter
from pure_python import gcra
from tollbar.demo.contenders import ACCOUNT_LOCK, GLOBAL_LOCK, NONE, TOLLBAR, Contender

if TYPE_CHECKING:
    from collections.abc import Iterable


class DictGet(SyncAdapter):
    """The least that a lookup can cost."""

    name = "dict.get"

    def __init__(self, limit: int, keys: int) -> None:  # noqa: ARG002 - it limits nothing
        self.known: dict[str, bool] = {}

    def run(self, keys: Iterable[str]) -> None:
        if not self.known:
            self.known = dict.fromkeys(keys, True)
        get = self.known.get
        for key in keys:
            get(key)

    def allows(self, key: str) -> bool:
        return self.known.get(key, True)


def _empty(_key: str) -> bool:
    return True


class EmptyDef(SyncAdapter):
    """The least that a limiter written in Python can cost."""

    name = "empty def"

    def __init__(self, limit: int, keys: int) -> None:
        pass

    def run(self, keys: Iterable[str]) -> None:
        empty = _empty
        for key in keys:
            empty(key)

    def allows(self, key: str) -> bool:
        return _empty(key)


class Limiter(SyncAdapter):
    """`tollbar.Limiter`, which every ratio of the synchronous table is to."""

    name = "tollbar.Limiter.try_acquire"

    def __init__(self, limit: int, keys: int) -> None:
        self.try_acquire = tollbar.Limiter(tollbar.Rate(limit, PER), max_keys=keys).try_acquire

    def run(self, keys: Iterable[str]) -> None:
        try_acquire = self.try_acquire
        for key in keys:
            try_acquire(key)

    def allows(self, key: str) -> bool:
        return self.try_acquire(key)


class HeldBucket(SyncAdapter):
    """A bucket in hand: no key, no lookup."""

    name = "tollbar.TokenBucket.try_acquire"
    keys_at_most = 1

    def __init__(self, limit: int, keys: int) -> None:  # noqa: ARG002 - it is one
        self.try_acquire = tollbar.TokenBucket(limit, limit / PER).try_acquire

    def run(self, keys: Iterable[str]) -> None:
        try_acquire = self.try_acquire
        for _ in keys:
            try_acquire()

    def allows(self, key: str) -> bool:  # noqa: ARG002 - there is but one
        return self.try_acquire()


class PurePython(SyncAdapter):
    """Our own GCRA in pure Python."""

    name = "pure-Python GCRA"

    def __init__(self, limit: int, keys: int) -> None:  # noqa: ARG002 - a dict has no bound
        self.try_acquire = gcra(limit, PER)

    def run(self, keys: Iterable[str]) -> None:
        try_acquire = self.try_acquire
        for key in keys:
            try_acquire(key)

    def allows(self, key: str) -> bool:
        return self.try_acquire(key)


class PurePythonAwaited(AsyncAdapter):
    """The same behind an `async def`."""

    name = "pure-Python GCRA, awaited"

    def __init__(self, limit: int, keys: int) -> None:  # noqa: ARG002 - a dict has no bound
        try_acquire = gcra(limit, PER)

        async def acquire(key: str) -> bool:
            return try_acquire(key)

        self.acquire = acquire

    async def run(self, keys: Iterable[str]) -> None:
        acquire = self.acquire
        for key in keys:
            await acquire(key)

    async def allows(self, key: str) -> bool:
        return await self.acquire(key)


class _Demonstrated(AsyncAdapter):
    """A limiter of the demo: `await limiter.acquire(key)`, which raises when it denies."""

    contender: ClassVar[Contender]

    def __init__(self, limit: int, keys: int) -> None:
        self.acquire = self.contender.make(limit, keys).acquire

    async def run(self, keys: Iterable[str]) -> None:
        acquire = self.acquire
        for key in keys:
            await acquire(key)

    async def allows(self, key: str) -> bool:
        try:
            return await self.acquire(key)
        except tollbar.RateLimitExceeded:
            return False


class EmptyAsyncDef(_Demonstrated):
    """The least that an awaited limiter written in Python can cost."""

    name = "empty async def"
    contender = NONE


class RateLimiter(_Demonstrated):
    """`tollbar.RateLimiter`, which every ratio of the awaited table is to."""

    name = "tollbar.RateLimiter.acquire"
    contender = TOLLBAR


class AnswerAtHand(_Demonstrated):
    """What an `await` of tollbar's answer takes by itself: the decision was made before."""

    name = "await of an answer at hand"
    contender = TOLLBAR

    async def run(self, keys: Iterable[str]) -> None:
        rest = iter(keys)
        answer = self.acquire(next(rest))
        await answer
        for _ in rest:
            await answer


class GlobalLock(_Demonstrated):
    """The reference with one asyncio lock."""

    name = "global asyncio lock"
    contender = GLOBAL_LOCK
    operations = 10_000


class AccountLock(_Demonstrated):
    """The reference with a lock per account."""

    name = "lock per account"
    contender = ACCOUNT_LOCK
    operations = 10_000


SYNC: tuple[type[SyncAdapter], ...] = (DictGet, EmptyDef, Limiter, HeldBucket, PurePython)
ASYNC: tuple[type[AsyncAdapter], ...] = (
    EmptyAsyncDef,
    RateLimiter,
    PurePythonAwaited,
    GlobalLock,
    AccountLock,
)
