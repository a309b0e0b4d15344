"""How long single tollbar calls take, the slowest ones included: each call is timed on its own."""

from __future__ import annotations

import gc
import statistics
from array import array
from time import perf_counter_ns
from typing import TYPE_CHECKING, TypeAlias

import tollbar
from adapters import PER
from cases import FULL_TABLE
from measuring import PLENTY, markdown, names, progress, rotated, shuffled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What one repeat runs: it gives the nanoseconds of each call.
Timed: TypeAlias = "Callable[[], list[int]]"
# The sorted nanoseconds of every repeat, by what was called; arrays, for they are millions.
Latencies: TypeAlias = "dict[str, list[array[int]]]"

CLOCK = "nothing: the two clock readings"
EMPTY_TABLE = f"a first sight, empty table of {FULL_TABLE:,}"
CROWDED_TABLE = f"a first sight, full table of {FULL_TABLE:,}"
_FEW = 200_000
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


def _first_sights_ns(newcomers: Sequence[str], residents: Sequence[str]) -> list[int]:
    # Everybody has just spent a token, so nobody can be dropped for having refilled.
    limiter = tollbar.RateLimiter(1_000, FULL_TABLE)
    for key in residents:
        limiter.try_acquire(key)
    return _calls_ns(limiter.try_acquire, newcomers)


def growing(keys: int) -> str:
    """Name the row of first sights that let a table grow to so many keys."""
    return f"a first sight, growing to {keys:,} keys"


def _timed(growth: int) -> dict[str, Timed]:
    """Say what is timed, and make the limiters that outlive a repeat."""
    keys = names(growth)
    known = _limiter(growth)
    known.try_acquire_many(keys)
    visits = shuffled(keys)
    few = min(growth, _FEW)
    # The first to find the table full brings about the one warning of a limiter's life.
    residents = [*names(FULL_TABLE, "resident"), "the first newcomer"]
    newcomers = names(FULL_TABLE, "newcomer")
    return {
        CLOCK: lambda: _nothing_ns(few),
        "a decision on 1 known key": lambda: _calls_ns(known.try_acquire, visits[:1] * few),
        f"a decision on {growth:,} known keys": lambda: _calls_ns(known.try_acquire, visits),
        EMPTY_TABLE: lambda: _first_sights_ns(newcomers, ()),
        CROWDED_TABLE: lambda: _first_sights_ns(newcomers, residents),
        growing(growth): lambda: _calls_ns(_limiter(growth).try_acquire, keys),
    }


def measure(growth: int, repeats: int) -> Latencies:
    """Time every call of every repeat, in rotating order."""
    progress("latencies of single calls")
    timed = _timed(growth)
    measured: Latencies = {name: [] for name in timed}
    for repeat in range(repeats):
        for name, sample in rotated(list(timed.items()), repeat):
            gc.collect()
            measured[name].append(array("Q", sorted(sample())))
    return measured


def quantile(ordered: Sequence[int], share: float) -> int:
    """Give the value that this share of the ordered values does not exceed."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def median(measured: Latencies, name: str, share: float) -> float:
    """Give the median over the repeats of a quantile, what the clock itself takes included."""
    return statistics.median(quantile(one, share) for one in measured[name])


def against(measured: Latencies, name: str, share: float, base: str) -> float:
    """How many times the median of `base` a quantile is, the clock's own median taken off both."""
    clock = median(measured, CLOCK, 0.5)
    return (median(measured, name, share) - clock) / (median(measured, base, 0.5) - clock)


def table(measured: Latencies) -> str:
    """Write the Markdown table: medians over the repeats, and the slowest call of all repeats."""
    rows = []
    for name, repeats in measured.items():
        shown = [median(measured, name, share) for share in QUANTILES.values()]
        rows.append([name, *(f"{value:,.0f}" for value in (*shown, max(one[-1] for one in repeats)))])
    return markdown(["one timed call, ns", *QUANTILES, "max"], rows)
