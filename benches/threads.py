"""The same number of decisions by one thread and by two: what sharing a limiter costs under the GIL."""

from __future__ import annotations

import gc
import statistics
from threading import Thread
from time import perf_counter_ns
from typing import TYPE_CHECKING, TypeAlias

from measuring import PLENTY, bare_loop_ns, markdown, names, progress, rotated, shown_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adapters import SyncAdapter

# Nanoseconds per decision of every repeat, by limiter, by keys, then by number of threads.
Threaded: TypeAlias = "dict[tuple[str, str], dict[int, list[float]]]"

DIFFERENT, SAME = "different", "the same"
_KEYS = 1_000
# A sample has to be longer than several turns of the interpreter's lock, which are 5 ms each.
_MORE = 5


def _together_ns(body: Callable[[Sequence[str]], object], shares: Sequence[Sequence[str]]) -> int:
    threads = [Thread(target=body, args=(share,)) for share in shares]
    started = perf_counter_ns()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return perf_counter_ns() - started


def _shares(keys: str, operations: int, threads: int) -> list[list[str]]:
    """Split the decisions; with different keys, no two threads have a key in common."""
    known = names(1 if keys == SAME else _KEYS)
    each = operations // threads
    parts = [known[number::threads] or known for number in range(threads)]
    return [(part * (each // len(part) + 1))[:each] for part in parts]


def measure(contenders: Sequence[type[SyncAdapter]], repeats: int, *, quick: bool) -> Threaded:
    """Sample one thread and two right after each other, in rotating order."""
    progress("threads")
    made = [contender(PLENTY, 2 * _KEYS) for contender in contenders]
    for adapter in made:
        adapter.run(names(_KEYS))
        adapter.settle()
    cells = [(adapter, keys) for adapter in made for keys in (DIFFERENT, SAME)]
    measured: Threaded = {(adapter.name, keys): {1: [], 2: []} for adapter, keys in cells}
    for repeat in range(repeats):
        for adapter, keys in rotated(cells, repeat):
            operations = adapter.operations * _MORE // (4 if quick else 1)
            for threads in rotated((1, 2), repeat):
                shares = _shares(keys, operations, threads)
                gc.collect()
                spent = _together_ns(adapter.run, shares) - _together_ns(bare_loop_ns, shares)
                measured[adapter.name, keys][threads].append(spent / operations)
                adapter.settle()
    return measured


def two_to_one(measured: Threaded, name: str, keys: str) -> float:
    """How many times as long two threads take as one, for the same number of decisions in all."""
    one, two = (measured[name, keys][threads] for threads in (1, 2))
    return statistics.median(b / a for a, b in zip(one, two, strict=True))


def table(measured: Threaded) -> str:
    """Write the Markdown table."""
    rows = []
    for (name, keys), by_threads in measured.items():
        medians = (f"{statistics.median(samples):,.0f}" for samples in by_threads.values())
        rows.append([name, keys, *medians, shown_ratio(two_to_one(measured, name, keys))])
    return markdown(["one decision", "keys", "1 thread, ns", "2 threads, ns", "ratio"], rows)
