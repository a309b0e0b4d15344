"""The README's guarantees as a table: each row runs a check that fails when its guarantee is broken.

PROOF=short, usual or long says how much each of them does. Amounts in the table are what the checks say
that they did.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parent.parent
SIZE = os.environ.get("PROOF") or "usual"
# A check that hangs has failed.
PATIENCE = {"short": 600, "usual": 1800, "long": 6 * 3600}
LOOM = {"RUSTFLAGS": "--cfg loom", "CARGO_TARGET_DIR": str(ROOT / "target/loom")}
SHUTTLE = {"RUSTFLAGS": "--cfg loom --cfg shuttle", "CARGO_TARGET_DIR": str(ROOT / "target/shuttle")}

DID = re.compile(r"\bproof: (\d+) (.+)")
RATIO = re.compile(r"\bratio: (.+)")
SEEN = re.compile(r"\bseen: (.+)")
RUST_PASSED = re.compile(r"^test result: ok\. (\d+) passed", re.MULTILINE)
PYTHON_PASSED = re.compile(r"\b(\d+) passed\b")
INPUTS = re.compile(r"^--- (\w+)$|number_of_executed_units: (\d+)", re.MULTILINE)
GO_PASSED = re.compile(r"^passed .* go: (.+)$", re.MULTILINE)


@dataclass
class Result:
    """What a check did, and how it ended."""

    amounts: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    failure: str = ""
    skipped: bool = False
    output: str = ""


@dataclass
class Row:
    """A guarantee and one check of it."""

    guarantee: str
    name: str
    check: Callable[[], Result]


def told(command: Sequence[str | Path], **environment: str) -> tuple[int, str]:
    """Run a command; give its return code and all that it printed."""
    known = {**os.environ, "PROOF": SIZE, **environment}
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=known,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=PATIENCE[SIZE],
        )
    except subprocess.TimeoutExpired:
        return 1, f"did not end within {PATIENCE[SIZE]} s"
    except OSError as error:
        return 1, str(error)
    return done.returncode, done.stdout


def judged(code: int, output: str, passed: re.Pattern[str] | None) -> Result:
    """Read what a check printed. One that says nothing of what it did has proved nothing."""
    did: Counter[str] = Counter()
    for count, what in DID.findall(output):
        did[what.strip()] += int(count)
    result = Result(seen=SEEN.findall(output), output=output)
    result.amounts = [f"{count:,} {what}" for what, count in did.items()] + RATIO.findall(output)
    tests = sum(map(int, passed.findall(output))) if passed else 0
    if tests:
        result.amounts.append(f"{tests} test{'s' * (tests > 1)}")
    if code:
        result.failure = f"ended with {code}"
    elif not result.amounts:
        result.failure = "nothing was tried"
    return result


def rust(*which: str, **environment: str) -> Result:
    command = ["cargo", "test", *which, "--", "--nocapture"]
    return judged(*told(command, **environment), RUST_PASSED)


def loom() -> Result:
    return rust("--release", "--lib", "modelled", **LOOM)


def shuttle() -> Result:
    return rust("--release", "--lib", "shuffled", **SHUTTLE)


def python(*files: str, **environment: str) -> Result:
    """Run files of the Python suite on the interpreter that runs this, into which the package was built."""
    tests = [f"tests/python/{file}" for file in files]
    return judged(*told([sys.executable, "-m", "pytest", "-q", *tests], **environment), PYTHON_PASSED)


def of(usual: int) -> str:
    """So much, or ten times less or more."""
    return str({"short": usual // 10, "usual": usual, "long": usual * 10}[SIZE])


def fuzzed() -> Result:
    """Give each target arbitrary input for a while, from the corpus that is kept on."""
    seconds = of(60)
    code, output = told([sys.executable, "tests/fuzz.py", "--seconds", seconds])
    result = judged(code, output, None)
    found = INPUTS.findall(output)
    targets = [target for target, _ in found if target]
    counts = [int(count) for _, count in found if count]
    result.amounts = [f"{count:,} inputs to {name}" for name, count in zip(targets, counts, strict=False)]
    if not code:
        result.failure = "" if targets and len(targets) == len(counts) else "not every target was tried"
    return result


def from_c() -> Result:
    return judged(*told([sys.executable, "tests/c/run.py"]), PYTHON_PASSED)


def sanitized() -> Result:
    return judged(*told([sys.executable, "tests/sanitized.py"]), None)


def from_go() -> Result:
    missing = [tool for tool in ("go", "pkg-config") if shutil.which(tool) is None]
    if missing:
        return Result(skipped=True, failure=f"{missing[0]} is not here")
    code, output = told([sys.executable, "tests/go/run.py"])
    result = judged(code, output, None)
    result.amounts = GO_PASSED.findall(output)
    if not code:
        result.failure = "" if result.amounts else "nothing was tried"
    return result


def proxy() -> Result:
    """A real proxy under clients that misbehave, which ends with 1 where anything is off."""
    with tempfile.TemporaryDirectory() as folder:
        told_by = Path(folder) / "proxy.json"
        code, output = told([sys.executable, "-m", "examples.proxy", "--seconds", of(60), "--json", told_by])
        result = judged(code, output, None)
        if not code:
            run = json.loads(told_by.read_text(encoding="utf-8"))
            result.failure = ""
            result.amounts = [f"{run['accounts']:,} accounts, {run['admitted']:,} messages exact"]
    return result


@cache
def built(bench: str) -> Path:
    """Where a benchmark is, built if need be."""
    command = [
        "cargo",
        "build",
        "--quiet",
        "--profile",
        "quick",
        "--bench",
        bench,
        "--message-format",
        "json",
    ]
    lines = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.splitlines()
    for line in lines:
        made = json.loads(line)
        if made.get("executable") and made["target"]["name"] == bench:
            return Path(made["executable"])
    raise RuntimeError(f"cargo made no {bench}")


def ratio(case: str) -> Result:
    return judged(*told([built("hostile"), case]), None)


def system_calls(case: str, count: int) -> int:
    """How many a run of so many decisions makes, all threads, by strace's summary."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "summary"
        code, output = told(["strace", "-f", "-c", "-o", out, built("decisions"), case, str(count)])
        if code:
            raise RuntimeError(output.strip()[-200:])
        # percent, seconds, microseconds a call, calls, perhaps errors, "total"
        return int(out.read_text().splitlines()[-1].split()[3])


def no_system_call() -> Result:
    """A million more decisions make no more system calls than a thousand."""
    if shutil.which("strace") is None:
        return Result(skipped=True, failure="strace is not here")
    result = Result()
    more = {"short": 100_000, "usual": 1_000_000, "long": 10_000_000}[SIZE]
    for case in ("hot", "thousand", "handle", "batch"):
        few, many = system_calls(case, 1_000), system_calls(case, 1_000 + more)
        result.amounts.append(f"{case}: {many - few} calls in {more:,} more decisions")
        if few < 10:
            result.failure = f"strace saw {few} calls of a whole process"
        if many != few:
            result.failure = f"{case}: {many} system calls for {few}"
    return result


def by_rust(guarantee: str, *files: str) -> list[Row]:
    return [Row(guarantee, f"tests/{file}.rs", partial(rust, "--test", file)) for file in files]


def inside(guarantee: str, file: str, tests: str) -> list[Row]:
    return [Row(guarantee, file, partial(rust, "--lib", tests))]


def by_python(guarantee: str, *files: str) -> list[Row]:
    return [Row(guarantee, f"tests/python/{file}", partial(python, file)) for file in files]


def rows() -> list[Row]:
    anything = partial(python, "test_arbitrary.py", TOLLBAR_EXAMPLES=of(5_000))
    forks = partial(python, "test_processes.py", TOLLBAR_FORKS=of(500))
    return [
        *by_rust("never over the limit, no token lost", "oracle", "threads"),
        *inside("the same by the real clock, replayed", "src/table/replayed.rs", "table::replayed"),
        Row("the same in all interleavings", "src/table/modelled.rs", loom),
        *by_rust("several limits", "composite_oracle", "composite_threads"),
        Row("several limits, in random schedules", "src/limiter/shuffled.rs", shuttle),
        *by_rust("equal limits change nothing", "unchanged"),
        *by_rust("a change of limits forgives nothing", "never_forgets", "set_limits"),
        *inside("a change of limits forgives nothing", "src/account/dormant_tests.rs", "account::dormant"),
        *by_rust("a log costs requests, not units", "composite_memory"),
        *by_python("a cancel never mints", "test_reservations.py"),
        *by_rust("turns come in order", "waiting"),
        *by_python("turns come in order", "test_waiting.py"),
        *by_rust("turns of several keys come in order", "wait_all_oracle"),
        *by_rust("together or not at all", "together"),
        *by_rust("strict is strict", "hour"),
        *inside("exact rates", "src/limit/rate.rs", "limit::rate"),
        *inside("the clock may step", "src/table/tests.rs", "table::tests"),
        *by_python("the clock may step", "test_token_bucket.py"),
        *inside("windows are exact", "src/limit/runs.rs", "limit::runs"),
        *by_rust("windows are exact", "windows_oracle", "access_oracle", "jail_oracle"),
        *by_python("windows are exact", "test_windows_original.py"),
        *by_rust("never told 429", "pacing_oracle", "pacing_network", "pacing"),
        *by_python("nothing accepted is lost", "test_dispatch_cancelled.py", "test_dispatch_threads.py"),
        *by_rust("eviction does not forgive, memory is bounded", "flood"),
        *by_rust("known keys cost nothing but time", "cost"),
        Row("known keys cost nothing but time", "benches/decisions.rs under strace", no_system_call),
        *by_python("known keys cost nothing but time", "test_cost.py"),
        Row("nobody chooses colliding keys", "benches/hostile.rs collide", partial(ratio, "collide")),
        Row("a hot key is its own affair", "benches/hostile.rs hot", partial(ratio, "hot")),
        *by_python("answers as the original", "test_original.py"),
        *by_python("bad input does nothing", "test_keys.py", "test_rate_limiter.py"),
        Row("no panic crosses the boundary", "tests/python/test_arbitrary.py", anything),
        Row("no panic crosses the boundary", "fuzz/fuzz_targets", fuzzed),
        Row("no memory is misused or lost", "tests/sanitized.py", sanitized),
        Row("nothing from C is a crash", "tests/c", from_c),
        Row("the same from Go", "go", from_go),
        Row("each process its own budget", "tests/python/test_processes.py", forks),
        *by_python("each process its own budget", "test_forks.py", "test_servers.py"),
        Row("exact in a real proxy, nothing left open", "examples/proxy", proxy),
        *by_rust("one answer in every language", "vectors"),
        *by_python("each known hazard has its test", "test_hazards.py"),
    ]


def build() -> bool:
    """Build all that the rows run, so that their times are their own."""
    commands: list[tuple[list[str | Path], dict[str, str]]] = [
        (["cargo", "test", "--quiet", "--no-run", "--lib", "--tests"], {}),
        (["cargo", "test", "--quiet", "--no-run", "--release", "--lib"], LOOM),
        (["cargo", "test", "--quiet", "--no-run", "--release", "--lib"], SHUTTLE),
    ]
    for command, environment in commands:
        if subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode:
            return False
    return bool(built("decisions") and built("hostile"))


def tried(row: Row) -> Result:
    try:
        return row.check()
    except Exception as error:  # noqa: BLE001 - a check that breaks down is a failed row, and the others go on
        return Result(failure=f"{type(error).__name__}: {error}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="TEXT", default="", help="only rows that contain this")
    wanted = parser.parse_args().only
    if SIZE not in PATIENCE:
        parser.error(f"PROOF must be short, usual or long, not {SIZE}")
    chosen = [row for row in rows() if wanted in f"{row.guarantee} {row.name}"]
    begun = time.monotonic()
    print(f"building, then {len(chosen)} checks, size: {SIZE}", flush=True)
    if not build():
        return 1

    lines = ["| guarantee | check | done | result |", "| --- | --- | --- | --- |"]
    failed = 0
    for number, row in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {row.guarantee}: {row.name} ...", end=" ", flush=True)
        start = time.monotonic()
        result = tried(row)
        verdict = (
            f"{'not tried' if result.skipped else 'FAILED'}: {result.failure}" if result.failure else "holds"
        )
        print(f"{verdict}, {time.monotonic() - start:.0f} s", flush=True)
        for seen in result.seen:
            print(f"    {seen}")
        if result.failure and not result.skipped:
            failed += 1
            print(result.output[-20_000:], flush=True)
        lines.append(f"| {row.guarantee} | `{row.name}` | {'; '.join(result.amounts)} | {verdict} |")
    print("", *lines, "", sep="\n")
    print(
        f"{len(chosen) - failed} of {len(chosen)} rows hold or were not tried, {failed} failed, "
        f"after {time.monotonic() - begun:.0f} s"
    )
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
