"""What a free-threaded interpreter runs: two threads on one limiter against two with a limiter each.

    python benches/free_threaded.py [--quick]

prints JSON: nanoseconds per decision of every repeat. The benchmark starts it in an environment of its own.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from threading import Barrier, Thread
from time import perf_counter_ns
from typing import TYPE_CHECKING

import decisions
import ours
import tollbar
from adapters import PER
from measuring import PLENTY, bare_loop_ns, names, rotated, shuffled
from visits import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ALONE = "one thread alone"
PRIVATE = "two threads, a limiter each"
SHARED = "two threads, one limiter, different keys"
SAME_KEY = "two threads, one limiter, the same key"
_KEYS = 500
_OPERATIONS = 400_000


def _limiter() -> tollbar.Limiter:
    return tollbar.Limiter(tollbar.Rate(PLENTY, PER))


def _pin(number: int) -> None:
    """Keep this thread on a processor of its own, where the system lets one; two on one would take turns."""
    if hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[number % len(processors)]})


def _decide(limiter: tollbar.Limiter, keys: Sequence[str]) -> int:
    started = perf_counter_ns()
    for key in keys:
        limiter.try_acquire(key)
    return perf_counter_ns() - started


def _per_decision_ns(threads: int, operations: int, *, shared: bool = False, same_key: bool = False) -> float:
    """Let threads decide at the same time and give the time per decision of all of them together.

    Each thread makes its own list and strings, so that all that two can have in common is the limiter. All
    become known at the same time, so the accounts of one thread lie among those of the other; whoever visited
    them in that order would walk through memory, and have the other one's fetched ahead of time.
    """
    common, together, spent = _limiter(), Barrier(threads), [0] * threads

    def work(number: int) -> None:
        _pin(number)
        limiter = common if shared else _limiter()
        known = names(1) if same_key else names(_KEYS, f"thread{number}")
        keys = shuffled(known) * (operations // len(known))
        _decide(limiter, known)
        together.wait()
        decided = _decide(limiter, keys)
        together.wait()
        spent[number] = decided - bare_loop_ns(keys)

    workers = [Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # The throughput of two threads is the sum of theirs.
    return 1 / sum(operations / one for one in spent)


def measure(repeats: int, operations: int) -> dict[str, list[float]]:
    """Sample every way to share, in rotating order."""
    ways: dict[str, Callable[[], float]] = {
        ALONE: lambda: _per_decision_ns(1, operations),
        PRIVATE: lambda: _per_decision_ns(2, operations),
        SHARED: lambda: _per_decision_ns(2, operations, shared=True),
        SAME_KEY: lambda: _per_decision_ns(2, operations, shared=True, same_key=True),
    }
    samples: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(repeats):
        for way, sample in rotated(list(ways.items()), repeat):
            gc.collect()
            samples[way].append(sample())
    return samples


def main(arguments: Sequence[str]) -> int:
    """Measure threads, and one decision in one thread, and print the samples."""
    # An extension that is not made for it brings the lock back; the function is new in 3.13.
    has_lock: Callable[[], bool] | None = getattr(sys, "_is_gil_enabled", None)
    if has_lock is None or has_lock():
        print("this interpreter has a lock", file=sys.stderr)
        return 2
    if tollbar.build_profile == "debug":
        print("this is a debug build of tollbar", file=sys.stderr)
        return 2
    quick = "--quick" in arguments
    repeats = 3 if quick else 15
    gc.disable()
    one = Keys(1)
    called = decisions.measure([ours.DictGet, ours.Limiter], [one], repeats, quick=quick)
    awaiting = [ours.EmptyAsyncDef, ours.RateLimiter, ours.AnswerAtHand]
    awaited = decisions.measure(awaiting, [one], repeats, quick=quick)
    told = {
        "version": sys.version.split()[0],
        "threads": measure(repeats, _OPERATIONS // (20 if quick else 1)),
        "called": called[one],
        "awaited": awaited[one],
    }
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
