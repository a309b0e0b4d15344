"""How long a call takes that meets a new account while the table is full: everybody else waits that long."""

from __future__ import annotations

import gc
import statistics
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .contenders import Contender
    from .references import Limiter

TABLE_SIZE = 10_000
NEWCOMERS = 300
REPEATS = 3


@dataclass(frozen=True)
class Stall:
    """Nanoseconds of one first sight in a full table, over all repeats."""

    median_ns: float
    largest_ns: float
    # The first newcomer apart from the rest: a limiter may have to say then that the table is full.
    first_ns: float
    largest_later_ns: float


async def _newcomers_ns(limiter: Limiter, table_size: int, newcomers: int) -> list[int]:
    """Fill the table, then time each account that it has no room for."""
    for number in range(table_size):
        await limiter.acquire(f"resident{number:06}@example.org")
    times = []
    for number in range(newcomers):
        email = f"newcomer{number:06}@example.org"
        started = perf_counter_ns()
        await limiter.acquire(email)
        times.append(perf_counter_ns() - started)
    return times


async def measure_stalls(
    contenders: Sequence[Contender],
    limit: int,
    *,
    table_size: int = TABLE_SIZE,
    newcomers: int = NEWCOMERS,
    repeats: int = REPEATS,
) -> dict[str, Stall]:
    """Measure the stall of every contender that keeps a table, each repeat with a fresh limiter.

    The largest is the median of the repeats' largest ones: a single interruption by the operating system
    should not be taken for the limiter's doing. Garbage collection is off for the same reason.
    """
    times: dict[str, list[list[int]]] = {contender.name: [] for contender in contenders if contender.limits}
    collecting = gc.isenabled()
    try:
        for _ in range(repeats):
            for contender in contenders:
                if contender.limits:
                    gc.collect()
                    gc.disable()
                    times[contender.name].append(
                        await _newcomers_ns(contender.make(limit, table_size), table_size, newcomers)
                    )
                    gc.enable()
    finally:
        (gc.enable if collecting else gc.disable)()
    return {
        name: Stall(
            median_ns=statistics.median(ns for repeat in repeated for ns in repeat),
            largest_ns=statistics.median(max(repeat) for repeat in repeated),
            first_ns=statistics.median(repeat[0] for repeat in repeated),
            largest_later_ns=statistics.median(max(repeat[1:]) for repeat in repeated),
        )
        for name, repeated in times.items()
    }
