"""Who is compared: two plain designs, and tollbar's pacer and queue in both their forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tollbar.pacing import RateLimiter, ThreadSafeRateLimiter

from . import tasks, threads
from .client import GAP, Plan, Ran
from .in_order import InOrder, ThreadInOrder
from .references import AdaptiveBuffer, FixedInterval
from .rules import KEYS, PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Progress
    from .nonces import Nonces


@dataclass(frozen=True)
class Contender:
    """One design: how it runs, and how many requests of a key it has under way at most."""

    name: str
    concurrency: int
    run: Callable[[Plan, Nonces, Progress], Ran]


def _fixed_interval(plan: Plan, nonces: Nonces, progress: Progress) -> Ran:
    return tasks.run(plan, {key: FixedInterval() for key in KEYS}, nonces, progress)


def _adaptive_buffer(plan: Plan, nonces: Nonces, progress: Progress) -> Ran:
    return tasks.run(plan, {key: AdaptiveBuffer() for key in KEYS}, nonces, progress)


def _tollbar_tasks(plan: Plan, nonces: Nonces, progress: Progress) -> Ran:
    pacers = {key: InOrder(RateLimiter(PER_SECOND), GAP) for key in KEYS}
    return tasks.run(plan, pacers, nonces, progress)


def _tollbar_threads(plan: Plan, nonces: Nonces, progress: Progress) -> Ran:
    pacers = {key: ThreadInOrder(ThreadSafeRateLimiter(PER_SECOND), GAP) for key in KEYS}
    return threads.run(plan, pacers, nonces, progress)


CONTENDERS = (
    # One request a key under way: it waits for the answer to the one before, so nonces arrive in order.
    Contender("fixed interval", 1, _fixed_interval),
    Contender("adaptive buffer", 1, _adaptive_buffer),
    Contender("tollbar, asyncio", 4, _tollbar_tasks),
    Contender("tollbar, threads", 4, _tollbar_threads),
)
