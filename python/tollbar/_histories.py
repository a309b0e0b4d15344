"""Live, assignable mappings over a `tollbar.sliding_window.RateLimiter`, shaped as the original's dicts."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import ItemsView, Iterable, Iterator, MutableMapping, MutableSequence, ValuesView
from math import ceil
from typing import TYPE_CHECKING, Any, TypeVar, overload

from tollbar._views import _is_key, _Items, _Values

if TYPE_CHECKING:
    from tollbar._tollbar import SlidingWindow

V = TypeVar("V")  # what is read
_MISSING: Any = object()


class Sends(MutableSequence[int]):
    """The logged sends of one account, live: whole Unix seconds, the oldest first, as a deque of them.

    Equal to any list, deque or other sequence of the same seconds. What is added goes where it belongs, so
    the order is always that of time; fractions of a second are rounded up, which no answer depends on.
    Length, one element, `append` and `clear` cost next to nothing; iterating copies. Other changes read all,
    change it, and write it back: a send that another thread logs meanwhile is lost.
    """

    __slots__ = ("_account_id", "_limiter")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, limiter: SlidingWindow, account_id: str) -> None:
        self._limiter = limiter
        self._account_id = account_id

    def _all(self) -> list[int]:
        return self._limiter._sent(self._account_id) or []  # noqa: SLF001

    def _write(self, seconds: Iterable[float]) -> None:
        self._limiter._set_sent(self._account_id, [ceil(second) for second in seconds])  # noqa: SLF001

    def __len__(self) -> int:
        return self._limiter._sent_count(self._account_id) or 0  # noqa: SLF001

    def __iter__(self) -> Iterator[int]:
        return iter(self._all())

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> list[int]: ...
    def __getitem__(self, index: int | slice) -> int | list[int]:
        if isinstance(index, slice):
            return self._all()[index]
        number = index + len(self) if index < 0 else index
        found = self._limiter._sent_nth(self._account_id, number) if number >= 0 else None  # noqa: SLF001
        if found is None:
            raise IndexError("index out of range")
        return found

    def __setitem__(self, index: Any, value: Any) -> None:
        changed: list[Any] = self._all()
        changed[index] = value
        self._write(changed)

    def __delitem__(self, index: int | slice) -> None:
        changed = self._all()
        del changed[index]
        self._write(changed)

    def insert(self, index: int, value: float) -> None:
        """Add a send; its place is that of its time, not `index`."""
        del index
        self.append(value)

    def append(self, value: float) -> None:
        """Add a send, where it belongs."""
        self._limiter._add_sent(self._account_id, ceil(value))  # noqa: SLF001

    def appendleft(self, value: float) -> None:
        """Add a send, where it belongs."""
        self.append(value)

    def popleft(self) -> int:
        """Take the oldest send out."""
        return self.pop(0)

    def clear(self) -> None:
        """Forget these sends; the account keeps its empty history."""
        self._write(())

    def reverse(self) -> None:
        """Refuse: the order is that of time."""
        raise TypeError("sends are in the order of time")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (list, tuple, deque, Sends)):
            return NotImplemented
        return self._all() == list(other)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._all()!r})"


class _PerAccount(MutableMapping[str, V]):
    """Accounts come and go while somebody iterates: what has gone since is passed over."""

    __slots__ = ("_limiter",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, limiter: SlidingWindow) -> None:
        self._limiter = limiter

    @abstractmethod
    def _find(self, account_id: str) -> V | None:
        """Return what is known of the account, or None if there is nothing."""

    @abstractmethod
    def _ids(self) -> list[str]:
        """Return the accounts of which something is known."""

    @abstractmethod
    def _forget(self, account_id: str) -> bool:
        """Forget the account; False if there was nothing."""

    def __getitem__(self, account_id: str) -> V:
        found = self._find(account_id) if _is_key(account_id) else None
        if found is None:
            raise KeyError(account_id)
        return found

    def __delitem__(self, account_id: str) -> None:
        if not (_is_key(account_id) and self._forget(account_id)):
            raise KeyError(account_id)

    def __contains__(self, account_id: object) -> bool:
        return _is_key(account_id) and self._find(str(account_id)) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids())

    def __len__(self) -> int:
        return len(self._ids())

    def setdefault(self, account_id: str, default: Any = _MISSING) -> V:
        """Return what is live of the account, made of `default` first if there is nothing."""
        if account_id not in self:
            self[account_id] = self._empty() if default is _MISSING else default
        return self[account_id]

    @abstractmethod
    def _empty(self) -> Any:
        """Return what stands for nothing."""

    def pop(self, account_id: str, default: Any = _MISSING) -> Any:
        """Forget the account, and return what was known: a plain value, not a live one."""
        if account_id not in self:
            if default is _MISSING:
                raise KeyError(account_id)
            return default
        found = self._plain(self[account_id])
        del self[account_id]
        return found

    def popitem(self) -> tuple[str, Any]:
        """Forget some account, and return what was known."""
        for account_id in self:
            return account_id, self.pop(account_id)
        raise KeyError("there is no account")

    def _plain(self, found: V) -> Any:
        return found

    def _replace(self, given: Any) -> None:
        """Put the accounts of another mapping in the place of all that is here."""
        given = {account_id: self._plain(value) for account_id, value in given.items()}
        self.clear()
        self.update(given)

    def items(self) -> ItemsView[str, V]:
        return _Items(self)

    def values(self) -> ValuesView[V]:
        return _Values(self)

    def copy(self) -> dict[str, Any]:
        """Return all that is known now, as plain values."""
        return {account_id: self._plain(found) for account_id, found in self.items()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self.items())!r})"


class SendHistory(_PerAccount[Sends]):
    """Account id -> its logged sends. Any iterable of seconds may be assigned to an account; it is copied."""

    __slots__ = ()

    def _find(self, account_id: str) -> Sends | None:
        known = self._limiter._sent_count(account_id) is not None  # noqa: SLF001
        return Sends(self._limiter, account_id) if known else None

    def _ids(self) -> list[str]:
        return self._limiter._sent_ids()  # noqa: SLF001

    def _forget(self, account_id: str) -> bool:
        return self._limiter._forget_sent(account_id)  # noqa: SLF001

    def _empty(self) -> Any:
        return ()

    def _plain(self, found: Iterable[int]) -> deque[int]:
        return deque(found)

    def __setitem__(self, account_id: str, sends: Iterable[float]) -> None:
        self._limiter._set_sent(account_id, [ceil(second) for second in sends])  # noqa: SLF001

    def clear(self) -> None:
        """Forget every history."""
        self._limiter._forget_all_sent()  # noqa: SLF001


class InFlight(_PerAccount[int]):
    """Account id -> how many sends are reserved and neither logged nor released."""

    __slots__ = ()

    def _find(self, account_id: str) -> int | None:
        return self._limiter._in_flight_count(account_id)  # noqa: SLF001

    def _ids(self) -> list[str]:
        return self._limiter._in_flight_ids()  # noqa: SLF001

    def _forget(self, account_id: str) -> bool:
        return self._limiter._forget_in_flight(account_id)  # noqa: SLF001

    def _empty(self) -> Any:
        return 0

    def __setitem__(self, account_id: str, count: int) -> None:
        self._limiter._set_in_flight(account_id, count)  # noqa: SLF001

    def clear(self) -> None:
        """Forget all that is in flight."""
        self._limiter._forget_all_in_flight()  # noqa: SLF001
