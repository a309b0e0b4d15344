"""One decision from Go, beside an empty call into C and x/time/rate: runs benches/go, reads what it prints.

    python benches/go_calls.py [--quick]

Needs cargo, Go, a C compiler and pkg-config, and the network at the first build.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import markdown, progress, shown_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
RUNNER = ROOT / "tests" / "go" / "run.py"
# The library as it is released stands here already, when calls from C were measured.
TARGET = ROOT / "target" / "calls"

SINGLE = "TryAcquire by an empty call and the C call"
BATCH = "TryAcquireMany by x/time/rate in a sync.Map"


@dataclass(frozen=True)
class GoCalls:
    """Medians in nanoseconds per decision, and ratios: medians of the ratios within a repeat."""

    version: str
    nanos: dict[str, float]
    ratios: dict[str, float]


def parsed(text: str) -> GoCalls:
    """Read what the program prints."""
    told = json.loads(text[text.index("{") :])
    ratios = {one["name"]: one["ratio"] for one in told["ratios"]}
    return GoCalls(told["go"], told["ns_per_decision"], ratios)


def measure(*, quick: bool) -> GoCalls | None:
    """Build and run the program; None, and a line that says why, where it cannot be built."""
    progress("calls from Go")
    for tool in ("cargo", "go", "cc", "pkg-config"):
        if shutil.which(tool) is None:
            print(f"left out: calls from Go ({tool} is not here)", file=sys.stderr)
            return None
    command = [sys.executable, str(RUNNER), "--bench", *(["--quick"] if quick else [])]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
    told = subprocess.run(  # noqa: S603 - a program of our own
        command, env=environment, capture_output=True, text=True, check=False
    )
    if told.returncode != 0:
        print(f"left out: calls from Go ({told.stderr.strip()[-300:]})", file=sys.stderr)
        return None
    return parsed(told.stdout)


def table(calls: GoCalls) -> str:
    """Write the Markdown tables: medians, and ratios."""
    shown = [(name, nanos) for name, nanos in calls.nanos.items() if not name.startswith("loop")]
    spent = markdown(["a call, ns", calls.version], [[name, f"{nanos:.1f}"] for name, nanos in shown])
    ratios = markdown(
        ["from Go", "ratio"], [[name, shown_ratio(value)] for name, value in calls.ratios.items()]
    )
    return f"{spent}\n\n{ratios}"


def main(arguments: Sequence[str]) -> int:
    """Measure and print the tables."""
    calls = measure(quick="--quick" in arguments)
    if calls is None:
        return 1
    print(table(calls))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
