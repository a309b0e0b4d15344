"""What is to be said about the numbers: where they come from, and what they do not say."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import memory
import tollbar
from peers import PEERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters import Adapter
    from everything import Extent


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _about_gather() -> str:
    """Say so when tollbar's awaitables are one object: then `gather` has only one thing to await."""
    limiter = tollbar.RateLimiter()
    if limiter.acquire("one") is not limiter.acquire("another"):
        return ""
    return " Admitted acquires of tollbar are one and the same awaitable, for which gather makes one task."


def _about_peers(left_out: Sequence[type[Adapter]]) -> str:
    here = {peer.distribution for peer in PEERS if peer not in left_out}
    absent = {peer.distribution for peer in left_out} - here
    said = [", ".join(f"{name} {version(name)}" for name in sorted(here))] if here else []
    if absent:
        said.append(f"not measured, for they are not here: {', '.join(sorted(absent))}")
    return f"Peers: {'; '.join(said)}."


def _about_many_keys(extent: Extent, left_out: Sequence[type[Adapter]]) -> str:
    """Name the peers that are not asked about as many keys as there are."""
    most = max(population.count for population in extent.populations)
    absent = [peer.name for peer in PEERS if peer.keys_at_most < most and peer not in left_out]
    if not absent:
        return ""
    return (
        f" Left out at {most:,} keys, which would take them ten seconds or a gigabyte to get to know: "
        f"{'; '.join(absent)}."
    )


def _where(extent: Extent, arguments: Sequence[str], left_out: Sequence[type[Adapter]]) -> str:
    command = " ".join(("python", "benches/side_by_side.py", *arguments))
    return (
        f"Measured with `{command}`: medians of {extent.repeats} interleaved repeats in one process, "
        f"garbage collection off, the cost of the bare loop taken off. {_processor()}, {os.cpu_count()} "
        f"processors, {platform.system()}, {platform.python_implementation()} {platform.python_version()}, "
        f"tollbar {tollbar.__version__} ({tollbar.build_profile}). {_about_peers(left_out)}"
    )


def _about_keys(extent: Extent, left_out: Sequence[type[Adapter]]) -> str:
    return (
        "Ratios are to the row in bold type, and for bytes to the first row. Known keys are the same string "
        "objects each time, whose hash Python remembers, which favours dictionaries. Each key is visited as "
        "often as any other, in no order; where it says Zipf, the key of rank r in proportion to 1/r."
        f"{_about_many_keys(extent, left_out)} limits' moving window keeps each hit and becomes slower with "
        "them; its samples are the shortest."
    )


def _about_cases() -> str:
    return (
        "In the row of denials the empty async def raises; log lines go to a handler that drops them."
        f"{_about_gather()} Tasks await their acquires one after the other; making the tasks counts. Two "
        "threads split the decisions that one thread makes; times are per decision of all threads together. "
        "Without the interpreter's lock each thread has a processor and strings of its own; throughput is "
        "in proportion to that of two threads with a limiter each."
    )


def _about_calls(extent: Extent) -> str:
    return (
        "Single calls are timed with `perf_counter_ns` around each, whose own cost is the first row and in "
        "all others, but taken off in the first table; quantiles are medians over the repeats, max is the "
        f"slowest call of all repeats. Imports are medians of {extent.imports} fresh processes. Bytes are "
        f"the growth of the resident size of a fresh process (median of {extent.processes}) by so many keys "
        f"of {memory.KEY_LENGTH} bytes, each a new string that stays only if the limiter keeps it."
    )


def _about_parts() -> str:
    return (
        "The parts alone are what no decision in Rust can do without, in the place of a limiter: the hash of "
        "the key, a look at an account whose place is known, a comparison of keys, a coarse reading of the "
        "clock, and a swap of the account's word. Searching and counting come on top. A precise reading of "
        "the clock, which governor takes, costs more on some machines than on others, so the ratios differ: "
        "where it is cheap, the parts alone come near the bars."
    )


def _about_bars() -> str:
    return (
        "Why what is above its bar is not below: of the decisions in Rust, see the parts alone; at 100,000 "
        "keys and more, memory decides, and times vary with where things happen to lie. From Python 3.12 on "
        "an `await` takes its answer from a StopIteration, which the interpreter has to fetch and to "
        "recognise; and without the interpreter's lock each thread has to look for an awaitable of its own. "
        "An `async def` does neither."
    )


def conditions(extent: Extent, arguments: Sequence[str], left_out: Sequence[type[Adapter]]) -> str:
    """Say where and how it was measured."""
    said = (
        _where(extent, arguments, left_out),
        _about_keys(extent, left_out),
        _about_cases(),
        _about_calls(extent),
        _about_parts(),
        _about_bars(),
    )
    return "\n\n".join(said)
