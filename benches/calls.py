"""One decision from C, beside one in Rust: builds and runs both, again and again in turn, and compares.

    python benches/calls.py [--quick]

Needs cargo and a C compiler. What is measured how stands in benches/calls/calls.c and benches/decisions.rs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from measuring import markdown, progress, ratio, rotated, shown_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from measuring import Samples

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "target" / "calls"
SOURCE = ROOT / "benches" / "calls" / "calls.c"

RUST, SHARED, STATIC = "Rust", "C, shared library", "C, static library"
HOT, THOUSAND, HANDLE, BATCH, EMPTY = "hot", "thousand", "handle", "batch", "empty"
CASES = {
    HOT: "decision, 1 key",
    THOUSAND: "decision, 1,000 keys",
    HANDLE: "a handle's decision",
    BATCH: "batch of 100 at 1,000 keys, per key",
    EMPTY: "a call that does nothing",
}
# Nanoseconds per call of every repeat, by case and by side.
Calls = dict[str, "Samples"]


class NotHereError(Exception):
    """Something that is needed for building is not on this machine."""


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise NotHereError(f"{name} is not here")
    return found


def _built(command: Sequence[str | Path]) -> str:
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
    done = subprocess.run(  # noqa: S603 - compilers, and sources of our own
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NotHereError(f"{Path(command[0]).name} cannot build it: {done.stderr.strip()[-300:]}")
    return done.stdout


def library(kind: str) -> Path:
    """Build the library as it is released, as a "cdylib" or a "staticlib", and return its folder."""
    build = ["rustc", "--quiet", "--release", "--lib", "--features", "capi", "--crate-type", kind]
    _built([_tool("cargo"), *build])
    return TARGET / "release"


def c_program(kind: str) -> Path:
    """Build the C program against the shared or the static library."""
    folder, program = library(kind), TARGET / f"calls-{kind}"
    compile_: list[str | Path] = [
        _tool("cc"),
        "-O2",
        "-std=c11",
        f"-I{ROOT / 'include'}",
        SOURCE,
        "-o",
        program,
    ]
    if kind == "cdylib":
        _built([*compile_, f"-L{folder}", "-ltollbar", f"-Wl,-rpath,{folder}"])
    else:
        _built([*compile_, folder / "libtollbar.a", "-lpthread", "-ldl", "-lm"])
    return program


def rust_program() -> Path:
    """Build the Rust program as it is released."""
    told = _built([_tool("cargo"), "build", "--release", "--bench", "decisions", "--message-format=json"])
    for line in told.splitlines():
        message = json.loads(line)
        if message.get("executable") and message.get("target", {}).get("name") == "decisions":
            return Path(message["executable"])
    raise NotHereError("cargo built no program")


def programs() -> dict[str, Path]:
    """Build every side."""
    return {RUST: rust_program(), SHARED: c_program("cdylib"), STATIC: c_program("staticlib")}


def measure(repeats: int, *, quick: bool) -> Calls | None:
    """Run every side once in each repeat; None, and a line that says why, where they cannot be built."""
    progress("calls from C")
    try:
        sides = programs()
    except NotHereError as reason:
        print(f"left out: calls from C ({reason})", file=sys.stderr)
        return None
    calls: Calls = {case: {} for case in CASES}
    count = "2000" if quick else "200000"
    for repeat in range(repeats):
        for side, program in rotated(list(sides.items()), repeat):
            told = subprocess.run([program, count], stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
            for case, nanos in json.loads(told.stdout).items():
                if case in calls:
                    calls[case].setdefault(side, []).append(nanos)
    return calls


def over_rust(calls: Calls, case: str, side: str) -> float:
    """How many times what Rust takes: the median over repeats."""
    return ratio(calls[case], side, RUST)


def table(calls: Calls) -> str:
    """Write the Markdown table."""
    headings = ["a call, ns", RUST, SHARED, "ratio", STATIC, "ratio"]
    lines = []
    for case, what in CASES.items():
        samples = calls[case]
        line = [what, f"{median(samples[RUST]):.1f}" if RUST in samples else ""]
        for side in (SHARED, STATIC):
            compared = shown_ratio(over_rust(calls, case, side)) if RUST in samples else ""
            line += [f"{median(samples[side]):.1f}", compared]
        lines.append(line)
    return markdown(headings, lines)


def main(arguments: Sequence[str]) -> int:
    """Measure and print the table."""
    quick = "--quick" in arguments
    calls = measure(2 if quick else 9, quick=quick)
    if calls is None:
        return 1
    print(table(calls))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
