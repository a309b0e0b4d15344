"""Measures tollbar beside other limiters, in one process and interleaved, and prints the ratios.

    python benches/side_by_side.py [--quick] [--write] [--plot FOLDER]    (or: make bench BENCH_ARGS=...)

Absolute times change from machine to machine; the ratios are the point. Garbage collection is off, every
number is a median over repeats, and every ratio is the median of the ratios within one repeat, so that a slow
minute of the machine meets both sides. Limiters from PyPI that are not installed are named and left out.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import cases
import decisions
import latency
import memory
import ours
import tollbar
from peers import ASYNC_PEERS, PEERS, SYNC_PEERS, missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters import Adapter
    from decisions import Decisions
    from latency import Latencies
    from measuring import Samples
    from memory import Bytes

README = Path(__file__).parent.parent / "README.md"
# The part of the README that belongs to this program.
BEGIN, END = "<!-- measured:", "<!-- end of measured -->"
# What each picture shows, by the name of its file in this folder.
PICTURES = {
    "side_by_side.png": "Time per operation, side by side",
    "latency.png": "How many calls took longer than a given time",
}


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    quick: bool
    repeats: int
    counts: tuple[int, ...]
    growth: int
    keys: int
    many_keys: int
    processes: int


FULL = Extent(
    quick=False,
    repeats=9,
    counts=(1, 1_000, 100_000),
    growth=200_000,
    keys=memory.KEYS,
    many_keys=memory.MANY_KEYS,
    processes=3,
)
QUICK = Extent(
    quick=True, repeats=2, counts=(1, 1_000), growth=5_000, keys=20_000, many_keys=50_000, processes=1
)


@dataclass(frozen=True)
class Measured:
    """All numbers of one run."""

    called: Decisions
    awaited: Decisions
    cases: dict[str, Samples]
    latencies: Latencies
    sizes: Bytes


def measure(extent: Extent, left_out: Sequence[type[Adapter]]) -> Measured:
    """Run everything, without the peers that are left out."""
    called: list[type[Adapter]] = [*ours.SYNC, *(one for one in SYNC_PEERS if one not in left_out)]
    awaited: list[type[Adapter]] = [*ours.ASYNC, *(one for one in ASYNC_PEERS if one not in left_out)]
    peers = [peer for peer in PEERS if peer not in left_out]
    gc.disable()
    measured = Measured(
        decisions.measure(called, extent.counts, extent.repeats, quick=extent.quick),
        decisions.measure(awaited, extent.counts, extent.repeats, quick=extent.quick),
        asyncio.run(cases.measure(cases.all_cases(quick=extent.quick), extent.repeats)),
        latency.measure(extent.growth, extent.repeats),
        memory.measure(peers, extent.keys, extent.many_keys, extent.processes),
    )
    gc.enable()
    return measured


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


def conditions(extent: Extent, arguments: Sequence[str], left_out: Sequence[type[Adapter]]) -> str:
    """Say where and how it was measured."""
    command = " ".join(("python", "benches/side_by_side.py", *arguments))
    return (
        f"Measured with `{command}`: medians of {extent.repeats} interleaved repeats in one process, "
        f"garbage collection off, the cost of the bare loop taken off. {_processor()}, {os.cpu_count()} "
        f"processors, {platform.system()}, {platform.python_implementation()} {platform.python_version()}, "
        f"tollbar {tollbar.__version__} ({tollbar.build_profile}). {_about_peers(left_out)}\n\n"
        "Ratios are to the row in bold type, and for bytes to the first row. Known keys are the same string "
        "objects each time, whose hash Python remembers, which favours dictionaries. limits' moving window "
        "keeps each hit and becomes slower with them; its samples are the shortest. In the row of denials "
        f"the empty async def raises; log lines go to a handler that drops them.{_about_gather()} Single "
        "calls are timed with `perf_counter_ns` around each, whose own cost is the first row and in all "
        "others; quantiles are medians over the repeats, max is the slowest call of all repeats. Bytes are "
        f"the growth of the resident size of a fresh process (median of {extent.processes}) by so many keys "
        f"of {memory.KEY_LENGTH} bytes, each a new string that stays only if the limiter keeps it."
    )


def report(measured: Measured, extent: Extent, notes: str) -> str:
    """Write all tables and what is to be said about them."""
    tables = (
        "**Called**, a limit for each key that is never reached",
        decisions.table(measured.called, ours.Limiter.name),
        "**Awaited**, the same",
        decisions.table(measured.awaited, ours.RateLimiter.name),
        "**Other cases**",
        cases.table(measured.cases),
        "**Single calls**",
        latency.table(measured.latencies),
        "**Memory**",
        memory.table(measured.sizes, extent.keys),
    )
    return "\n\n".join((*tables, notes)) + "\n"


def publish(text: str, readme: Path = README) -> None:
    """Replace what an earlier run put between the README's two markers."""
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    marker, rest = rest.split("\n", 1)
    _, after = rest.split(END)
    pictures = "\n".join(f"![{shows}](benches/{name})" for name, shows in PICTURES.items())
    readme.write_text(f"{before}{BEGIN}{marker}\n{text}\n{pictures}\n{END}{after}", encoding="utf-8")


def plot(folder: Path, measured: Measured) -> None:
    """Draw both pictures into a folder."""
    from picture import draw_latency, draw_side_by_side  # noqa: PLC0415 - only a plot needs matplotlib

    side_by_side, single_calls = PICTURES
    draw_side_by_side(folder / side_by_side, measured.called, measured.awaited, measured.cases)
    draw_latency(folder / single_calls, measured.latencies)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="tollbar beside other limiters, as ratios")
    parser.add_argument(
        "--quick", action="store_true", help="show that everything runs; the numbers are weak"
    )
    parser.add_argument("--write", action="store_true", help="put tables and plots into the README")
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="write PNGs into it")
    options = parser.parse_args(arguments)
    if options.quick and options.write:
        parser.error("--quick numbers are not worth writing down")
    if options.write:
        options.plot = options.plot or Path(__file__).parent
    return options


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and write what is asked for."""
    options = _options(arguments)
    if tollbar.build_profile == "debug":
        print(
            "This is a debug build of tollbar: its times mean nothing. Install a release build.",
            file=sys.stderr,
        )
        return 2
    left_out = missing()
    for peer, reason in left_out.items():
        print(f"left out: {peer.name} ({reason})", file=sys.stderr)
    # The lines are formatted by nobody, but every limiter goes through the logger as it would in a service.
    logging.getLogger("tollbar").addHandler(logging.NullHandler())
    logging.getLogger("tollbar").propagate = False
    extent = QUICK if options.quick else FULL
    measured = measure(extent, list(left_out))
    text = report(measured, extent, conditions(extent, arguments, list(left_out)))
    print(text)
    if options.write:
        publish(text)
    if options.plot is not None:
        plot(options.plot, measured)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
