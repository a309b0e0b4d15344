"""One decision in Rust, beside the crate governor: builds and runs benches/governor and reads what it prints.

    python benches/rust_peers.py [--quick]

Needs cargo, and the network at the first build. What is measured how stands in benches/governor/src/main.rs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from measuring import markdown, shown_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MANIFEST = Path(__file__).resolve().parent / "governor" / "Cargo.toml"


@dataclass(frozen=True)
class Row:
    """Nanoseconds per decision of both sides: medians, and the median of the ratios within a repeat."""

    what: str
    keys: int
    order: str
    threads: int
    ours_ns: float
    theirs_ns: float
    ratio: float


@dataclass(frozen=True)
class Quantiles:
    """Nanoseconds of single calls."""

    median: float
    p99: float
    p99_9: float
    p99_99: float
    max: float
    p99_9_by_median: float


@dataclass(frozen=True)
class Growth:
    """First sights while a table grows from empty to so many keys; `clock` is what timing them costs."""

    keys: int
    ours: Quantiles
    theirs: Quantiles
    clock: Quantiles


@dataclass(frozen=True)
class FirstSights:
    """First sights of tollbar alone, in tables of so many keys."""

    keys: int
    empty: Quantiles
    full_of_idle: Quantiles
    full_of_debtors: Quantiles


@dataclass(frozen=True)
class BytesPerKey:
    """Resident bytes per key, None where the system does not tell."""

    keys: int
    ours: float | None
    theirs: float | None


@dataclass(frozen=True)
class RustMeasured:
    """All numbers of one run."""

    governor: str
    tollbar: str
    cores: int
    repeats: int
    rows: tuple[Row, ...]
    growth: Growth
    first_sight: FirstSights
    bytes: BytesPerKey


_T = TypeVar("_T")


def _picked(kind: type[_T], told: Mapping[str, Any], **read: object) -> _T:
    """Make a dataclass of its fields in a JSON object; what was read further is given by name."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # it is always a dataclass
    return kind(**{name: read.get(name, told[name]) for name in names})


def _quantiles(told: Mapping[str, Any], *names: str) -> dict[str, object]:
    return {name: _picked(Quantiles, told[name]) for name in names}


def parsed(text: str) -> RustMeasured:
    """Read what the program prints."""
    told = json.loads(text)
    growth, first_sight = told["growth"], told["first_sight"]
    return _picked(
        RustMeasured,
        told,
        rows=tuple(_picked(Row, row) for row in told["rows"]),
        growth=_picked(Growth, growth, **_quantiles(growth, "ours", "theirs", "clock")),
        first_sight=_picked(
            FirstSights, first_sight, **_quantiles(first_sight, "empty", "full_of_idle", "full_of_debtors")
        ),
        bytes=_picked(BytesPerKey, told["bytes"]),
    )


def _left_out(reason: str) -> None:
    print(f"left out: governor ({reason})", file=sys.stderr)


def measure(*, quick: bool) -> RustMeasured | None:
    """Build and run the program; None, and a line that says why, where it cannot be built."""
    cargo = shutil.which("cargo")
    if cargo is None:
        _left_out("cargo is not here")
        return None
    target = ["--release", "--quiet", "--manifest-path", str(MANIFEST)]
    print("building benches/governor", file=sys.stderr)
    built = subprocess.run(  # noqa: S603 - cargo, and a manifest of our own
        [cargo, "build", *target], stderr=subprocess.PIPE, text=True, check=False
    )
    if built.returncode != 0:
        _left_out(f"it does not build: {built.stderr.strip().split(chr(10), 1)[0]}")
        return None
    # Progress goes to stderr and is not caught. A failure here is one of the benchmark, and is not hidden.
    command = [cargo, "run", *target, "--", *(["--quick"] if quick else [])]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    return parsed(told.stdout)


def _decisions(rows: Sequence[Row]) -> str:
    by_what: dict[tuple[str, int], dict[int, Row]] = {}
    for row in rows:
        what = row.what if row.keys == 1 else f"{row.what}, {row.order}"
        by_what.setdefault((what, row.keys), {})[row.threads] = row
    threads = sorted({row.threads for row in rows})
    headings = ["known keys, in Rust", "keys"]
    for count in threads:
        headings += [f"{count} {'thread' if count == 1 else 'threads'}, ns", "governor", "ratio"]
    lines = []
    for (what, keys), measured in by_what.items():
        line = [what, f"{keys:,}"]
        for count in threads:
            if count in measured:
                row = measured[count]
                line += [f"{row.ours_ns:,.1f}", f"{row.theirs_ns:,.1f}", shown_ratio(row.ratio)]
            else:
                line += ["", "", ""]
        lines.append(line)
    return markdown(headings, lines)


def _first_sights(growth: Growth, full: FirstSights) -> str:
    measured = [
        (f"tollbar, growing to {growth.keys:,} keys", growth.ours),
        (f"governor, growing to {growth.keys:,} keys", growth.theirs),
        (f"tollbar, growing to {full.keys:,} keys", full.empty),
        (f"tollbar, full of {full.keys:,} refilled accounts", full.full_of_idle),
        (f"tollbar, full of {full.keys:,} accounts in debt", full.full_of_debtors),
        ("reading the clock, in all of these", growth.clock),
    ]
    headings = ["first sights, ns", "median", "p99", "p99.9", "p99.99", "max", "p99.9 / median"]
    lines = []
    for what, spent in measured:
        shown = (spent.median, spent.p99, spent.p99_9, spent.p99_99, spent.max)
        lines.append([what, *(f"{nanos:,.0f}" for nanos in shown), shown_ratio(spent.p99_9_by_median)])
    return markdown(headings, lines)


def _bytes(measured: BytesPerKey) -> str:
    if measured.ours is None or measured.theirs is None:
        return "Bytes per key are measured on Linux only."
    ours, theirs = measured.ours, measured.theirs
    headings = ["resident bytes per key", "keys", "tollbar", "governor", "ratio"]
    counts = [f"{measured.keys:,}", f"{ours:,.0f}", f"{theirs:,.0f}", shown_ratio(ours / theirs)]
    return markdown(headings, [["from Rust", *counts]])


def table(measured: RustMeasured) -> str:
    """Write the Markdown tables: known keys, first sights, bytes."""
    parts = (
        _decisions(measured.rows),
        _first_sights(measured.growth, measured.first_sight),
        _bytes(measured.bytes),
    )
    return "\n\n".join(parts)


def main(arguments: Sequence[str]) -> int:
    """Measure and print the tables."""
    measured = measure(quick="--quick" in arguments)
    if measured is None:
        return 1
    print(f"governor {measured.governor}, tollbar {measured.tollbar}\n\n{table(measured)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
