"""Where items end that will not be tried again, with the reason, for later analysis."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TextIO, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._item import Item, Reason

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Burial(Generic[T]):
    """One item that ended in the graveyard.

    - `age`: seconds from its acceptance to its burial, by the queue's clock.
    - `unix`: when it was buried, in seconds by the wall clock.
    """

    item: Item[T]
    reason: Reason
    age: float
    unix: float

    def as_dict(self) -> dict[str, Any]:
        """Give what a JSON line tells of it."""
        item = self.item
        return {
            "number": item.number,
            "key": item.key,
            "payload": item.payload,
            "reason": self.reason.value,
            "tries": item.tries,
            "worker": item.worker,
            "error": None if item.error is None else f"{type(item.error).__name__}: {item.error}",
            "age": round(self.age, 6),
            "unix": round(self.unix, 3),
        }


class Graveyard(Generic[T]):
    """The buried items, oldest first, until somebody takes them. From any thread.

    It grows without bound, because nothing that was accepted is lost: whoever runs for long takes from it, or
    uses the queue's `on_bury`. `unix` is the wall clock, in seconds.
    """

    def __init__(self, *, unix: Callable[[], float] = time.time) -> None:
        self._unix = unix
        self._lock = threading.Lock()
        self._burials: list[Burial[T]] = []

    def __len__(self) -> int:
        return len(self._burials)

    def __iter__(self) -> Iterator[Burial[T]]:
        """Those that are here now; later ones do not disturb."""
        with self._lock:
            return iter(list(self._burials))

    def bury(self, item: Item[T], reason: Reason, age: float) -> Burial[T]:
        """Keep one more; the queue calls this."""
        burial = Burial(item, reason, age, self._unix())
        with self._lock:
            self._burials.append(burial)
        return burial

    def take(self) -> list[Burial[T]]:
        """Empty it: every burial is given to one caller, once."""
        with self._lock:
            taken, self._burials = self._burials, []
        return taken

    def write(self, file: TextIO | str | os.PathLike[str], *, default: Callable[[Any], Any] = repr) -> int:
        """Write a JSON line for each, and tell how many; they stay. A path is appended to, as UTF-8.

        `default` is json's, for payloads that JSON does not know. What it raises, and what the file raises,
        reaches the caller; lines before that are written.
        """
        if isinstance(file, str | os.PathLike):
            with Path(file).open("a", encoding="utf-8") as opened:
                return self._write(opened, default)
        return self._write(file, default)

    def _write(self, file: TextIO, default: Callable[[Any], Any]) -> int:
        lines = 0
        for burial in self:
            file.write(json.dumps(burial.as_dict(), default=default, skipkeys=True) + "\n")
            lines += 1
        return lines
