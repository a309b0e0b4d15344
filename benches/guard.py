"""Guards the cost of a decision by counting its instructions, which no busy machine can change.

    python benches/guard.py [--write]    (or: make bench-guard)

Each case runs N and 3N times under callgrind; half the difference over N is what one more call executes,
start-up and first sights taken off. The counts are compared with those in benches/instructions.json. A build
that needs more than the tolerance is refused; one that needs much less asks for new numbers (--write), so
that the gain is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "benches" / "instructions.json"
# The hash is keyed at random, so searches differ a little from run to run; first sights also grow the table.
TOLERANCE = {"first-sight": 0.15, "full": 0.15}
USUAL_TOLERANCE = 0.05
RUST_CASES = {
    "allowed": 20_000,
    "denied": 20_000,
    "two-limits": 20_000,
    "first-sight": 10_000,
    "full": 10_000,
}
PYTHON_CASES = {"loop": 10_000, "try_acquire": 10_000, "await_acquire": 10_000, "await_denied": 10_000}


def rust_program() -> Path:
    """Build the Rust cases as they are released and return the program."""
    command = ["cargo", "build", "--release", "--bench", "instructions", "--message-format=json"]
    told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    for line in told.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message.get("target", {}).get("name") == "instructions":
            return Path(message["executable"])
    raise RuntimeError("cargo built no program")


def instructions(command: list[str | Path]) -> int:
    """Count what one run of the command executes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        subprocess.run([*tool, *command], cwd=ROOT, env=environment, capture_output=True, check=True)  # noqa: S603
        for line in out.read_text().splitlines():
            if line.startswith(("summary:", "totals:")):
                return int(line.split()[1])
    raise RuntimeError("callgrind told no total")


def per_call(command: list[str | Path], case: str, count: int) -> float:
    """Count what one more call executes."""
    once, thrice = (instructions([*command, case, str(times)]) for times in (count, 3 * count))
    return (thrice - once) / (2 * count)


def measure() -> dict[str, dict[str, float]]:
    """Count every case; Python's are what the call costs beyond a bare loop."""
    rust = rust_program()
    counts = {"rust": {case: per_call([rust], case, count) for case, count in RUST_CASES.items()}}
    python: list[str | Path] = [sys.executable, ROOT / "benches" / "one_call.py"]
    calls = {case: per_call(python, case, count) for case, count in PYTHON_CASES.items()}
    loop = calls.pop("loop")
    version = f"{platform.python_implementation()} {platform.python_version()}"
    counts[version] = {case: count - loop for case, count in calls.items()}
    return counts


def compare(counts: dict[str, dict[str, float]], kept: dict[str, dict[str, float]]) -> list[str]:
    """Print every case beside its kept number and return what is wrong."""
    wrong = []
    for where, cases in counts.items():
        if where not in kept:
            print(f"{where}: no numbers kept, not compared")
            continue
        for case, count in cases.items():
            before, tolerance = kept[where][case], TOLERANCE.get(case, USUAL_TOLERANCE)
            change = count / before - 1
            print(f"{where:16} {case:14} {count:8.0f} instructions, {change:+.1%} against {before:.0f}")
            if change > tolerance:
                wrong.append(f"{where} {case}: {change:+.1%}, more than {tolerance:.0%}")
            elif change < -2 * tolerance:
                wrong.append(f"{where} {case}: {change:+.1%}: write the better number down")
    return wrong


def main() -> int:
    """Measure, then compare or write."""
    parser = argparse.ArgumentParser(description="guards the cost of a decision by counting instructions")
    parser.add_argument("--write", action="store_true", help="keep these counts as the numbers to guard")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("valgrind is not here: instruction counts are not guarded", file=sys.stderr)
        return 0
    counts = measure()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    if options.write:
        rounded = {
            where: {case: round(count) for case, count in cases.items()} for where, cases in counts.items()
        }
        KEPT.write_text(json.dumps({**kept, **rounded}, indent=2) + "\n")
        print(KEPT.read_text())
        return 0
    wrong = compare(counts, kept)
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{sum(map(len, counts.values())) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
