"""One decision about a known key, of every limiter there is: called, and awaited."""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, TypeAlias

from adapters import SyncAdapter, allows, run
from measuring import (
    PLENTY,
    Samples,
    bare_loop_ns,
    collect_and_freeze,
    markdown,
    names,
    ratio,
    rotated,
    shown_ratio,
    shuffled,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters import Adapter

# The samples of one table by number of keys.
Decisions: TypeAlias = "dict[int, Samples]"


async def _sample_ns(adapter: Adapter, keys: Sequence[str]) -> float:
    if isinstance(adapter, SyncAdapter):
        started = perf_counter_ns()
        adapter.run(keys)
    else:
        started = perf_counter_ns()
        await adapter.run(keys)
    spent = perf_counter_ns() - started
    return (spent - bare_loop_ns(keys)) / len(keys)


async def _known_keys(contenders: Sequence[type[Adapter]], count: int, repeats: int, slower: int) -> Samples:
    """Sample all contenders that can hold so many keys, in one process and one event loop."""
    keys = names(count)
    made = [contender(PLENTY, 2 * count) for contender in contenders if count <= contender.keys_at_most]
    for adapter in made:
        await run(adapter, keys)
        adapter.settle()
    visits = shuffled(keys)
    collect_and_freeze()
    samples: Samples = {adapter.name: [] for adapter in made}
    for repeat in range(repeats):
        for adapter in rotated(made, repeat):
            operations = adapter.operations // slower
            # Goes on where the repeat before stopped, so that few operations do not meet the same few keys.
            order = [
                visits[number % count] for number in range(repeat * operations, (repeat + 1) * operations)
            ]
            gc.collect()
            samples[adapter.name].append(await _sample_ns(adapter, order))
            adapter.settle()
    for adapter in made:
        if not await allows(adapter, keys[0]):
            raise RuntimeError(f"{adapter.name} denied: that is not what was to be measured")
    gc.unfreeze()
    return samples


def measure(
    contenders: Sequence[type[Adapter]], counts: Sequence[int], repeats: int, *, quick: bool
) -> Decisions:
    """Sample every contender with each number of keys."""
    measured = {}
    for count in counts:
        print(f"decisions on {count:,} known keys", file=sys.stderr)
        measured[count] = asyncio.run(_known_keys(contenders, count, repeats, 20 if quick else 1))
    return measured


def table(measured: Decisions, base: str) -> str:
    """Write the Markdown table: for each contender and number of keys, time and ratio to `base`."""
    headings = ["one decision"]
    for count in measured:
        headings += [f"{count:,} {'key' if count == 1 else 'keys'}, ns", "ratio"]
    rows = []
    for name in next(iter(measured.values())):
        row = [f"**{name}**" if name == base else name]
        for samples in measured.values():
            if name in samples:
                row.append(f"{statistics.median(samples[name]):,.0f}")
                row.append(shown_ratio(ratio(samples, name, base)))
            else:
                row += ["", ""]
        rows.append(row)
    return markdown(headings, rows)
