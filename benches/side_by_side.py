"""Measures tollbar beside other limiters, in one process and interleaved, and prints the ratios.

    python benches/side_by_side.py [--quick] [--write] [--plot FOLDER]    (or: make bench BENCH_ARGS=...)

Absolute times change from machine to machine; the ratios are the point. Garbage collection is off, every
number is a median over repeats, and every ratio is the median of the ratios within one repeat, so that a slow
minute of the machine meets both sides. Limiters from PyPI that are not installed are named and left out.
"""

from __future__ import annotations

import argparse
import logging
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import bars
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
import occasions
import ours
import refusals
import rust_peers
import several
import threads
import tollbar
from call_bars import CALL_BARS
from everything import FULL, QUICK, Measured, measure
from notes import conditions
from occasions import Run
from peers import missing
from readme import PICTURES, publish
from rust_bars import RUST_BARS

if TYPE_CHECKING:
    from collections.abc import Sequence

BARS = (*bars.PYTHON_BARS, *RUST_BARS, *CALL_BARS)


def report(measured: Measured, runs: Sequence[Run], keys: int, notes: str) -> str:
    """Write all tables and what is to be said about them; the bars come first."""
    parts = [
        "**Where tollbar has to be**: ratios, this run's in the last column; bold: above the bar",
        bars.table(BARS, bars.interpreter(), runs),
        "**Called**, a limit for each key that is never reached",
        decisions.table(measured.called, ours.Limiter.name),
        "**Awaited**, the same",
        decisions.table(measured.awaited, ours.RateLimiter.name),
        "**Other cases**",
        cases.table(measured.cases),
        "**Batches, several limits, denials, imports**",
        batches.table(measured.batches),
        several.table(measured.several),
        refusals.table(measured.refusals),
        importing.table(measured.imports),
        "**A send under limits per minute, hour and day**",
        histories.table(measured.histories),
        "**Threads**",
        threads.table(measured.threaded),
        free_threading.table(measured.free_threaded),
        "**Single calls**",
        latency.table(measured.latencies),
        "**Memory**",
        memory.table(measured.sizes, keys),
    ]
    if measured.rust is not None:
        parts += ["**In Rust**, beside the crate governor", rust_peers.table(measured.rust)]
    if measured.calls is not None:
        parts += ["**Called from C**, beside the same in Rust", calls.table(measured.calls)]
    if measured.go is not None:
        parts += ["**Called from Go**", go_calls.table(measured.go)]
    return "\n\n".join((*parts, notes)) + "\n"


def occasion(measured: Measured, *, quick: bool) -> Run:
    """Take the bars' ratios out of a run, under the time of now."""
    today = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
    return Run(f"{today}, quick" if quick else today, bars.values(BARS, bars.interpreter(), measured))


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
    run = occasion(measured, quick=options.quick)
    kept = occasions.added(occasions.load(), bars.interpreter(), run)
    text = report(
        measured, kept[bars.interpreter()], extent.keys, conditions(extent, arguments, list(left_out))
    )
    print(text)
    if options.write:
        occasions.save(kept)
        publish(text)
    if options.plot is not None:
        plot(options.plot, measured)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
