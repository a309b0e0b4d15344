"""What both clients share: what they are to do, what an answer means, and what came of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from tollbar.dispatch import GiveUp, Rejected, Retry, Stats, full_jitter

from .rules import PER_SECOND, WINDOW_MS

# A request is under way for 50 ms at most, as far as the client knows; it is also the interval of the rate.
GAP = WINDOW_MS / PER_SECOND / 1000
# Seconds.
REQUEST_SECONDS = 2.0
STOPPING_SECONDS = 3.0
TELLING_SECONDS = 0.25
BACKOFF = full_jitter(initial=0.05, longest=0.5)

Progress = Callable[[Stats], None]


@dataclass(frozen=True)
class Plan:
    """One run: for so many seconds, against this port, with so many requests of a key under way."""

    port: int
    seconds: float
    concurrency: int
    # So many requests wait at most, and each for so many seconds.
    room: int
    ttl: float


@dataclass(frozen=True)
class Ran:
    """What came of a run: the queue's statistics after the stop, and the client's processor time."""

    stats: Stats
    processor_seconds: float


def path(key: str, nonce: int, number: int) -> str:
    """Where a request goes."""
    return f"/request?api_key={key}&nonce={nonce}&req_id={number}"


def judge(status: int) -> None:
    """Raise what tells the queue what an answer means."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Rejected("429")
    if status == HTTPStatus.BAD_REQUEST:
        raise Retry("the nonce was overtaken")
    if status == HTTPStatus.FORBIDDEN:
        raise GiveUp("the key is blocked")
    if status != HTTPStatus.OK:
        raise RuntimeError(f"the exchange answered {status}")
