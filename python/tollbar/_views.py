"""Live, read-only mappings over the accounts of a `RateLimiter`, in the shape of the original's dicts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from datetime import datetime

    from tollbar._tollbar import RateLimiter, TokenBucket

V = TypeVar("V")


class _Accounts(Mapping[str, V]):
    """Accounts come and go while somebody iterates: what has gone since is passed over."""

    __slots__ = ("_limiter",)

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter

    @abstractmethod
    def _find(self, account_email: str) -> V | None:
        """Return what is known of the account, or None if there is no such account."""

    def __getitem__(self, account_email: str) -> V:
        found = self._find(account_email) if _is_key(account_email) else None
        if found is None:
            raise KeyError(account_email)
        return found

    def __contains__(self, account_email: object) -> bool:
        return _is_key(account_email) and self._limiter._knows(str(account_email))  # noqa: SLF001

    def __iter__(self) -> Iterator[str]:
        return iter(self._limiter._emails())  # noqa: SLF001

    def __len__(self) -> int:
        return self._limiter._count()  # noqa: SLF001

    def items(self) -> ItemsView[str, V]:
        return _Items(self)

    def values(self) -> ValuesView[V]:
        return _Values(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self.items())!r})"


class Buckets(_Accounts["TokenBucket"]):
    """Account -> its live bucket. A bucket that was obtained keeps its account from eviction."""

    __slots__ = ()

    def _find(self, account_email: str) -> TokenBucket | None:
        return self._limiter._bucket(account_email)  # noqa: SLF001


class CreatedAt(_Accounts["datetime"]):
    """Account -> when it was first seen, as an aware UTC datetime."""

    __slots__ = ()

    def _find(self, account_email: str) -> datetime | None:
        return self._limiter._created_at(account_email)  # noqa: SLF001


class _Items(ItemsView[str, V]):
    __slots__ = ()
    _mapping: _Accounts[V]

    def __iter__(self) -> Iterator[tuple[str, V]]:
        for account_email in self._mapping:
            found = self._mapping._find(account_email)  # noqa: SLF001
            if found is not None:
                yield account_email, found


class _Values(ValuesView[V]):
    __slots__ = ()
    _mapping: _Accounts[V]

    def __iter__(self) -> Iterator[V]:
        return (found for _, found in _Items(self._mapping))


def _is_key(account_email: object) -> bool:
    """Anything may be looked up in a dict; only text that UTF-8 can hold is ever found here."""
    try:
        return isinstance(account_email, str) and account_email.encode() is not None
    except UnicodeEncodeError:
        return False
