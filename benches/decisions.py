"""One decision about a known key, of every limiter there is: called, and awaited."""

from __future__ import annotations

import asyncio
import gc
import statistics
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
    progress,
    ratio,
    rotated,
    shown_ratio,
)
from visits import Keys, visits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters import Adapter

# The samples of one table by what keys there are.
Decisions: TypeAlias = "dict[Keys, Samples]"


async def _sample_ns(adapter: Adapter, keys: Sequence[str]) -> float:
    if isinstance(adapter, SyncAdapter):
        started = perf_counter_ns()
        adapter.run(keys)
    else:
        started = perf_counter_ns()
        await adapter.run(keys)
    spent = perf_counter_ns() - started
    return (spent - bare_loop_ns(keys)) / len(keys)


async def _visited(made: Sequence[Adapter], path: Sequence[str], repeats: int, slower: int) -> Samples:
    samples: Samples = {adapter.name: [] for adapter in made}
    for repeat in range(repeats):
        for adapter in rotated(made, repeat):
            operations = adapter.operations // slower
            # Goes on where the repeat before stopped, so that few operations do not meet the same few keys.
            order = [
                path[number % len(path)] for number in range(repeat * operations, (repeat + 1) * operations)
            ]
            gc.collect()
            samples[adapter.name].append(await _sample_ns(adapter, order))
            adapter.settle()
    return samples


async def _known_keys(
    contenders: Sequence[type[Adapter]], populations: Sequence[Keys], repeats: int, slower: int
) -> Decisions:
    """Sample all contenders that can hold so many keys, in one process and one event loop."""
    count = populations[0].count
    keys = names(count)
    made = [contender(PLENTY, 2 * count) for contender in contenders if count <= contender.keys_at_most]
    for adapter in made:
        await run(adapter, keys)
        adapter.settle()
    paths = {population: visits(keys, population) for population in populations}
    collect_and_freeze()
    measured = {population: await _visited(made, path, repeats, slower) for population, path in paths.items()}
    for adapter in made:
        if not await allows(adapter, keys[0]):
            raise RuntimeError(f"{adapter.name} denied: that is not what was to be measured")
    gc.unfreeze()
    return measured


def measure(
    contenders: Sequence[type[Adapter]], populations: Sequence[Keys], repeats: int, *, quick: bool
) -> Decisions:
    """Sample every contender with each number of keys; orders of the same keys share what is set up."""
    measured: Decisions = {}
    for count in sorted({population.count for population in populations}):
        progress(f"decisions on {Keys(count)}, {contenders[0].name} and {len(contenders) - 1} others")
        alike = [population for population in populations if population.count == count]
        measured |= asyncio.run(_known_keys(contenders, alike, repeats, 20 if quick else 1))
    # In the order that was asked for, which is that of the table.
    return {population: measured[population] for population in populations}


def table(measured: Decisions, base: str) -> str:
    """Write the Markdown table: for each contender and number of keys, time and ratio to `base`."""
    rows = []
    for name in next(iter(measured.values())):
        row = [f"**{name}**" if name == base else name]
        for samples in measured.values():
            if name in samples:
                shown = shown_ratio(ratio(samples, name, base))
                row.append(f"{statistics.median(samples[name]):,.0f} ({shown})")
            else:
                row.append("")
        rows.append(row)
    return markdown(["one decision, ns (ratio)", *map(str, measured)], rows)
