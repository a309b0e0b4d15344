"""The measured operations: each case times one thing for one limiter, in nanoseconds per operation.

A limiter is made anew for every sample where its state matters (a first sight happens once), and every sample
has the cost of its own bare loop taken off.
"""

from __future__ import annotations

import gc
import statistics
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING

import tollbar
from measuring import PLENTY, Samples, bare_loop_ns, markdown, names, progress, ratio, rotated, shown_ratio
from tollbar.demo.contenders import ACCOUNT_LOCK, GLOBAL_LOCK, NONE, TOLLBAR, Contender

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tollbar.demo.references import Account, Limiter

FULL_TABLE = 10_000
DENIAL = "denial, with except"


class AlwaysDenies:
    """The least a denial can cost in an `async def`: it raises."""

    async def acquire(
        self,
        account_email: str,
        account: Account | None = None,  # noqa: ARG002 - the contract of all limiters
        tokens: int = 1,  # noqa: ARG002
    ) -> bool:
        """Raise the exception that all limiters here raise."""
        raise tollbar.RateLimitExceeded(account_email)


FLOOR = Contender("empty async def", NONE.make, limits=False)
CONTENDERS = (FLOOR, GLOBAL_LOCK, ACCOUNT_LOCK, TOLLBAR)


@dataclass(frozen=True)
class Case:
    """One row: `sample(contender)` measures once and gives nanoseconds per operation."""

    name: str
    sample: Callable[[Contender], Awaitable[float]]


async def acquire_ns(limiter: Limiter, keys: Sequence[str]) -> float:
    """Await an acquire of each key in turn."""
    acquire = limiter.acquire
    started = perf_counter_ns()
    for key in keys:
        await acquire(key)
    return (perf_counter_ns() - started - bare_loop_ns(keys)) / len(keys)


async def _denial_ns(limiter: Limiter, keys: Sequence[str]) -> float:
    acquire = limiter.acquire
    started = perf_counter_ns()
    for key in keys:
        try:
            await acquire(key)
        except tollbar.RateLimitExceeded:
            continue  # counting them would cost both sides a new number each
        raise RuntimeError(f"{key} was not denied")
    spent = perf_counter_ns() - started
    return (spent - bare_loop_ns(keys)) / len(keys)


def denial(operations: int) -> Case:
    """`await acquire` and `except` of an account that has nothing left; the log line goes to no handler."""
    key = names(1)[0]

    async def sample(contender: Contender) -> float:
        limiter: Limiter = AlwaysDenies()
        if contender.limits:
            limiter = contender.make(1, FULL_TABLE)
            await limiter.acquire(key)
        # The first denial of an account is the one that tollbar logs; it belongs to the sample.
        return await _denial_ns(limiter, [key] * operations)

    return Case(DENIAL, sample)


def first_sight(operations: int, *, full: bool) -> Case:
    """`await acquire` of accounts that were never seen, in an empty table or in a full one."""
    residents, newcomers = names(FULL_TABLE), names(operations, "newcomer")

    async def sample(contender: Contender) -> float:
        limiter = contender.make(PLENTY if not full else 1_000, FULL_TABLE)
        if full:
            # Everybody has just spent a token, so nobody can be dropped for having refilled.
            await acquire_ns(limiter, residents)
            # tollbar warns once in its life that the table is full; that line would weigh on so few calls.
            await limiter.acquire("the first newcomer")
        return await acquire_ns(limiter, newcomers)

    return Case(f"first sight, {'full' if full else 'empty'} table", sample)


def all_cases(*, quick: bool) -> list[Case]:
    """Every case of one task; the quick ones only show that everything runs."""
    few = 10 if quick else 1
    return [
        denial(20_000 // few),
        first_sight(5_000 // few, full=False),
        first_sight(300 // few, full=True),
    ]


async def measure(cases: Sequence[Case], repeats: int) -> dict[str, Samples]:
    """Sample every case and contender once a repeat, beginning with another contender each time."""
    progress("denials, first sights, tasks")
    samples: dict[str, Samples] = {case.name: {one.name: [] for one in CONTENDERS} for case in cases}
    for repeat in range(repeats):
        for case in cases:
            for contender in rotated(CONTENDERS, repeat):
                gc.collect()
                samples[case.name][contender.name].append(await case.sample(contender))
    return samples


def table(measured: dict[str, Samples]) -> str:
    """Write the Markdown table."""
    ratios = ((GLOBAL_LOCK, TOLLBAR), (ACCOUNT_LOCK, TOLLBAR), (TOLLBAR, FLOOR))
    headings = ["awaited", *(f"{one.name}, ns" for one in CONTENDERS)]
    headings += [f"{over.name} / {under.name}" for over, under in ratios]
    rows = []
    for case, samples in measured.items():
        medians = (f"{statistics.median(samples[one.name]):,.0f}" for one in CONTENDERS)
        shown = (shown_ratio(ratio(samples, over.name, under.name)) for over, under in ratios)
        rows.append([case, *medians, *shown])
    return markdown(headings, rows)
