"""Writes the shared test vectors: configuration, times, and what must be answered, for every language.

    python tests/vectors/make_vectors.py

The answers come from a token bucket in exact fractions, which counts tokens and knows nothing of words, ticks
or theoretical arrival times. In the rates that are used a token takes a whole number of nanoseconds, so the
answers are exact.
"""

from __future__ import annotations

import json
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR


class Bucket:
    """Tokens that flow back one every `interval` nanoseconds, up to `burst`."""

    def __init__(self, interval: Fraction, burst: int, now: int) -> None:
        self.interval, self.burst = interval, burst
        self.tokens, self.seen = Fraction(burst), now

    def refill(self, now: int) -> None:
        self.tokens = min(Fraction(self.burst), self.tokens + (now - self.seen) / self.interval)
        self.seen = now

    def decide(self, now: int, cost: int, *, takes: bool) -> dict[str, object]:
        self.refill(now)
        allowed = cost <= self.tokens
        if allowed and takes:
            self.tokens -= cost
        wait: int | None = 0
        if cost > self.burst:
            wait = None  # never
        elif not allowed:
            wait = up((cost - self.tokens) * self.interval)
        return {
            "allowed": allowed,
            "reason": None if allowed else "never" if wait is None else "rate",
            "retry_after_ns": wait,
            "remaining": int(self.tokens),
            "reset_after_ns": up((self.burst - self.tokens) * self.interval),
        }


def up(nanoseconds: Fraction) -> int:
    """Round up: who waits so long has waited long enough."""
    return -(-nanoseconds.numerator // nanoseconds.denominator)


def strict_burst(limit: int) -> int:
    """Give the burst that `strict` takes when none is given."""
    return max(1, limit // 10)


RATES: list[dict[str, object]] = [
    {"limit": 10_000, "per_ns": HOUR},
    {"limit": 10_000, "per_ns": HOUR, "burst": 500},
    {"limit": 100, "per_ns": 60 * SECOND, "burst": 1},
    {"limit": 100, "per_ns": 90 * SECOND, "strict": True},
    {"limit": 1, "per_ns": 100 * DAY},
    {"limit": 1, "per_ns": SECOND, "strict": True},
    {"limit": 1_000_000, "per_ns": SECOND, "burst": 2**32 - 1},
    {"limit": 5, "per_ns": 1_000, "burst": 3},
]


def bucket_of(rate: dict[str, object], now: int) -> Bucket:
    limit, per = int(str(rate["limit"])), int(str(rate["per_ns"]))
    if rate.get("strict") and limit > 1:
        burst = strict_burst(limit)
        return Bucket(Fraction(per, limit - burst), burst, now)
    return Bucket(Fraction(per, limit), int(str(rate.get("burst", limit))), now)


def steps(rate: dict[str, object], dice: random.Random) -> list[dict[str, object]]:
    """Make up a history of three keys: bursts, idling, waits to the nanosecond, costs of 0 and too large."""
    buckets: dict[str, Bucket] = {}
    made: list[dict[str, object]] = []
    now, wait = 0, 0
    interval = bucket_of(rate, 0).interval
    for _ in range(60):
        advance = dice.choice([0, 0, 0, 1, wait, max(wait - 1, 0), up(interval * dice.randint(0, 9))])
        now += advance
        key = dice.choice("aab") if dice.random() < 0.9 else "ключ"
        bucket = buckets.setdefault(key, bucket_of(rate, now))
        cost = dice.choice([0, 1, 1, 1, 2, 3, bucket.burst, bucket.burst // 2 + 1, bucket.burst + 1])
        takes = dice.random() < 0.8
        answer = bucket.decide(now, cost, takes=takes)
        wait = int(str(answer["retry_after_ns"] or 0))
        call = "decide" if takes else "peek"
        made.append({"advance_ns": advance, "call": call, "key": key, "cost": cost, **answer})
    return made


def vectors() -> list[dict[str, Any]]:
    return [{"rate": rate, "steps": steps(rate, random.Random(number))} for number, rate in enumerate(RATES)]


def written() -> str:
    """Write a step a line, so that a difference shows where it is."""
    histories = []
    for vector in vectors():
        lines = ",\n  ".join(json.dumps(step, ensure_ascii=False) for step in vector["steps"])
        histories.append(f' {{"rate": {json.dumps(vector["rate"])}, "steps": [\n  {lines}\n ]}}')
    return "[\n" + ",\n".join(histories) + "\n]\n"


if __name__ == "__main__":
    (HERE / "rate.json").write_text(written(), encoding="utf-8")
