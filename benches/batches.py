"""`try_acquire_many` of a hundred known keys against `try_acquire` of one after the other."""

from __future__ import annotations

import gc
import statistics
from time import perf_counter_ns
from typing import TYPE_CHECKING, TypeAlias

import tollbar
from adapters import PER
from measuring import (
    PLENTY,
    Samples,
    bare_loop_ns,
    collect_and_freeze,
    markdown,
    names,
    progress,
    ratio,
    rotated,
    shown_ratio,
    shuffled,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

# The samples, in nanoseconds a key, by number of keys.
Batches: TypeAlias = "dict[int, Samples]"

SINGLE, BATCH = "one by one", "in batches"
SIZE = 100
_OPERATIONS = 200_000


def _single_ns(limiter: tollbar.Limiter, order: Sequence[str]) -> float:
    try_acquire = limiter.try_acquire
    started = perf_counter_ns()
    for key in order:
        try_acquire(key)
    spent = perf_counter_ns() - started
    return (spent - bare_loop_ns(order)) / len(order)


def _batched_ns(limiter: tollbar.Limiter, order: Sequence[str]) -> float:
    try_acquire_many = limiter.try_acquire_many
    batches = [order[start : start + SIZE] for start in range(0, len(order), SIZE)]
    started = perf_counter_ns()
    for batch in batches:
        try_acquire_many(batch)
    spent = perf_counter_ns() - started
    return (spent - bare_loop_ns(batches)) / len(order)


def _sampled(count: int, repeats: int, operations: int) -> Samples:
    keys = names(count)
    limiter = tollbar.Limiter(tollbar.Rate(PLENTY, PER), max_keys=2 * count)
    limiter.try_acquire_many(keys)
    path = shuffled(keys)
    collect_and_freeze()
    ways = {SINGLE: _single_ns, BATCH: _batched_ns}
    samples: Samples = {way: [] for way in ways}
    visited = 0
    for repeat in range(repeats):
        for way, sample in rotated(list(ways.items()), repeat):
            # No two samples of a large table visit the same keys, which would then be in the caches.
            order = [path[number % count] for number in range(visited, visited + operations)]
            visited += operations
            gc.collect()
            samples[way].append(sample(limiter, order))
    if limiter.stats()["denied"]:
        raise RuntimeError("tollbar denied: that is not what was to be measured")
    gc.unfreeze()
    return samples


def measure(counts: Sequence[int], repeats: int, *, quick: bool) -> Batches:
    """Sample both ways with each number of keys."""
    progress("batches")
    return {count: _sampled(count, repeats, _OPERATIONS // (20 if quick else 1)) for count in counts}


def table(measured: Batches) -> str:
    """Write the Markdown table."""
    rows = [
        [
            f"{count:,}",
            *(f"{statistics.median(samples[way]):,.0f}" for way in (SINGLE, BATCH)),
            shown_ratio(ratio(samples, BATCH, SINGLE)),
        ]
        for count, samples in measured.items()
    ]
    return markdown(
        ["known keys", "try_acquire, ns a key", f"try_acquire_many of {SIZE}, ns a key", "ratio"], rows
    )
