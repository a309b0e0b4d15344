"""How long single tollbar calls take, the slowest ones included: each call is timed on its own."""

from __future__ import annotations

import gc
import statistics
import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, TypeAlias

import tollbar
from adapters import PER
from measuring import PLENTY, markdown, names, rotated, shuffled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What one repeat runs: it gives the nanoseconds of each call.
Timed: TypeAlias = "Callable[[], list[int]]"
# The sorted nanoseconds of every repeat, by what was called.
Latencies: TypeAlias = "dict[str, list[list[int]]]"

CLOCK = "nothing: the two clock readings"
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


def _nothing_ns(calls: int) -> list[int]:
    spent = []
    for _ in range(calls):
        started = perf_counter_ns()
        spent.append(perf_counter_ns() - started)
    return spent


def _calls_ns(call: Callable[[str], object], keys: Sequence[str]) -> list[int]:
    spent = []
    for key in keys:
        started = perf_counter_ns()
        call(key)
        spent.append(perf_counter_ns() - started)
    return spent


def _limiter(keys: int) -> tollbar.Limiter:
    return tollbar.Limiter(tollbar.Rate(PLENTY, PER), max_keys=keys)


def _timed(growth: int) -> dict[str, Timed]:
    """Say what is timed, and make the limiters that outlive a repeat."""
    keys = names(growth)
    known = _limiter(growth)
    known.try_acquire_many(keys)
    visits = shuffled(keys)
    return {
        CLOCK: lambda: _nothing_ns(growth),
        "a decision on 1 known key": lambda: _calls_ns(known.try_acquire, visits[:1] * growth),
        f"a decision on {growth:,} known keys": lambda: _calls_ns(known.try_acquire, visits),
        f"a first sight, growing to {growth:,} keys": lambda: _calls_ns(_limiter(growth).try_acquire, keys),
    }


def measure(growth: int, repeats: int) -> Latencies:
    """Time every call of every repeat, in rotating order."""
    print("latencies of single calls", file=sys.stderr)
    timed = _timed(growth)
    measured: Latencies = {name: [] for name in timed}
    for repeat in range(repeats):
        for name, sample in rotated(list(timed.items()), repeat):
            gc.collect()
            measured[name].append(sorted(sample()))
    return measured


def quantile(ordered: Sequence[int], share: float) -> int:
    """Give the value that this share of the ordered values does not exceed."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def table(measured: Latencies) -> str:
    """Write the Markdown table: medians over the repeats, and the slowest call of all repeats."""
    rows = []
    for name, repeats in measured.items():
        shown = [statistics.median(quantile(one, share) for one in repeats) for share in QUANTILES.values()]
        rows.append([name, *(f"{value:,.0f}" for value in (*shown, max(one[-1] for one in repeats)))])
    return markdown(["one timed call, ns", *QUANTILES, "max"], rows)
