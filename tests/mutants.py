"""Breaks the core in every small way that cargo-mutants knows, and lists the breaks that no test notices.

    python tests/mutants.py [--minutes N] [--only PART] [--jobs N] [--again]    (or: make mutants)

All of it takes hours, so what was found is kept in tests/mutants.json, file by file and with its date. Only
files whose code has changed since are tried again, those that were never tried first; with --again the breaks
that were missed are, by the tests that there are now. Each break is tried by the
quick tests inside the library, one that they miss by the tests that are about its room, and one that these
miss by all tests in Rust. Breaks that change nothing that anybody could see are listed, with the reason, in
tests/mutants.txt.
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

from copies import ROOT, refresh

KEPT = ROOT / "tests" / "mutants.json"
REASONS = ROOT / "tests" / "mutants.txt"
COPIES = ROOT / "target" / "mutants"
TOOL = ROOT / ".venv" / "cargo-mutants" / "bin" / "cargo-mutants"
# Each room with the tests beside its own that are about it.
ROOMS = {
    "limit": ["oracle", "windows_oracle", "jail_oracle", "pacing_oracle", "vectors"],
    "account": ["limiter", "composite_oracle", "composite_memory", "waiting"],
    "policy": ["composite_oracle", "vectors"],
    "limiter": ["limiter", "composite_oracle", "together", "vectors", "waiting"],
    "table": ["limiter", "composite_oracle", "together", "waiting"],
}
# Tests inside the library that take as long as all others together: they are left for the last.
SLOW = "table::replayed"
# Seconds after which tests count as hung, some twenty times what they take: the quick ones, and others.
PATIENCE = {True: 15, False: 60}
# What is compiled for tests and model checkers alone is not what is proved.
NOT_TRIED = [f"**/{name}.rs" for name in ("tests", "*_tests", "modelled", "replayed", "shuffled", "alone")]
# What only loom's build or Python's has in it: no test in Rust could notice.
NOT_COMPILED = ["Zeroed for ", "modelled::", r"::\w+_alone\b"]
ENOUGH = 0.95
CAUGHT, TIMEOUT, UNVIABLE, MISSED = "CaughtMutant", "Timeout", "Unviable", "MissedMutant"


@dataclass
class Tried:
    """What became of the breaks of one file."""

    date: str
    source: str
    outcomes: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)


def digest(file: str, tree: Path = ROOT) -> str:
    """Tell one state of a file's code from another; the tests at its end do not count."""
    text = (tree / file).read_text(encoding="utf-8")
    code = re.split(r"^#\[cfg\((?:all\()?test", text, maxsplit=1, flags=re.MULTILINE)[0]
    return hashlib.sha256(code.rstrip().encode()).hexdigest()[:16]


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
    chosen += [argument for pattern in NOT_TRIED for argument in ("--exclude", pattern)]
    return chosen + [argument for pattern in NOT_COMPILED for argument in ("--exclude-re", pattern)]


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


def stages(room: str) -> list[list[str]]:
    """Arguments that choose tests, each for what the ones before miss: quick ones, a room's, all."""
    about = [f"--test={name}" for name in ROOMS[room]]
    return [["--lib", "--", "--", "--skip", SLOW], ["--lib", *about], ["--tests"]]


def begin(
    worker: int, jobs: int, arguments: list[str], tests: list[str], found: Path
) -> subprocess.Popen[bytes]:
    """Let one worker try its share of the breaks, in a copy and with a build of its own."""
    copy, built = COPIES / f"{worker}", COPIES / f"{worker}-built"
    options = ["--dir", copy, "--in-place", "--shard", f"{worker}/{jobs}", "--sharding", "round-robin"]
    options += ["--no-shuffle", "--profile", "mutants", "--output", found, "--baseline", "skip"]
    options += ["--timeout", f"{PATIENCE[SLOW in tests]}", "--build-timeout", "300", "--colors", "never"]
    split = tests.index("--") if "--" in tests else len(tests)
    chosen = [f"--cargo-arg={which}" for which in tests[:split]]
    command = [TOOL, "mutants", *options, *chosen, *arguments, *tests[split:]]
    environment = {**os.environ, "PROOF": "short", "CARGO_INCREMENTAL": "1", "CARGO_TARGET_DIR": str(built)}
    return subprocess.Popen(command, cwd=copy, env=environment, start_new_session=True)


def end(process: subprocess.Popen[bytes], deadline: float | None) -> None:
    """Wait for a worker until its share is done or the time is over."""
    try:
        process.wait(None if deadline is None else max(1.0, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.send_signal(signal.SIGINT)
        process.wait()


def check(outcomes: list[dict], folder: Path) -> None:
    """Refuse results of a build that is broken itself: what does not compile is never linked."""
    for outcome in outcomes:
        if outcome["summary"] != UNVIABLE:
            continue
        if "error: linking" in (folder / outcome["log_path"]).read_text(encoding="utf-8", errors="replace"):
            raise RuntimeError(f"the build is broken: remove {COPIES.relative_to(ROOT)} and begin again")


def tried(
    arguments: list[str], tests: list[str], jobs: int, deadline: float | None
) -> list[tuple[dict, str]]:
    """Try breaks until all are, or the time is over; give each with what became of it."""
    outcomes: list[dict] = []
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / f"{worker}" for worker in range(jobs)]
        running = [begin(worker, jobs, arguments, tests, folder) for worker, folder in enumerate(folders)]
        for process in running:
            end(process, deadline)
        for folder in folders:
            told = folder / "mutants.out" / "outcomes.json"
            if told.exists():
                own = json.loads(told.read_text(encoding="utf-8"))["outcomes"]
                check(own, told.parent)
                outcomes += own
    found = ((outcome["scenario"], outcome["summary"]) for outcome in outcomes)
    return [(scenario["Mutant"], summary) for scenario, summary in found if scenario != "Baseline"]


def again(missed: list[dict], tests: list[str], jobs: int) -> list[dict]:
    """Try what was missed by other tests; give what these miss, too."""
    if not missed:
        return []
    names = sorted(mutant["name"] for mutant in missed)
    exactly = [argument for name in names for argument in ("--re", f"^{re.escape(name)}$")]
    files = sorted({mutant["file"] for mutant in missed})
    done = tried([*selection(files), *exactly], tests, jobs, None)
    noticed = {mutant["name"] for mutant, summary in done if summary != MISSED}
    return [mutant for mutant in missed if mutant["name"] not in noticed]


def try_files(room: str, files: list[str], jobs: int, deadline: float | None) -> dict[str, Tried]:
    """Try all breaks of a room's files; what was not come to in time is left out."""
    for worker in range(jobs):
        refresh(COPIES / f"{worker}")  # what is tried is what there is now, whatever is changed meanwhile
    breaks, sources = listed(files), {file: digest(file, COPIES / "0") for file in files}
    first, second, _ = stages(room)
    done: dict[str, list[tuple[dict, str]]] = {}
    for mutant, summary in tried(selection(files), first, jobs, deadline):
        done.setdefault(mutant["file"], []).append((mutant, summary))
    whole = {file: done[file] for file in files if len(done.get(file, [])) == len(breaks.get(file, []))}
    missed = [mutant for found in whole.values() for mutant, summary in found if summary == MISSED]
    left_over = {mutant["name"] for mutant in again(missed, second, jobs)}
    today = dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
    results = {}
    for file, found in whole.items():
        left = [mutant for mutant, _ in found if mutant["name"] in left_over]
        outcomes = Counter(CAUGHT if summary == MISSED else summary for _, summary in found)
        outcomes[CAUGHT] -= len(left)
        results[file] = Tried(today, sources[file], dict(outcomes), sorted(map(name_of, left)))
    return results


def try_again(room: str, here: dict[str, Tried], jobs: int, stage: int) -> dict[str, Tried]:
    """Try what was missed in a room by the tests that there are now, those of this stage and after."""
    for worker in range(jobs):
        refresh(COPIES / f"{worker}")
    known, breaks, results = reasons(), listed(list(here)), {}
    wanted = {name for tried in here.values() for name in tried.missed if name not in known}
    missed = [mutant for file in here for mutant in breaks[file] if name_of(mutant) in wanted]
    for tests in stages(room)[stage:]:
        missed = again(missed, tests, jobs)
    for file, old in here.items():
        names = [name_of(mutant) for mutant in missed if mutant["file"] == file]
        names = sorted(names + [name for name in old.missed if name in known])
        caught = old.outcomes.get(CAUGHT, 0) + len(old.missed) - len(names)
        results[file] = Tried(old.date, old.source, {**old.outcomes, CAUGHT: caught}, names)
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


def over(deadline: float | None) -> bool:
    """Whether the time is over."""
    return deadline is not None and time.monotonic() > deadline


def main() -> int:
    """Try what was not tried since it changed, and report on all."""
    parser = argparse.ArgumentParser(description="tries whether the tests notice small breaks of the core")
    parser.add_argument("--minutes", type=float, help="begin no further break after this long")
    parser.add_argument("--only", default="", metavar="PART", help="files whose path contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="breaks at a time")
    parser.add_argument("--again", action="store_true", help="try what was missed, and nothing else")
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
    if stale and not options.report and not options.again:
        print(f"{sum(len(breaks[file]) for file in stale):,} breaks in {len(stale)} files", flush=True)
        for room in ROOMS:
            chosen = [file for file in stale if file.startswith(f"src/{room}/")]
            if chosen and not over(deadline):
                found = try_files(room, chosen, options.jobs, deadline)
                kept = {**load(), **found}  # somebody may have tried other files meanwhile
                save(kept)
    for room in () if options.report else ROOMS:
        chosen = [file for file in files if file.startswith(f"src/{room}/") and file in kept]
        here = {
            file: kept[file] for file in chosen if kept[file].source == digest(file) and kept[file].missed
        }
        if here and not over(deadline):
            kept = {**load(), **try_again(room, here, options.jobs, stage=0 if options.again else 2)}
            save(kept)
    return 1 if report(kept, files) else 0


if __name__ == "__main__":
    sys.exit(main())
