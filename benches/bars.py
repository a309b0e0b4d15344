"""Where tollbar has to be: what is compared with what, the ratio it may reach, and the ratio of a run.

A bar that depends on the interpreter says so by its version; on others, that row does not exist.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import histories
import latency
import threads
from batches import BATCH, SINGLE
from cases import DENIAL, FLOOR
from free_threaded import PRIVATE, SHARED
from importing import JSON, TOLLBAR
from measuring import Samples, markdown, ratio, shown_ratio
from memory import MANY_KEYS
from ours import DictGet, EmptyAsyncDef, GlobalLock, HeldBucket, Limiter, PurePython, RateLimiter
from peers import AioLimiter
from refusals import ALLOWED, DENIED, LIMITER, RATE_LIMITER
from visits import Keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters import Adapter
    from everything import Measured
    from occasions import Run

_MILLION = 1_000_000


@dataclass(frozen=True)
class Bar:
    """One row. `value` raises KeyError where the run lacks something, such as a peer that is not here."""

    what: str
    against: str
    at_most: float | Mapping[str, float]
    value: Callable[[Measured], float]
    as_fraction: bool = False
    """Whether it is so small that 1/n says more."""

    @property
    def name(self) -> str:
        """What the row is called where its numbers are kept."""
        return f"{self.what} / {self.against}"

    def limit(self, version: str) -> float | None:
        """Give the most it may be on that interpreter, if there is a bar for it."""
        return self.at_most.get(version) if isinstance(self.at_most, Mapping) else self.at_most

    def shown_limit(self, limit: float) -> str:
        """Write a bar: it is a round number, unlike what is measured."""
        return f"1/{round(1 / limit):,}" if self.as_fraction else f"{limit:.3g}"

    def shown(self, value: float) -> str:
        """Write a value of this row."""
        return f"1/{shown_ratio(1 / value)}" if self.as_fraction else shown_ratio(value)


def _called(over: type[Adapter], under: type[Adapter]) -> Callable[[Measured], float]:
    return lambda measured: ratio(measured.called[Keys(1)], over.name, under.name)


def _awaited(under: type[Adapter], keys: int = 1) -> Callable[[Measured], float]:
    return lambda measured: ratio(measured.awaited[Keys(keys)], RateLimiter.name, under.name)


def _batch(keys: int) -> Callable[[Measured], float]:
    return lambda measured: ratio(measured.batches[keys], BATCH, SINGLE)


def _refusal(of: str) -> Callable[[Measured], float]:
    return lambda measured: ratio(measured.refusals[of], DENIED, ALLOWED)


def _threaded(keys: str) -> Callable[[Measured], float]:
    return lambda measured: threads.two_to_one(measured.threaded, Limiter.name, keys)


def _single_call(name: str, share: float, base: str) -> Callable[[Measured], float]:
    return lambda measured: latency.against(measured.latencies, name, share, base)


def _free(samples: Samples | None, over: str, under: str) -> float:
    if samples is None:
        raise KeyError("no free-threaded interpreter")
    return ratio(samples, over, under)


PYTHON_BARS = (
    Bar(
        "`limiter.try_acquire(key)`, 1 account",
        "`dict.get(key)`",
        {"3.11": 2.0, "3.12": 2.2, "3.13": 2.6, "3.14t": 2.0},
        _called(Limiter, DictGet),
    ),
    Bar(
        "`TokenBucket.try_acquire()`, a held handle",
        "`dict.get(key)`",
        {"3.11": 1.2},
        _called(HeldBucket, DictGet),
    ),
    Bar(
        "`await limiter.acquire(email)`, 1 account",
        "`await` of an empty `async def`",
        {"3.11": 0.6, "3.12": 0.9, "3.13": 1.05, "3.14t": 1.0},
        _awaited(EmptyAsyncDef),
    ),
    Bar(
        "`await limiter.acquire(email)`, 1,000 accounts",
        "`await` of an empty `async def`",
        {"3.11": 0.7, "3.12": 1.0, "3.13": 1.15, "3.14t": 1.1},
        _awaited(EmptyAsyncDef, 1_000),
    ),
    Bar(
        "`await limiter.acquire(email)`, 1 account",
        "one asyncio lock",
        1 / 35,
        _awaited(GlobalLock),
        as_fraction=True,
    ),
    Bar(
        "`await limiter.acquire(email)`, 1 account",
        "aiolimiter in a dict",
        1 / 14,
        _awaited(AioLimiter),
        as_fraction=True,
    ),
    Bar(
        "`try_acquire`, 1 account",
        "pure-Python GCRA over a dict",
        1 / 5,
        _called(Limiter, PurePython),
        as_fraction=True,
    ),
    Bar(
        "`await` and `except` of a denial",
        "the same of a `raise` in an empty `async def`",
        0.6,
        lambda measured: ratio(measured.cases[DENIAL], "tollbar", FLOOR.name),
    ),
    Bar("a denial of `Limiter.try_acquire`", "an allowance", 2.5, _refusal(LIMITER)),
    Bar("a denial of `RateLimiter.try_acquire`", "an allowance", 2.5, _refusal(RATE_LIMITER)),
    Bar(
        "first sight, full table",
        "first sight, empty table",
        3,
        _single_call(latency.CROWDED_TABLE, 0.5, latency.EMPTY_TABLE),
    ),
    Bar(
        "first sight, full table, 99.9th percentile",
        "first sight, empty table",
        30,
        _single_call(latency.CROWDED_TABLE, 0.999, latency.EMPTY_TABLE),
    ),
    Bar(
        "first sight through Python, growing to 1,000,000, 99.9th percentile",
        "its own median",
        30,
        _single_call(latency.growing(_MILLION), 0.999, latency.growing(_MILLION)),
    ),
    Bar("`try_acquire_many` of 100 at 1,000 keys, per key", "`try_acquire`", 0.8, _batch(1_000)),
    Bar("`try_acquire_many` of 100 at 1,000,000 keys, per key", "`try_acquire`", 0.5, _batch(_MILLION)),
    Bar("`try_acquire` by 2 threads, different keys", "1 thread", 1.1, _threaded(threads.DIFFERENT)),
    Bar("`try_acquire` by 2 threads, the same key", "1 thread", 1.1, _threaded(threads.SAME)),
    Bar(
        "free-threaded 3.14: `try_acquire` by 2 threads, different keys",
        "2 threads with a limiter each",
        1 / 0.9,
        lambda measured: _free(measured.free_threaded.threads, SHARED, PRIVATE),
    ),
    Bar(
        "free-threaded 3.14: `limiter.try_acquire(key)`, 1 account",
        "`dict.get(key)`",
        2.0,
        lambda measured: _free(measured.free_threaded.called, Limiter.name, DictGet.name),
    ),
    Bar(
        "free-threaded 3.14: `await limiter.acquire(email)`, 1 account",
        "`await` of an empty `async def`",
        1.0,
        lambda measured: _free(measured.free_threaded.awaited, RateLimiter.name, EmptyAsyncDef.name),
    ),
    Bar(
        "`sliding_window`: plan and log a send, 10,000 remembered",
        "counting them anew in plain Python",
        1 / 1_500,
        lambda measured: ratio(measured.histories[10_000], histories.TOLLBAR, histories.COUNTED),
        as_fraction=True,
    ),
    Bar(
        "`sliding_window`: plan and log a send, 1,000,000 remembered",
        "100 remembered",
        1.5,
        lambda measured: histories.flatness(measured.histories),
    ),
    Bar("`import tollbar`", "`import json`", 3, lambda measured: ratio(measured.imports, TOLLBAR, JSON)),
    Bar(
        "bytes per account through Python, 1,000,000 accounts, 30-byte keys",
        "",
        72,
        lambda measured: measured.sizes[Limiter.name, MANY_KEYS],
    ),
)


def interpreter() -> str:
    """Say which bars hold here: "3.11", or "3.14t" without the lock."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}{sysconfig.get_config_var('abiflags') or ''}"


def values(bars: Sequence[Bar], version: str, measured: Measured) -> dict[str, float]:
    """Give the ratio of every row that exists on this interpreter and was measured, by its name."""
    told = {}
    for bar in bars:
        if bar.limit(version) is None:
            continue
        try:
            told[bar.name] = bar.value(measured)
        except KeyError:
            continue
    return told


def _cell(bar: Bar, limit: float, run: Run) -> str:
    value = run.values.get(bar.name)
    if value is None:
        return ""
    return f"**{bar.shown(value)}**" if value > limit else bar.shown(value)


def table(bars: Sequence[Bar], version: str, runs: Sequence[Run]) -> str:
    """Write the Markdown table, a column for each run; what is above its bar is bold."""
    rows = []
    for bar in bars:
        limit = bar.limit(version)
        if limit is not None:
            rows.append(
                [bar.what, bar.against, bar.shown_limit(limit), *(_cell(bar, limit, run) for run in runs)]
            )
    return markdown(["what", "against", "at most", *(run.date for run in runs)], rows)
