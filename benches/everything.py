"""Everything that the benchmark measures in one run, one part after the other, and how much of it."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING

import batches
import calls
import cases
import decisions
import free_threading
import go_calls
import histories
import importing
import latency
import memory
import ours
import refusals
import rust_peers
import several
import tasks
import threads
from measuring import progress
from peers import ASYNC_PEERS, PEERS, SYNC_PEERS, LimitsFixedWindow, Throttled, TokenBucket
from visits import Keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters import Adapter, SyncAdapter
    from batches import Batches
    from calls import Calls
    from decisions import Decisions
    from free_threading import FreeThreaded
    from go_calls import GoCalls
    from histories import Histories
    from latency import Latencies
    from measuring import Samples
    from memory import Bytes
    from refusals import Refusals
    from rust_peers import RustMeasured
    from several import Several
    from threads import Threaded

# One of each kind is enough: the others would only show again what a lock or a long path costs two threads.
_IN_THREADS: tuple[type[SyncAdapter], ...] = (
    ours.DictGet,
    ours.Limiter,
    ours.PurePython,
    TokenBucket,
    LimitsFixedWindow,
    Throttled,
)


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    quick: bool
    repeats: int
    populations: tuple[Keys, ...]
    batches: tuple[int, ...]
    growth: int
    keys: int
    many_keys: int
    processes: int
    imports: int


FULL = Extent(
    quick=False,
    repeats=9,
    populations=(
        Keys(1),
        Keys(1_000),
        Keys(100_000),
        Keys(1_000_000),
        Keys(1_000, zipf=True),
        Keys(1_000_000, zipf=True),
    ),
    batches=(1_000, 1_000_000),
    growth=1_000_000,
    keys=memory.KEYS,
    many_keys=memory.MANY_KEYS,
    processes=3,
    imports=15,
)
QUICK = Extent(
    quick=True,
    repeats=2,
    populations=(Keys(1), Keys(1_000), Keys(1_000, zipf=True)),
    batches=(1_000, 1_000_000),
    growth=20_000,
    keys=20_000,
    many_keys=memory.MANY_KEYS,
    processes=1,
    imports=3,
)


@dataclass(frozen=True)
class Measured:
    """All numbers of one run."""

    rust: RustMeasured | None
    calls: Calls | None
    go: GoCalls | None
    called: Decisions
    awaited: Decisions
    batches: Batches
    several: Several
    refusals: Refusals
    threaded: Threaded
    free_threaded: FreeThreaded
    cases: dict[str, Samples]
    histories: Histories
    latencies: Latencies
    imports: Samples
    sizes: Bytes


def measure(extent: Extent, left_out: Sequence[type[Adapter]]) -> Measured:
    """Run everything, without the peers that are left out."""
    quick, repeats = extent.quick, extent.repeats
    called: list[type[Adapter]] = [*ours.SYNC, *(one for one in SYNC_PEERS if one not in left_out)]
    awaited: list[type[Adapter]] = [*ours.ASYNC, *(one for one in ASYNC_PEERS if one not in left_out)]
    peers = [peer for peer in PEERS if peer not in left_out]
    in_threads = [one for one in _IN_THREADS if one not in left_out]
    every_case = [*cases.all_cases(quick=quick), *tasks.all_cases(quick=quick)]
    gc.disable()
    progress("the core in Rust, beside governor")
    measured = Measured(
        # First, for it builds what it runs: what goes wrong there should not cost the whole run.
        rust=rust_peers.measure(quick=quick),
        calls=calls.measure(repeats, quick=quick),
        go=go_calls.measure(quick=quick),
        called=decisions.measure(called, extent.populations, repeats, quick=quick),
        awaited=decisions.measure(awaited, extent.populations, repeats, quick=quick),
        batches=batches.measure(extent.batches, repeats, quick=quick),
        several=several.measure(repeats, quick=quick),
        refusals=refusals.measure(repeats, quick=quick),
        threaded=threads.measure(in_threads, repeats, quick=quick),
        free_threaded=free_threading.measure(quick=quick),
        cases=asyncio.run(cases.measure(every_case, repeats)),
        histories=histories.measure(repeats, quick=quick),
        latencies=latency.measure(extent.growth, repeats),
        imports=importing.measure(extent.imports),
        sizes=memory.measure(peers, extent.keys, extent.many_keys, extent.processes),
    )
    gc.enable()
    return measured
