"""What the benchmark asks of every limiter: a loop of its documented call, and whether it would let one pass.

The loop is written out in each adapter, so that nobody pays for a wrapper around the call that is measured.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

# Every limit here is so many in an hour.
PER = 3600


class _Adapter(ABC):
    """One limiter, made new and empty. `limit` holds for each key, of which there will be up to `keys`."""

    name: ClassVar[str]
    distribution: ClassVar[str] = ""
    """Its name on PyPI, if it comes from there."""
    operations: ClassVar[int] = 200_000
    """How many calls make one sample; fewer for slow limiters, to keep the whole run short."""
    keys_at_most: ClassVar[int] = sys.maxsize

    @abstractmethod
    def __init__(self, limit: int, keys: int) -> None: ...

    def settle(self) -> None:
        """Wait for what the limiter does in the background, so that it weighs on nobody else's sample."""
        return


class SyncAdapter(_Adapter):
    """A limiter that is called."""

    @abstractmethod
    def run(self, keys: Iterable[str]) -> None:
        """Take one token of each key in turn."""

    @abstractmethod
    def allows(self, key: str) -> bool:
        """Take one token and say whether it was there."""


class AsyncAdapter(_Adapter):
    """A limiter that is awaited."""

    @abstractmethod
    async def run(self, keys: Iterable[str]) -> None:
        """Take one token of each key in turn."""

    @abstractmethod
    async def allows(self, key: str) -> bool:
        """Take one token and say whether it was there; never wait for one."""


Adapter: TypeAlias = SyncAdapter | AsyncAdapter


async def run(adapter: Adapter, keys: Iterable[str]) -> None:
    """Take one token of each key, whichever way the limiter is used."""
    if isinstance(adapter, SyncAdapter):
        adapter.run(keys)
    else:
        await adapter.run(keys)


async def allows(adapter: Adapter, key: str) -> bool:
    """Say whether a token is there, whichever way the limiter is used."""
    return adapter.allows(key) if isinstance(adapter, SyncAdapter) else await adapter.allows(key)
