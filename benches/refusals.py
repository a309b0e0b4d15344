"""A denial of `try_acquire` against an allowance: refusing must not be what brings a service down."""

from __future__ import annotations

import gc
import statistics
from time import perf_counter_ns
from typing import TYPE_CHECKING, TypeAlias

import tollbar
from adapters import PER
from measuring import PLENTY, Samples, bare_loop_ns, markdown, names, progress, ratio, rotated, shown_ratio

if TYPE_CHECKING:
    from collections.abc import Callable

# The samples of each class.
Refusals: TypeAlias = "dict[str, Samples]"

ALLOWED, DENIED = "allowed", "denied"
LIMITER, RATE_LIMITER = "tollbar.Limiter", "tollbar.RateLimiter"
_OPERATIONS = 200_000


def _limiter(limit: int) -> Callable[[str], bool]:
    return tollbar.Limiter(tollbar.Rate(limit, PER)).try_acquire


def _rate_limiter(limit: int) -> Callable[[str], bool]:
    return tollbar.RateLimiter(limit).try_acquire


def _sample_ns(try_acquire: Callable[[str], bool], key: str, operations: int, *, allowed: bool) -> float:
    order = [key] * operations
    # Also takes the only token of those that have one, and writes the one log line of those that log.
    try_acquire(key), try_acquire(key)
    gc.collect()
    started = perf_counter_ns()
    for one in order:
        try_acquire(one)
    spent = perf_counter_ns() - started
    if try_acquire(key) is not allowed:
        raise RuntimeError(f"not {ALLOWED if allowed else DENIED}: that is not what was to be measured")
    return (spent - bare_loop_ns(order)) / operations


def measure(repeats: int, *, quick: bool) -> Refusals:
    """Sample both answers of both classes, in rotating order."""
    progress("denials of try_acquire")
    key = names(1)[0]
    makers = {LIMITER: _limiter, RATE_LIMITER: _rate_limiter}
    cells = [(name, answer) for name in makers for answer in (ALLOWED, DENIED)]
    measured: Refusals = {name: {ALLOWED: [], DENIED: []} for name in makers}
    for repeat in range(repeats):
        for name, answer in rotated(cells, repeat):
            allowed = answer == ALLOWED
            try_acquire = makers[name](PLENTY if allowed else 1)
            operations = _OPERATIONS // (20 if quick else 1)
            measured[name][answer].append(_sample_ns(try_acquire, key, operations, allowed=allowed))
    return measured


def table(measured: Refusals) -> str:
    """Write the Markdown table."""
    rows = [
        [
            f"{name}.try_acquire",
            *(f"{statistics.median(samples[answer]):,.0f}" for answer in (ALLOWED, DENIED)),
            shown_ratio(ratio(samples, DENIED, ALLOWED)),
        ]
        for name, samples in measured.items()
    ]
    return markdown(["1 known key", "allowed, ns", "denied, ns", "ratio"], rows)
