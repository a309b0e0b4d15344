"""What waits for a worker: the main queue in order, and the dead letters by when they are due."""

from __future__ import annotations

import heapq
import zlib
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._item import Item

T = TypeVar("T")


class Lane(Generic[T]):
    """The items that wait for the same workers. Whoever uses it sees to it that he is alone.

    A dead letter that is due goes before the main queue: it has waited longest. Every step costs O(log n) at
    most, n being the dead letters.
    """

    def __init__(self) -> None:
        self.main: deque[Item[T]] = deque()
        # The number tells apart those due at the same time, in the order of acceptance.
        self._dead: list[tuple[float, int, Item[T]]] = []

    def __len__(self) -> int:
        return len(self.main) + len(self._dead)

    @property
    def dead_letters(self) -> int:
        """How many wait for a further try."""
        return len(self._dead)

    def add_dead_letter(self, due: float, item: Item[T]) -> None:
        """Keep a dead letter until it is due."""
        heapq.heappush(self._dead, (due, item.number, item))

    def pop(self, now: float) -> Item[T] | None:
        """Take the next item that may be tried now."""
        if self._dead and self._dead[0][0] <= now:
            return heapq.heappop(self._dead)[2]
        return self.main.popleft() if self.main else None

    def next_due(self) -> float | None:
        """When the first dead letter is due; None without any."""
        return self._dead[0][0] if self._dead else None

    def clear(self) -> list[Item[T]]:
        """Take everything, dead letters in the order of their due times before the main queue."""
        found = [entry[2] for entry in sorted(self._dead, key=lambda entry: entry[:2])]
        found.extend(self.main)
        self._dead.clear()
        self.main.clear()
        return found


class Lanes(Generic[T]):
    """One lane for all workers, or with `sticky` one for each, to which keys are bound."""

    def __init__(self, workers: Sequence[str], *, sticky: bool) -> None:
        self._workers = list(workers)
        self.sticky = sticky
        shared: Lane[T] = Lane()
        self._of = {worker: Lane[T]() if sticky else shared for worker in workers}
        self.all: list[Lane[T]] = list(self._of.values()) if sticky else [shared]

    def of_worker(self, worker: str) -> Lane[T]:
        """Where this worker takes its items from."""
        return self._of[worker]

    def worker_of(self, key: str) -> str:
        """Tell which worker a key is bound to: the one of that name, else one that the key's bytes choose.

        No memory of the keys is needed for that, and the choice is the same in every process.
        """
        if key in self._of:
            return key
        return self._workers[zlib.crc32(key.encode("utf-8", "surrogatepass")) % len(self._workers)]

    def of_key(self, key: str | None) -> Lane[T]:
        """Where an item of this key waits. TypeError if lanes are sticky and there is no key."""
        if not self.sticky:
            return self.all[0]
        if not isinstance(key, str):
            raise TypeError(f"key: must be text, because sticky=True binds keys to workers, got {key!r}")
        return self._of[self.worker_of(key)]
