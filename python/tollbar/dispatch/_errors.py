"""What a dispatch queue raises, and what a handler raises to tell it what to do with an item."""

from __future__ import annotations

import asyncio
import math
import queue
import time

from tollbar._retry_after import LONGEST, seconds


class QueueFull(asyncio.QueueFull, queue.Full):
    """There is no room for another item; nothing was accepted.

    Caught by `except asyncio.QueueFull` and by `except queue.Full` alike.
    """


class QueueStopped(RuntimeError):  # noqa: N818 - the word that threading.Queue would have
    """The queue takes nothing any more: it is being stopped, or nobody is left to work."""


class Retry(Exception):  # noqa: N818 - a wish, not an error
    """Raised by a handler: try this item again, no sooner than `after` seconds from now.

    Any other exception has the item tried again, too; this one says when. ValueError for an `after` that is
    negative or not finite.
    """

    def __init__(self, reason: str = "", *, after: float = 0.0) -> None:
        if not 0 <= after < math.inf:
            raise ValueError(f"after: must be a finite number of seconds, at least 0, got {after!r}")
        super().__init__(reason)
        self.after = after


class Rejected(Retry):
    """Raised by a handler: the server said that it was too much (429).

    The pacer of the worker is told, if it has `record_rejected(retry_after)`, and then sees its block end
    without an exception, for there was an answer. The item is tried again. `retry_after` is what the server
    asked for: a number of seconds, or the text of the header, which may be a number or an HTTP date. The
    attribute is in seconds, at most a day; None if the server said nothing, or nothing that can be read.

    ValueError for a number that is negative or not finite.
    """

    def __init__(self, reason: str = "", *, retry_after: float | str | None = None) -> None:
        if isinstance(retry_after, (str, bytes, bytearray)):
            retry_after = seconds(retry_after, time.time())
        elif retry_after is not None:
            if not 0 <= retry_after < math.inf:
                raise ValueError(f"retry_after: must be finite seconds, at least 0, got {retry_after!r}")
            retry_after = min(retry_after, LONGEST)
        super().__init__(reason, after=0.0 if retry_after is None else retry_after)
        self.retry_after: float | None = retry_after


class GiveUp(Exception):  # noqa: N818 - as Retry
    """Raised by a handler: this item goes to the graveyard now, whatever tries it has left."""
