"""What a worker asks before it calls: any object whose `acquire()` is a context manager."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from tollbar import pacing

if TYPE_CHECKING:
    from ._errors import Rejected
    from ._item import Item

logger = logging.getLogger("tollbar.dispatch")

# Two classes up to CPython 3.10.
TIMEOUTS = (TimeoutError, asyncio.TimeoutError)


class AsyncPacer(Protocol):
    """Lets a call pass: `async with pacer.acquire():` around the call. The body's end is the response.

    A body that is left by an exception may or may not have had one.

    If `acquire` takes `timeout_ms`, it is given what is left of the item's time to live (milliseconds, above
    0), and says by a TimeoutError that the item cannot pass in time. If there is a `record_rejected`, it is
    told of a 429 within the body.
    """

    def acquire(self) -> AbstractAsyncContextManager[Any]:
        """Wait for one's turn on entering."""
        ...


class Pacer(Protocol):
    """As AsyncPacer, with a plain `with` that blocks its thread. Its worker's threads share it."""

    def acquire(self) -> AbstractContextManager[Any]:
        """Wait for one's turn on entering."""
        ...


class _NoPacer:
    """Lets everything pass at once; serves both forms."""

    def acquire(self) -> nullcontext[None]:
        return nullcontext()


# Their acquire() gives True, and no context manager.
LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Semaphore)


def broken_rule(pacer: Any, *, tasks: bool) -> str | None:
    """Tell which rule is broken by an object that is to pace tasks, or threads; None if none is known.

    The pacer is not called for that, so what its acquire() returns is known only from how that is written.
    """
    acquire: Any = getattr(pacer, "acquire", None)
    here, other, manager, decorator, other_shape = (
        (pacing.RateLimiter, pacing.ThreadSafeRateLimiter, "an async", "async", inspect.isgeneratorfunction)
        if tasks
        else (pacing.ThreadSafeRateLimiter, pacing.RateLimiter, "a", "", inspect.isasyncgenfunction)
    )
    is_bare = inspect.isgeneratorfunction(acquire) or inspect.isasyncgenfunction(acquire)
    is_other = isinstance(pacer, LOCKS) or inspect.iscoroutinefunction(acquire)
    rules = (
        (isinstance(pacer, type), "be an object and no class"),
        (not callable(acquire), "have acquire(), or be None"),
        (isinstance(pacer, other), f"be a tollbar.pacing.{here.__name__} in this form"),
        (is_bare, f"have an acquire() under contextlib.{decorator}contextmanager"),
        (
            is_other or other_shape(inspect.unwrap(acquire)),
            f"have an acquire() that returns {manager} context manager at once",
        ),
        (needs_arguments(acquire), "have an acquire() that needs no arguments"),
    )
    return next((rule for broken, rule in rules if broken), None)


def needs_arguments(function: Any) -> bool:
    """Whether it cannot be called without; False where it does not tell."""
    try:
        inspect.signature(function).bind()
    except TypeError:
        return True
    except ValueError:  # a native method may have no signature
        return False
    return False


class Gate:
    """A worker's pacer, and what it understands."""

    def __init__(self, pacer: AsyncPacer | Pacer | None) -> None:
        self._pacer: Any = _NoPacer() if pacer is None else pacer
        try:
            self._timed = "timeout_ms" in inspect.signature(self._pacer.acquire).parameters
        except (TypeError, ValueError):  # a native method may have no signature
            self._timed = False

    def acquire(self, item: Item[Any]) -> Any:
        """Give the pacer's context manager, asked with the item's time to live where it understands that."""
        remaining = item.remaining()
        if remaining is None or not self._timed:
            return self._pacer.acquire()
        # 0 means no time-out to a pacer, so what has just expired asks for the shortest.
        return self._pacer.acquire(timeout_ms=max(1, int(remaining * 1000)))

    def gave_out(self, item: Item[Any], error: BaseException) -> bool:
        """Whether this, raised on entering, says that the item cannot pass in time."""
        return self._timed and item.deadline is not None and isinstance(error, TIMEOUTS)

    def tell(self, rejected: Rejected) -> None:
        """Tell the pacer of a 429, if it listens. What it raises is logged: the item is not to blame."""
        listen = getattr(self._pacer, "record_rejected", None)
        if listen is None:
            return
        try:
            listen(rejected.retry_after)
        except Exception:
            logger.exception("record_rejected failed")
