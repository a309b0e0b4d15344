"""An accepted item, the places it can be in, and why it may end in the graveyard."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class State(enum.Enum):
    """Where an item is. The last three are ends: an item reaches exactly one of them, once."""

    MAIN = "main"
    DEAD_LETTER = "dead letter"  # has failed and waits for its next try
    HELD = "held"  # taken by a worker, which waits for its pacer
    CALLED = "called"  # the handler has it
    DONE = "done"
    BURIED = "buried"
    HANDED_BACK = "handed back"

    @property
    def final(self) -> bool:
        """It is an end."""
        return self in _ENDS


_ENDS = frozenset({State.DONE, State.BURIED, State.HANDED_BACK})


class Reason(enum.Enum):
    """Why an item is in the graveyard."""

    EXPIRED = "expired"  # its time to live was over, or would have been before its next try
    TRIES = "tries"  # its last try failed
    GIVEN_UP = "given up"  # the handler raised GiveUp


@dataclass(eq=False, slots=True)
class Item(Generic[T]):
    """One accepted item, for handlers and hooks to read. The queue alone writes to it.

    Two items are equal only if they are the same: payloads may be equal, and need not be hashable.

    - `number`: from 1, in the order of acceptance.
    - `key`: what `put` was given.
    - `accepted`, `deadline`: seconds by the queue's clock; a deadline of None is never.
    - `worker`: the name of the worker that has it, or had it last.
    - `tries`: tries begun so far, the present one included.
    - `error`: what the last try raised, without its traceback, which would keep the frames of the call alive.
    """

    number: int
    payload: T
    key: str | None
    accepted: float
    deadline: float | None
    clock: Callable[[], float] = field(repr=False)
    worker: str | None = None
    tries: int = 0
    error: BaseException | None = None
    state: State = State.MAIN

    def remaining(self) -> float | None:
        """Seconds until the item expires, at least 0.0; None if it never does. From any thread.

        What a handler gives its client as a time-out: the queue does not interrupt a call that has begun.
        """
        return None if self.deadline is None else max(0.0, self.deadline - self.clock())

    @property
    def expired(self) -> bool:
        """Its time to live is over."""
        return self.deadline is not None and self.clock() >= self.deadline
