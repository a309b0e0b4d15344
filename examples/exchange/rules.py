"""What the exchange says to a request: so many a second, rising nonces, and nothing more after ten 429s."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus

PER_SECOND = 20
MOST_REJECTIONS = 10
WINDOW_MS = 1000
KEYS = ("key-1", "key-2", "key-3", "key-4", "key-5")


@dataclass
class Account:
    """What the exchange knows of one API key, by whole milliseconds of any one clock."""

    admitted_ms: deque[int] = field(default_factory=lambda: deque(maxlen=PER_SECOND))
    rejected: int = 0
    nonce: int = 0

    @property
    def blocked(self) -> bool:
        """It was told 429 too often, and is never served again."""
        return self.rejected >= MOST_REJECTIONS

    def judge(self, nonce: int, now_ms: int) -> HTTPStatus:
        """Decide about one request that has arrived. A nonce that does not rise has used up its place."""
        if self.blocked:
            return HTTPStatus.FORBIDDEN
        if len(self.admitted_ms) == PER_SECOND and now_ms - self.admitted_ms[0] <= WINDOW_MS:
            self.rejected += 1
            return HTTPStatus.TOO_MANY_REQUESTS
        self.admitted_ms.append(now_ms)
        if nonce <= self.nonce:
            return HTTPStatus.BAD_REQUEST
        self.nonce = nonce
        return HTTPStatus.OK


@dataclass(frozen=True)
class Legs:
    """How long a request or an answer is under way: evenly spread between two bounds, in seconds."""

    least: float
    most: float

    @classmethod
    def parse(cls, text: str) -> Legs:
        """Read milliseconds, "0:50". ValueError that says what is wrong."""
        try:
            least, most = (float(part) for part in text.split(":"))
        except ValueError:
            raise ValueError(f"legs: must be two numbers of milliseconds, as 0:50, got {text!r}") from None
        if not 0 <= least <= most <= WINDOW_MS:
            raise ValueError(f"legs: must rise from at least 0 to at most {WINDOW_MS}, got {text!r}")
        return cls(least / 1000, most / 1000)

    def __str__(self) -> str:
        return f"{1000 * self.least:g}:{1000 * self.most:g}"
