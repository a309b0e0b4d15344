"""Measures tollbar beside the plain asyncio limiters, in one process and interleaved, and prints the ratios.

    python benches/side_by_side.py [--quick] [--write] [--plot FILE]    (or: make bench BENCH_ARGS=...)

Absolute times change from machine to machine; the ratios are the point. Garbage collection is off, every
number is a median over repeats, and every ratio is the median of the ratios within one repeat, so that a slow
minute of the machine meets both sides.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import platform
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tollbar
from cases import CONTENDERS, FLOOR, Case, all_cases
from tollbar.demo.contenders import ACCOUNT_LOCK, GLOBAL_LOCK, TOLLBAR

if TYPE_CHECKING:
    from collections.abc import Sequence

REPEATS = 9
QUICK_REPEATS = 2
README = Path(__file__).parent.parent / "README.md"
PICTURE = Path(__file__).with_name("side_by_side.png")
# The part of the README that belongs to this program.
BEGIN, END = "<!-- measured:", "<!-- end of measured -->"

# Of one case: nanoseconds per operation of every repeat, by contender.
Samples = dict[str, list[float]]


async def measure(cases: Sequence[Case], repeats: int) -> dict[str, Samples]:
    """Sample every case and contender once a repeat, beginning with another contender each time."""
    samples: dict[str, Samples] = {case.name: {one.name: [] for one in CONTENDERS} for case in cases}
    for repeat in range(repeats):
        start = repeat % len(CONTENDERS)
        for case in cases:
            for contender in CONTENDERS[start:] + CONTENDERS[:start]:
                gc.collect()
                samples[case.name][contender.name].append(await case.sample(contender))
        print(f"repeat {repeat + 1} of {repeats}", file=sys.stderr)
    return samples


def ratio(samples: Samples, over: str, under: str) -> float:
    """How many times the one takes what the other takes: the median over repeats."""
    return statistics.median(a / b for a, b in zip(samples[over], samples[under], strict=True))


def table(measured: dict[str, Samples]) -> str:
    """Write the Markdown table."""
    ratios_of = ("global lock / tollbar", "lock per account / tollbar", "tollbar / empty async def")
    headings = ["case", *(f"{one.name}, ns" for one in CONTENDERS), *ratios_of]
    lines = [f"| {' | '.join(headings)} |", "| --- |" + " ---: |" * (len(headings) - 1)]
    for case, samples in measured.items():
        medians = " | ".join(f"{statistics.median(samples[one.name]):,.0f}" for one in CONTENDERS)
        ratios = (
            ratio(samples, GLOBAL_LOCK.name, TOLLBAR.name),
            ratio(samples, ACCOUNT_LOCK.name, TOLLBAR.name),
            ratio(samples, TOLLBAR.name, FLOOR.name),
        )
        lines.append(f"| {case} | {medians} | {ratios[0]:,.1f} | {ratios[1]:,.1f} | {ratios[2]:,.2f} |")
    return "\n".join(lines)


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


def conditions(repeats: int, arguments: Sequence[str]) -> str:
    """Say where and how it was measured."""
    command = " ".join(("python", "benches/side_by_side.py", *arguments))
    return (
        f"Measured with `{command}`: medians of {repeats} interleaved repeats, garbage collection off, the "
        f"cost of the bare loop taken off. {_processor()}, {os.cpu_count()} processors, {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}, tollbar {tollbar.__version__} "
        f"({tollbar.build_profile}). In the row of denials the empty async def raises; log lines go to a "
        "handler that drops them." + _about_gather()
    )


def publish(text: str) -> None:
    """Replace what an earlier run put between the README's two markers."""
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    marker, rest = rest.split("\n", 1)
    _, after = rest.split(END)
    picture = f"![Time per operation, side by side](benches/{PICTURE.name})"
    README.write_text(f"{before}{BEGIN}{marker}\n{text}\n{picture}\n{END}{after}", encoding="utf-8")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="tollbar beside plain asyncio limiters, as ratios")
    parser.add_argument(
        "--quick", action="store_true", help="show that everything runs; the numbers are weak"
    )
    parser.add_argument("--write", action="store_true", help="put table and plot into the README")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a PNG")
    options = parser.parse_args(arguments)
    if options.quick and options.write:
        parser.error("--quick numbers are not worth writing down")
    if options.write:
        options.plot = options.plot or PICTURE
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
    repeats = QUICK_REPEATS if options.quick else REPEATS
    # The lines are formatted by nobody, but every limiter goes through the logger as it would in a service.
    logging.getLogger("tollbar").addHandler(logging.NullHandler())
    logging.getLogger("tollbar").propagate = False
    gc.disable()
    measured = asyncio.run(measure(all_cases(quick=options.quick), repeats))
    gc.enable()
    text = f"{table(measured)}\n\n{conditions(repeats, arguments)}\n"
    print(text)
    if options.write:
        publish(text)
    if options.plot is not None:
        from picture import draw  # noqa: PLC0415 - only a plot needs matplotlib

        draw(
            options.plot,
            {
                case: {name: statistics.median(values) for name, values in samples.items()}
                for case, samples in measured.items()
            },
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
