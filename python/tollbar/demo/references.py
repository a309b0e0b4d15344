"""Plain asyncio limiters the demo and the benchmarks measure tollbar against.

Both are ordinary token buckets: an account of limit L starts with L tokens and earns L back in an hour.
They differ in what is locked while a decision is made. None of them is meant for use; they are the yardstick,
so they are written as such limiters usually are, neither slowed down nor tuned.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable

logger = logging.getLogger(__name__)

SECONDS_PER_HOUR = 3600.0


class RateConfig(Protocol):
    """What an account may tell a limiter about itself."""

    @property
    def messages_per_hour(self) -> int:
        """Messages the account may send in an hour."""


class Account(Protocol):
    """Whatever has a limit of its own; None from the method means the limiter's default."""

    def get_rate_limiting_config(self) -> RateConfig | None:
        """Return the account's own limit, or None."""


class Limiter(Protocol):
    """The one call a relay makes. `acquire` answers True or raises the limiter's exception."""

    def acquire(self, account_email: str, account: Account | None = None, tokens: int = 1) -> Awaitable[bool]:
        """Take tokens of an account."""
        ...


class LimitReachedError(Exception):
    """Raised by the references when the caller names no exception of its own."""


class TokenBucket:
    """One account's tokens behind the bucket's own lock, refilled by the wall clock."""

    def __init__(self, capacity: int, refill_rate: float) -> None:
        self.capacity = capacity
        self.refill_rate = refill_rate
        self.tokens = float(capacity)
        self.last_refill = datetime.now(timezone.utc)
        self.lock = asyncio.Lock()

    async def acquire(self, tokens: int = 1) -> bool:
        """Take the tokens if they are there; never waits for tokens, only for the lock."""
        async with self.lock:
            await self._refill()
            if self.tokens < tokens:
                return False
            self.tokens -= tokens
            return True

    async def _refill(self) -> None:
        now = datetime.now(timezone.utc)
        earned = (now - self.last_refill).total_seconds() * self.refill_rate
        self.tokens = min(float(self.capacity), self.tokens + earned)
        self.last_refill = now


class _BucketTable:
    """What both references share: the buckets by account, their age, and the full-table rule."""

    def __init__(
        self,
        messages_per_hour: int = 10000,
        max_buckets: int = 10000,
        *,
        exception: type[Exception] = LimitReachedError,
    ) -> None:
        self.default_messages_per_hour = messages_per_hour
        self.max_buckets = max_buckets
        self.exception = exception
        self.buckets: dict[str, TokenBucket] = {}
        self.bucket_created_at: dict[str, datetime] = {}
        self._make_locks()

    def _make_locks(self) -> None:
        raise NotImplementedError

    def _drop(self, account_email: str) -> None:
        del self.buckets[account_email]
        del self.bucket_created_at[account_email]

    def _add(self, account_email: str, account: Account | None) -> TokenBucket:
        """Create the bucket of an account seen for the first time; a full table drops its oldest one."""
        if len(self.buckets) >= self.max_buckets:
            # Every bucket is looked at: this is the stall the demo reports.
            self._drop(min(self.bucket_created_at, key=self.bucket_created_at.__getitem__))
        config = account.get_rate_limiting_config() if account is not None else None
        limit = self.default_messages_per_hour if config is None else config.messages_per_hour
        bucket = self.buckets[account_email] = TokenBucket(limit, limit / SECONDS_PER_HOUR)
        self.bucket_created_at[account_email] = datetime.now(timezone.utc)
        return bucket

    async def get_or_create_bucket(self, account_email: str, account: Account | None = None) -> TokenBucket:
        raise NotImplementedError

    async def acquire(self, account_email: str, account: Account | None = None, tokens: int = 1) -> bool:
        """Answer True, or log a warning and raise the exception, which carries a message and nothing else."""
        bucket = await self.get_or_create_bucket(account_email, account)
        if await bucket.acquire(tokens):
            return True
        logger.warning("Hourly limit of %s reached (%d messages per hour)", account_email, bucket.capacity)
        raise self.exception(f"Hourly limit of {account_email} reached")


class GlobalLockLimiter(_BucketTable):
    """One asyncio lock around finding or creating any bucket, then the bucket's own lock."""

    def _make_locks(self) -> None:
        self.lock = asyncio.Lock()

    async def get_or_create_bucket(self, account_email: str, account: Account | None = None) -> TokenBucket:
        """Return the account's live bucket."""
        async with self.lock:
            if account_email not in self.buckets:
                self._add(account_email, account)
            return self.buckets[account_email]


class AccountLockLimiter(_BucketTable):
    """A lock per account around finding or creating that account's bucket, then the bucket's own lock."""

    def _make_locks(self) -> None:
        self.locks: dict[str, asyncio.Lock] = {}

    def _drop(self, account_email: str) -> None:
        super()._drop(account_email)
        # Otherwise the dictionary of locks would grow without bound while the buckets do not.
        del self.locks[account_email]

    async def get_or_create_bucket(self, account_email: str, account: Account | None = None) -> TokenBucket:
        """Return the account's live bucket."""
        if account_email not in self.locks:
            self.locks[account_email] = asyncio.Lock()
        async with self.locks[account_email]:
            if account_email not in self.buckets:
                self._add(account_email, account)
            return self.buckets[account_email]


class NoLimiter:
    """Admits everything: what the relay does without a limiter."""

    async def acquire(
        self,
        account_email: str,  # noqa: ARG002 - the contract of all limiters
        account: Account | None = None,  # noqa: ARG002
        tokens: int = 1,  # noqa: ARG002
    ) -> bool:
        """Answer True, always."""
        return True
