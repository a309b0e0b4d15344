"""Many tasks at once: a gather of acquires, and tasks that each await acquire in a loop."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from typing import TYPE_CHECKING

from cases import FULL_TABLE, Case, acquire_ns
from measuring import PLENTY, bare_loop_ns, names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollbar.demo.contenders import Contender
    from tollbar.demo.references import Limiter

_KNOWN = 1_000


def _order(acquires: int) -> list[str]:
    known = names(_KNOWN)
    return (known * (acquires // _KNOWN + 1))[:acquires]


def gathered(tasks: int, rounds: int) -> Case:
    """`asyncio.gather` of that many acquires, from making the awaitables to the last result."""
    order = _order(tasks)

    async def sample(contender: Contender) -> float:
        limiter = contender.make(PLENTY, FULL_TABLE)
        await acquire_ns(limiter, order)
        spent = 0
        for _ in range(rounds):
            started = perf_counter_ns()
            await asyncio.gather(*[limiter.acquire(key) for key in order])
            spent += perf_counter_ns() - started - bare_loop_ns(order)
        return spent / (tasks * rounds)

    return Case(f"gather of {tasks:,}", sample)


async def _acquire_all(limiter: Limiter, share: Sequence[str]) -> None:
    acquire = limiter.acquire
    for key in share:
        await acquire(key)


def in_loops(tasks: int, each: int) -> Case:
    """Start that many tasks, each of which awaits so many acquires; making the tasks is part of it."""
    order = _order(tasks * each)
    shares = [order[start : start + each] for start in range(0, tasks * each, each)]

    async def sample(contender: Contender) -> float:
        limiter = contender.make(PLENTY, FULL_TABLE)
        await acquire_ns(limiter, order)
        started = perf_counter_ns()
        await asyncio.gather(*[_acquire_all(limiter, share) for share in shares])
        return (perf_counter_ns() - started - sum(map(bare_loop_ns, shares))) / len(order)

    return Case(f"{tasks:,} tasks, {each:,} each", sample)


def all_cases(*, quick: bool) -> list[Case]:
    """Every case: about as many acquires with few tasks as with many."""
    few = 10 if quick else 1
    return [
        gathered(100, 100 // few),
        gathered(10_000, 1),
        in_loops(100, 100),
        in_loops(10_000, 1),
    ]
