"""The books: which item is where. Every accepted item moves through here, and reaches one end, once.

No waiting, no lock, no clock of its own: the asyncio form and the thread form see to these, and so have the
same results.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from ._errors import GiveUp, QueueFull, QueueStopped, Retry
from ._item import Item, Reason, State
from ._lane import Lanes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from ._backoff import Backoff
    from ._graveyard import Burial, Graveyard
    from ._lane import Lane

T = TypeVar("T")

logger = logging.getLogger("tollbar.dispatch")


class Ledger(Generic[T]):
    """The state of all items. Whoever calls it is alone in it: by a lock, or on one event loop."""

    def __init__(
        self,
        workers: Sequence[str],
        *,
        maxsize: int,
        sticky: bool,
        ttl: float | None,
        max_tries: int,
        backoff: Backoff,
        random: Random,
        graveyard: Graveyard[T],
        clock: Callable[[], float],
    ) -> None:
        self.lanes: Lanes[T] = Lanes(workers, sticky=sticky)
        self.maxsize = maxsize
        self.max_tries = max_tries
        self.graveyard = graveyard
        self.clock = clock
        self.accepting = True
        self.retrying = True
        self._ttl = ttl
        self._backoff = backoff
        self._random = random
        # What the hooks have not been told yet.
        self.unannounced: deque[Burial[T]] = deque()
        self.handed_back: list[Item[T]] = []
        self.flying: set[Item[T]] = set()
        self.accepted = self.done = self.buried = 0
        self.tries = self.retries = self.expired = self.late = 0

    @property
    def unsettled(self) -> int:
        """How many have not reached their end."""
        return self.accepted - self.done - self.buried - len(self.handed_back)

    def has_room(self, lane: Lane[T]) -> bool:
        """Another item may wait here. Dead letters take room, too: they are kept just as well."""
        return len(lane) < self.maxsize

    def accept(self, payload: T, key: str | None, ttl: float | None) -> Item[T]:
        """Take an item in, or raise QueueStopped or QueueFull and do nothing; no `ttl` is the queue's own."""
        lane = self.lanes.of_key(key)
        if not self.accepting:
            raise QueueStopped("the queue is stopped: nothing more is accepted")
        if not self.has_room(lane):
            raise QueueFull(f"the queue is full: {len(lane)} items wait, and maxsize is {self.maxsize}")
        now = self.clock()
        ttl = self._ttl if ttl is None else ttl
        self.accepted += 1
        item = Item(self.accepted, payload, key, now, None if ttl is None else now + ttl, self.clock)
        lane.main.append(item)
        return item

    def take(self, worker: str) -> Item[T] | None:
        """Give the worker its next item, and bury those that have expired before it."""
        lane = self.lanes.of_worker(worker)
        now = self.clock()
        while (item := lane.pop(now)) is not None:
            if item.deadline is None or now < item.deadline:
                item.state = State.HELD
                item.worker = worker
                self.flying.add(item)
                return item
            self._bury(item, Reason.EXPIRED, now)
        return None

    def begin(self, item: Item[T]) -> bool:
        """Begin a try, now that the pacer lets it; False if the item is no longer the worker's to try."""
        if item.state is not State.HELD:
            return False
        if item.expired:
            self.expire(item)
            return False
        item.state = State.CALLED
        self._count_try(item)
        return True

    def succeed(self, item: Item[T]) -> bool:
        """Settle an item as done; False if it had reached its end before."""
        if not self._lands(item):
            return False
        item.state = State.DONE
        item.error = None
        self.done += 1
        return True

    def expire(self, item: Item[T]) -> None:
        """Bury an item whose pacer cannot let it pass in time."""
        if self._lands(item):
            self._bury(item, Reason.EXPIRED, self.clock())

    def fail(self, item: Item[T], error: BaseException) -> None:
        """Keep the item for a further try, or find its end if there is none."""
        if not self._lands(item):
            return
        if item.state is State.HELD:  # its pacer failed; counted, or a broken one would be asked for ever
            self._count_try(item)
        item.error = error.with_traceback(None)
        now = self.clock()
        if isinstance(error, GiveUp):
            self._bury(item, Reason.GIVEN_UP, now)
        elif item.tries >= self.max_tries:
            self._bury(item, Reason.TRIES, now)
        elif not self.retrying:
            self._hand_back(item)
        else:
            due = now + max(self._delay(item), error.after if isinstance(error, Retry) else 0.0)
            if item.deadline is not None and due >= item.deadline:
                self._bury(item, Reason.EXPIRED, now)
            else:
                item.state = State.DEAD_LETTER
                self._lane(item).add_dead_letter(due, item)

    def release(self, item: Item[T]) -> None:
        """Take an item back from a worker that ends: before all others, or to whoever stops the queue."""
        if not self._lands(item, late=False):
            return
        if self.retrying:
            item.state = State.MAIN
            self._lane(item).main.appendleft(item)
        else:
            self._hand_back(item)

    def close(self) -> None:
        """Accept nothing any more."""
        self.accepting = False

    def stop_retrying(self) -> None:
        """Hand back all that waits, and what workers hold but have not begun; what fails from now on, too."""
        self.accepting = self.retrying = False
        for lane in self.lanes.all:
            for item in lane.clear():
                self._hand_back(item)
        for item in [item for item in self.flying if item.state is State.HELD]:
            self.abandon(item)

    def abandon(self, item: Item[T]) -> None:
        """Hand back an item that a worker has; what becomes of the call is not heard any more."""
        if self._lands(item, late=False):
            self._hand_back(item)

    def _lands(self, item: Item[T], *, late: bool = True) -> bool:
        """Take an item out of flight; False if it is not in flight, which `late` counts."""
        if item in self.flying:
            self.flying.remove(item)
            return True
        self.late += late
        return False

    def _lane(self, item: Item[T]) -> Lane[T]:
        return self.lanes.of_key(item.key)

    def _count_try(self, item: Item[T]) -> None:
        item.tries += 1
        self.tries += 1
        self.retries += item.tries > 1

    def _delay(self, item: Item[T]) -> float:
        """Ask the backoff; one that fails must not cost us the item."""
        try:
            delay = self._backoff(item.tries, self._random)
            if 0 <= delay < math.inf:
                return delay
        except Exception:
            logger.exception("the backoff failed: item %d is tried again at once", item.number)
        else:
            logger.error(
                "backoff: must give seconds, finite and at least 0, got %r; tried again at once", delay
            )
        return 0.0

    def _bury(self, item: Item[T], reason: Reason, now: float) -> None:
        item.state = State.BURIED
        self.buried += 1
        self.expired += reason is Reason.EXPIRED
        self.unannounced.append(self.graveyard.bury(item, reason, now - item.accepted))

    def _hand_back(self, item: Item[T]) -> None:
        item.state = State.HANDED_BACK
        self.handed_back.append(item)
