"""The limiters from PyPI, each used as its documentation says for a limit per key, in memory.

Each imports its package when it is made, so that one that is not installed stops nobody else.
"""

# ruff: noqa: D102 - the methods are described where they are declared, in adapters.py

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from adapters import PER, Adapter, AsyncAdapter, SyncAdapter

if TYPE_CHECKING:
    from collections.abc import Iterable

# For those that would need ten seconds and more, or a gigabyte, to get to know a million keys.
_NO_MILLION = 100_000


class _Limits(SyncAdapter):
    """limits: `strategy.hit(item, key)` of a strategy over a `MemoryStorage`, as its quick start does.

    While it is used, a timer thread sweeps the storage time and again; that belongs to its cost.
    """

    distribution = "limits"
    keys_at_most = _NO_MILLION
    strategy: ClassVar[str]

    def __init__(self, limit: int, keys: int) -> None:  # noqa: ARG002 - its storage has no bound
        limits = import_module("limits")
        self.storage = import_module("limits.storage").MemoryStorage()
        self.hit = getattr(import_module("limits.strategies"), self.strategy)(self.storage).hit
        self.item = limits.RateLimitItemPerHour(limit)

    def run(self, keys: Iterable[str]) -> None:
        hit, item = self.hit, self.item
        for key in keys:
            hit(item, key)

    def allows(self, key: str) -> bool:
        return bool(self.hit(self.item, key))

    def settle(self) -> None:
        # After the last call a timer thread goes through the whole storage once more.
        self.storage.timer.join()


class LimitsFixedWindow(_Limits):
    """The cheapest strategy: a counter for each clock hour."""

    name = "limits, fixed window"
    strategy = "FixedWindowRateLimiter"
    operations = 5_000


class LimitsMovingWindow(_Limits):
    """The exact strategy: it keeps every hit and inserts the new one before all others.

    So it becomes slower with the hits of a key, and a sample of many would measure only that.
    """

    name = "limits, moving window"
    strategy = "MovingWindowRateLimiter"
    operations = 1_000


class TokenBucket(SyncAdapter):
    """token-bucket: `Limiter(rate, capacity, MemoryStorage()).consume(key)`, which is all of its API."""

    name = "token-bucket"
    distribution = "token-bucket"
    operations = 20_000

    def __init__(self, limit: int, keys: int) -> None:  # noqa: ARG002 - its storage has no bound
        package = import_module("token_bucket")
        self.consume = package.Limiter(limit / PER, limit, package.MemoryStorage()).consume

    def run(self, keys: Iterable[str]) -> None:
        consume = self.consume
        for key in keys:
            consume(key)

    def allows(self, key: str) -> bool:
        return bool(self.consume(key))


class Throttled(SyncAdapter):
    """throttled-py: `Throttled(...).limit(key)`, its function call, with the algorithm that tollbar has.

    The store gets room for all keys; by default it drops the oldest of more than 1,024, budget and all.
    """

    name = "throttled-py, GCRA"
    distribution = "throttled-py"
    operations = 5_000

    def __init__(self, limit: int, keys: int) -> None:
        throttled = import_module("throttled")
        self.limit = throttled.Throttled(
            using=throttled.RateLimiterType.GCRA.value,
            quota=throttled.per_hour(limit, burst=limit),
            store=import_module("throttled.store").MemoryStore(options={"MAX_SIZE": keys}),
        ).limit

    def run(self, keys: Iterable[str]) -> None:
        limit = self.limit
        for key in keys:
            limit(key)

    def allows(self, key: str) -> bool:
        return not self.limit(key).limited


class Pyrate(SyncAdapter):
    """pyrate-limiter: `Limiter(factory).try_acquire(key, blocking=False)`.

    Its documentation has a `BucketFactory` find the bucket of an item, and a `StateBucket` for GCRA, "the
    algorithm of constant memory", which has nothing to leak and so needs no background thread.
    """

    name = "pyrate-limiter, GCRA"
    distribution = "pyrate-limiter"
    keys_at_most = _NO_MILLION
    operations = 5_000

    def __init__(self, limit: int, keys: int) -> None:  # noqa: ARG002 - a dict of buckets has no bound
        package = import_module("pyrate_limiter")
        rates = [package.Rate(limit, package.Duration.HOUR)]
        clock = package.MonotonicClock()
        buckets: dict[str, Any] = {}

        def wrap_item(_factory: object, name: str, weight: int = 1) -> Any:
            return package.RateItem(name, clock.now(), weight=weight)

        def get(_factory: object, item: Any) -> Any:
            bucket = buckets.get(item.name)
            if bucket is None:
                bucket = buckets[item.name] = package.StateBucket(rates, algorithm=package.GCRA())
            return bucket

        # A class statement would need the package when this file is read.
        per_key = type("PerKey", (package.BucketFactory,), {"wrap_item": wrap_item, "get": get})
        self.try_acquire = package.Limiter(per_key()).try_acquire

    def run(self, keys: Iterable[str]) -> None:
        try_acquire = self.try_acquire
        for key in keys:
            try_acquire(key, blocking=False)

    def allows(self, key: str) -> bool:
        return bool(self.try_acquire(key, blocking=False))


class _DictOfObjects(AsyncAdapter):
    """A limiter that knows no keys: one object for each in a dict, which makes it when it is missing."""

    operations = 20_000
    limiters: defaultdict[str, Any]

    async def _pass(self, key: str) -> None:
        """Wait until the key's limiter lets one pass."""
        raise NotImplementedError

    async def allows(self, key: str) -> bool:
        waiting = asyncio.ensure_future(self._pass(key))
        # One turn of the loop: who needs not wait has passed then.
        await asyncio.sleep(0)
        passed = waiting.done()
        waiting.cancel()
        return passed


class AioLimiter(_DictOfObjects):
    """aiolimiter: `await AsyncLimiter(max_rate, time_period).acquire()`."""

    name = "aiolimiter in a dict"
    distribution = "aiolimiter"

    def __init__(self, limit: int, keys: int) -> None:  # noqa: ARG002 - a dict has no bound
        self.limiters = defaultdict(partial(import_module("aiolimiter").AsyncLimiter, limit, PER))

    async def run(self, keys: Iterable[str]) -> None:
        limiters = self.limiters
        for key in keys:
            await limiters[key].acquire()

    async def _pass(self, key: str) -> None:
        await self.limiters[key].acquire()


class AsyncioLimiter(_DictOfObjects):
    """asynciolimiter: `await LeakyBucketLimiter(rate, capacity=...).wait()`, its class that has a burst."""

    name = "asynciolimiter in a dict"
    distribution = "asynciolimiter"
    keys_at_most = _NO_MILLION

    def __init__(self, limit: int, keys: int) -> None:  # noqa: ARG002 - a dict has no bound
        leaky = import_module("asynciolimiter").LeakyBucketLimiter
        self.limiters = defaultdict(partial(leaky, limit / PER, capacity=limit))

    async def run(self, keys: Iterable[str]) -> None:
        limiters = self.limiters
        for key in keys:
            await limiters[key].wait()

    async def _pass(self, key: str) -> None:
        await self.limiters[key].wait()


SYNC_PEERS: tuple[type[SyncAdapter], ...] = (
    TokenBucket,
    LimitsFixedWindow,
    LimitsMovingWindow,
    Throttled,
    Pyrate,
)
ASYNC_PEERS: tuple[type[AsyncAdapter], ...] = (AsyncioLimiter, AioLimiter)
PEERS: tuple[type[Adapter], ...] = (*SYNC_PEERS, *ASYNC_PEERS)


def missing() -> dict[type[Adapter], str]:
    """Make one of each peer, and tell of those that cannot be made why."""
    reasons: dict[type[Adapter], str] = {}
    for peer in PEERS:
        try:
            peer(1, 1).settle()
        except Exception as error:  # noqa: BLE001, PERF203 - whatever a peer does, the others are measured
            reasons[peer] = f"{type(error).__name__}: {error}"
    return reasons
