"""Breaks the core in every small way that cargo-mutants knows, and lists the breaks that no test notices.

    python tests/mutants.py [--minutes N] [--only PART] [--jobs N]    (or: make mutants)

All of it takes hours, so what was found is kept in tests/mutants.json, file by file and with its date. Only
files that have changed since are tried again, those that were never tried first. Each break is tried by the
tests that are about its room, and one that they miss by all tests in Rust. Breaks that change nothing that
anybody could see are listed, with the reason, in tests/mutants.txt.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "tests" / "mutants.json"
REASONS = ROOT / "tests" / "mutants.txt"
TOOL = ROOT / ".venv" / "cargo-mutants" / "bin" / "cargo-mutants"
# Each room with the tests beside its own that are about it: quick ones, for each break is tried by them.
ROOMS = {
    "limit": [],
    "account": ["composite_oracle", "composite_memory", "waiting"],
    "table": ["composite_oracle", "together", "waiting"],
    "policy": ["composite_oracle", "vectors"],
    "limiter": ["composite_oracle", "together", "vectors", "waiting"],
}
# What is compiled for tests and model checkers alone is not what is proved.
NOT_TRIED = [f"**/{name}.rs" for name in ("tests", "*_tests", "modelled", "replayed", "shuffled", "alone")]
ENOUGH = 0.95
CAUGHT, TIMEOUT, UNVIABLE, MISSED = "CaughtMutant", "Timeout", "Unviable", "MissedMutant"


@dataclass
class Tried:
    """What became of the breaks of one file."""

    date: str
    source: str
    outcomes: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)


def digest(file: str) -> str:
    """Tell one state of a file from another."""
    return hashlib.sha256((ROOT / file).read_bytes()).hexdigest()[:16]


def load() -> dict[str, Tried]:
    """Read what was found before."""
    if not KEPT.exists():
        return {}
    return {file: Tried(**tried) for file, tried in json.loads(KEPT.read_text(encoding="utf-8")).items()}


def save(kept: dict[str, Tried]) -> None:
    """Write down what was found, of files that are still there."""
    here = {file: asdict(kept[file]) for file in sorted(kept) if (ROOT / file).exists()}
    KEPT.write_text(json.dumps(here, indent=1) + "\n", encoding="utf-8")


def reasons() -> dict[str, str]:
    """Read why breaks that nobody notices are none: lines of "break — reason"."""
    if not REASONS.exists():
        return {}
    lines = REASONS.read_text(encoding="utf-8").splitlines()
    return dict(line.split(" — ", 1) for line in lines if " — " in line and not line.startswith("#"))


def selection(files: list[str]) -> list[str]:
    """Arguments that choose files of the core."""
    chosen = [argument for file in files for argument in ("--file", file)]
    return chosen + [argument for pattern in NOT_TRIED for argument in ("--exclude", pattern)]


def name_of(mutant: dict) -> str:
    """Name a break by what it does and where, without lines, which move."""
    return re.sub(r"^([^:]+):\d+:\d+: ", r"\1: ", mutant["name"])


def listed(files: list[str]) -> dict[str, list[dict]]:
    """List the breaks of each file."""
    command = [TOOL, "mutants", "--list", "--json", *selection(files)]
    told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    by_file: dict[str, list[dict]] = {}
    for mutant in json.loads(told):
        by_file.setdefault(mutant["file"], []).append(mutant)
    return by_file


def tests_of(room: str) -> list[str]:
    """Arguments that choose the tests that are about a room."""
    return ["--lib", *(f"--test={name}" for name in ROOMS[room])]


def tried(
    arguments: list[str], tests: list[str], jobs: int, deadline: float | None
) -> list[tuple[dict, str]]:
    """Try breaks until all are, or the time is over; give each with what became of it."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--jobs", str(jobs), "--no-shuffle", "--profile", "mutants", "--output", folder]
        options += ["--timeout", "60", "--build-timeout", "300", "--colors", "never", "--baseline", "skip"]
        environment = {**os.environ, "PROOF": "short", "CARGO_INCREMENTAL": "1"}
        command = [TOOL, "mutants", *options, *(f"--cargo-arg={which}" for which in tests), *arguments]
        with subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True) as running:
            try:
                left = None if deadline is None else max(1.0, deadline - time.monotonic())
                running.wait(left)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                running.send_signal(signal.SIGINT)
        told = Path(folder) / "mutants.out" / "outcomes.json"
        outcomes = json.loads(told.read_text(encoding="utf-8"))["outcomes"] if told.exists() else []
    found = ((outcome["scenario"], outcome["summary"]) for outcome in outcomes)
    return [(scenario["Mutant"], summary) for scenario, summary in found if scenario != "Baseline"]


def by_all_tests(missed: list[dict], jobs: int) -> set[str]:
    """Try what a room's tests missed by all tests in Rust; give the exact names of what these miss, too."""
    names = {mutant["name"] for mutant in missed}
    if not names:
        return set()
    exactly = [argument for name in sorted(names) for argument in ("--re", f"^{re.escape(name)}$")]
    files = sorted({mutant["file"] for mutant in missed})
    done = tried([*selection(files), *exactly], ["--tests"], jobs, None)
    return names - {mutant["name"] for mutant, summary in done if summary != MISSED}


def try_files(room: str, files: list[str], jobs: int, deadline: float | None) -> dict[str, Tried]:
    """Try all breaks of a room's files; what was not come to in time is left out."""
    breaks = listed(files)
    done: dict[str, list[tuple[dict, str]]] = {}
    for mutant, summary in tried(selection(files), tests_of(room), jobs, deadline):
        done.setdefault(mutant["file"], []).append((mutant, summary))
    whole = {file: done[file] for file in files if len(done.get(file, [])) == len(breaks.get(file, []))}
    missed = [mutant for found in whole.values() for mutant, summary in found if summary == MISSED]
    missed_by_all = by_all_tests(missed, jobs)
    today = dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
    results = {}
    for file, found in whole.items():
        left = [mutant for mutant, summary in found if summary == MISSED and mutant["name"] in missed_by_all]
        outcomes = Counter(CAUGHT if summary == MISSED else summary for _, summary in found)
        outcomes[CAUGHT] -= len(left)
        results[file] = Tried(today, digest(file), dict(outcomes), sorted(map(name_of, left)))
    return results


def report(kept: dict[str, Tried], files: list[str]) -> int:
    """Print what is known of the files; give the number of things that are wrong."""
    known, totals, unexplained = reasons(), Counter[str](), []
    for file in files:
        found = kept.get(file)
        if found is None or found.source != digest(file):
            print(f"{file:28} {'not tried' if found is None else 'changed since ' + found.date}")
            continue
        totals.update({**found.outcomes, MISSED: len(found.missed)})
        shown = ", ".join(f"{count} {summary}" for summary, count in sorted(found.outcomes.items()) if count)
        print(f"{file:28} {found.date}: {shown or 'nothing to break'}, {len(found.missed)} missed")
        unexplained += [name for name in found.missed if name not in known]
    caught = totals[CAUGHT] + totals[TIMEOUT]
    viable = caught + totals[MISSED]
    share = caught / viable if viable else 0.0
    print(f"\n{caught:,} of {viable:,} breaks are noticed, {share:.1%}; {totals[UNVIABLE]:,} do not compile")
    for name in unexplained:
        print(f"missed, and nobody says why: {name}", file=sys.stderr)
    if viable and share < ENOUGH:
        print(f"fewer than {ENOUGH:.0%} are noticed", file=sys.stderr)
    return len(unexplained) + (share < ENOUGH)


def main() -> int:
    """Try what was not tried since it changed, and report on all."""
    parser = argparse.ArgumentParser(description="tries whether the tests notice small breaks of the core")
    parser.add_argument("--minutes", type=float, help="begin no further break after this long")
    parser.add_argument("--only", default="", metavar="PART", help="files whose path contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="breaks at a time")
    parser.add_argument("--report", action="store_true", help="try nothing, say what is known")
    options = parser.parse_args()
    if not TOOL.exists() or shutil.which("cargo") is None:
        print("cargo-mutants is not here: `make mutants` installs it", file=sys.stderr)
        return 2
    deadline = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    there = [file for room in ROOMS for file in sorted((ROOT / "src" / room).glob("*.rs"))]
    breaks = listed([str(file.relative_to(ROOT)) for file in there])
    files = [file for file in breaks if options.only in file]
    kept = load()
    stale = [file for file in files if file not in kept or kept[file].source != digest(file)]
    stale.sort(key=lambda file: file in kept)
    if stale and not options.report:
        print(f"{sum(len(breaks[file]) for file in stale):,} breaks in {len(stale)} files", flush=True)
        for room in ROOMS:
            chosen = [file for file in stale if file.startswith(f"src/{room}/")]
            if chosen and (deadline is None or time.monotonic() < deadline):
                found = try_files(room, chosen, options.jobs, deadline)
                kept = {**load(), **found}  # somebody may have tried other files meanwhile
                save(kept)
    return 1 if report(kept, files) else 0


if __name__ == "__main__":
    sys.exit(main())
