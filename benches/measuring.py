"""What all measurements here share: account names, samples in rotating order, ratios, Markdown, progress."""

from __future__ import annotations

import gc
import random
import statistics
import sys
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# So high that nothing is denied where denials are not what is measured.
PLENTY = 100_000_000

# Nanoseconds per operation of every repeat, by contender.
Samples: TypeAlias = "dict[str, list[float]]"

_T = TypeVar("_T")
_STARTED = monotonic()


def progress(what: str) -> None:
    """Tell whoever waits what is measured next, and how long all has taken so far."""
    print(f"{monotonic() - _STARTED:4.0f} s  {what}", file=sys.stderr, flush=True)


def names(count: int, what: str = "account") -> list[str]:
    """Make that many account names, in no order."""
    return shuffled([f"{what}{number:07}@example.org" for number in range(count)])


def shuffled(keys: Sequence[str]) -> list[str]:
    """Put keys in another order, the same in each run.

    Whoever visits keys in the order in which they were first seen walks through memory in order.
    """
    return random.Random(len(keys)).sample(keys, len(keys))


def rotated(contenders: Sequence[_T], repeat: int) -> list[_T]:
    """Put them in another order at each repeat, so that nobody always follows the same one."""
    start = repeat % len(contenders)
    return [*contenders[start:], *contenders[:start]]


def bare_loop_ns(keys: Iterable[object]) -> int:
    """Time the loop that every sample has around its calls."""
    started = perf_counter_ns()
    for _ in keys:
        pass
    return perf_counter_ns() - started


def collect_and_freeze() -> None:
    """Collect garbage, and let later collections pass over what is alive now."""
    gc.collect()
    gc.freeze()


def ratio(samples: Samples, over: str, under: str) -> float:
    """How many times the one takes what the other takes: the median over repeats."""
    return statistics.median(a / b for a, b in zip(samples[over], samples[under], strict=True))


def shown_ratio(value: float) -> str:
    """Write a ratio with three digits, or as many as it has before the point."""
    decimals = 2 if value < 10 else 1 if value < 100 else 0  # noqa: PLR2004 - it is about digits
    return f"{value:,.{decimals}f}"


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table: the first column is text, the others are numbers."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
