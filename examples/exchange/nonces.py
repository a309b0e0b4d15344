"""Nonces that rise strictly for each key, whichever tasks and threads draw them."""

from __future__ import annotations

import threading
import time


class Nonces:
    """Wall-clock nanoseconds, or one more than the last where the clock has not moved on. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, int] = {}

    def draw(self, key: str) -> int:
        """Give a nonce that is greater than any before it, and than those of an earlier run."""
        with self._lock:
            nonce = max(time.time_ns(), self._last.get(key, 0) + 1)
            self._last[key] = nonce
        return nonce
