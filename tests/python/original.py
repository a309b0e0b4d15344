"""A plain model of the original limiter: floats, one bucket a key, refilled when looked at."""

from __future__ import annotations


class Bucket:
    def __init__(self, capacity: int, refill_rate: float, now_ns: int) -> None:
        self.capacity = capacity
        self.refill_rate = refill_rate
        self.tokens = float(capacity)
        self.last_refill = now_ns

    def refill(self, now_ns: int) -> None:
        elapsed = (now_ns - self.last_refill) / 1e9
        self.tokens = min(float(self.capacity), self.tokens + elapsed * self.refill_rate)
        self.last_refill = now_ns

    def is_near_a_tie(self, tokens: int, now_ns: int) -> bool:
        """Whether the answer hangs on the last bits of a float. A full bucket's does not."""
        self.refill(now_ns)
        return self.tokens != self.capacity and abs(self.tokens - tokens) < 1e-4

    def acquire(self, tokens: int, now_ns: int) -> bool:
        self.refill(now_ns)
        if self.tokens >= tokens:
            self.tokens -= tokens
            return True
        return False


class Limiter:
    def __init__(self, messages_per_hour: int) -> None:
        self.messages_per_hour = messages_per_hour
        self.buckets: dict[str, Bucket] = {}

    def bucket(self, email: str, limit: int | None, now_ns: int) -> Bucket:
        if email not in self.buckets:
            capacity = self.messages_per_hour if limit is None else limit
            self.buckets[email] = Bucket(capacity, capacity / 3600, now_ns)
        return self.buckets[email]
