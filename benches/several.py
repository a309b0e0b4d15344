"""Keys of several limits: `try_acquire` by one, two and four limits, each far from its bound."""

from __future__ import annotations

import gc
import statistics
from time import perf_counter_ns
from typing import TYPE_CHECKING

import tollbar
from adapters import PER
from measuring import (
    PLENTY,
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
    from collections.abc import Callable, Sequence

    from measuring import Samples

ONE = "1 rate"
LIMITS: dict[str, Callable[[], tuple[tollbar.Rate | tollbar.Window | tollbar.InFlight, ...]]] = {
    ONE: lambda: (tollbar.Rate(PLENTY, PER),),
    "2 rates": lambda: (tollbar.Rate(PLENTY, PER), tollbar.Rate(PLENTY, 24 * PER)),
    "4 rates": lambda: tuple(tollbar.Rate(PLENTY, hours * PER) for hours in (1, 24, 168, 720)),
    "a rate and a window in 60 steps": lambda: (
        tollbar.Rate(PLENTY, PER),
        tollbar.Window(PLENTY, 24 * PER, steps=60),
    ),
}
# The samples, in nanoseconds a request, by number of keys.
Several = dict[int, "Samples"]
_COUNTS = (1, 1_000)
_OPERATIONS = 100_000


def _sample_ns(limiter: tollbar.Limiter, order: Sequence[str]) -> float:
    try_acquire = limiter.try_acquire
    started = perf_counter_ns()
    for key in order:
        try_acquire(key)
    spent = perf_counter_ns() - started
    return (spent - bare_loop_ns(order)) / len(order)


def _sampled(count: int, repeats: int, operations: int) -> Samples:
    keys = names(count)
    limiters = {name: tollbar.Limiter(*limits(), max_keys=2 * count) for name, limits in LIMITS.items()}
    path = shuffled(keys)
    order = [path[number % count] for number in range(operations)]
    for limiter in limiters.values():
        limiter.try_acquire_many(keys)
    collect_and_freeze()
    samples: Samples = {name: [] for name in limiters}
    for repeat in range(repeats):
        for name, limiter in rotated(list(limiters.items()), repeat):
            gc.collect()
            samples[name].append(_sample_ns(limiter, order))
    if any(limiter.stats()["denied"] for limiter in limiters.values()):
        raise RuntimeError("tollbar denied: that is not what was to be measured")
    gc.unfreeze()
    return samples


def measure(repeats: int, *, quick: bool) -> Several:
    """Sample each number of limits, in rotating order."""
    progress("keys of several limits")
    return {count: _sampled(count, repeats, _OPERATIONS // (20 if quick else 1)) for count in _COUNTS}


def table(measured: Several) -> str:
    """Write the Markdown table."""
    rows = []
    for name in LIMITS:
        cells = [name]
        for samples in measured.values():
            cells += [f"{statistics.median(samples[name]):,.0f}", shown_ratio(ratio(samples, name, ONE))]
        rows.append(cells)
    heads = [head for count in measured for head in (f"{count:,} known keys, ns", "ratio")]
    return markdown(["limits of a key", *heads], rows)
