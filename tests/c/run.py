"""The C suite: every test as a C program and a C++ one, under sanitizers and valgrind; the exported names.

Needs cargo, gcc and g++, and takes valgrind where it is. `run.py NAME...` tries only these programs.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "c"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "capi"
LIBRARY = TARGET / "quick"
BUILT = TARGET / "tests"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
SYSTEM = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"]
# Programs with threads of their own, which helgrind looks at.
THREADED = {"forks", "freed", "threads", "wakeups", "waiting"}
# A child has what its parent's other threads held in their hands, and nobody to free it.
UNFREED = {"atfork", "forks"}
# How much less is done where everything is slow.
LESS = {"sanitized": 4, "memcheck": 16, "helgrind": 32}
SECONDS = 120
# No build takes longer; one that does hangs.
BUILD_SECONDS = 3600
# How a valgrind that has found something ends.
FOUND = 99


@dataclass
class Outcome:
    """What one program said in one way of running it."""

    name: str
    way: str
    problem: str = ""
    said: str = ""


@dataclass
class Suite:
    """All that was tried."""

    outcomes: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        if outcome.problem:
            print(f"FAILED  {outcome.way:9} {outcome.name}: {outcome.problem}", flush=True)


def run(command: list[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def build_library() -> None:
    """Build the library once in each form, with the function that panics for tests."""
    cargo: list[str | Path] = ["cargo", "rustc", "--quiet", "--profile", "quick", "--lib"]
    cargo += ["--features", "forced-panic", "--target-dir", TARGET]
    for form in ("staticlib", "cdylib"):
        subprocess.run([*cargo, "--crate-type", form], cwd=ROOT, check=True, timeout=BUILD_SECONDS)


def declared() -> set[str]:
    """Every function of the header."""
    header = (ROOT / "include" / "tollbar.h").read_text(encoding="utf-8")
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", header, flags=re.DOTALL)
    return set(re.findall(r"\b(tollbar_\w+)\s*\(", code))


def exported(library: Path) -> set[str]:
    """Every name that a program could link against."""
    command: list[str | Path] = ["nm", "-D", "--defined-only", library]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    return {line.split()[-1] for line in told.stdout.splitlines()}


def check_exports() -> Outcome:
    wanted = declared() | {"tollbar_forced_panic"}
    found = exported(LIBRARY / "libtollbar.so")
    odd = [f"{name} is not in the header" for name in sorted(found - wanted)]
    odd += [f"{name} is not exported" for name in sorted(wanted - found)]
    said = f"exactly the {len(wanted) - 1} functions of the header"
    return Outcome("exports", "nm -D", "; ".join(odd), said)


def compile_as(name: str, way: str) -> Path | Outcome:
    """Compile one test; `way` says in which language and with what it is linked."""
    program = BUILT / f"{name}-{way}"
    compiler = ["g++", "-x", "c++", "-std=c++17"] if way == "c++17" else ["gcc", "-std=c11"]
    command: list[str | Path] = [*compiler, "-O1", "-g", "-pthread", *WARNINGS]
    command += [f"-I{ROOT / 'include'}", f"-I{BUILT}", HERE / f"{name}.c", "-o", program]
    if way == "sanitized":
        command += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
        command += [LIBRARY / "libtollbar.a", *SYSTEM]
    else:
        command += ["-x", "none"] if way == "c++17" else []
        command += [f"-L{LIBRARY}", "-ltollbar", f"-Wl,-rpath,{LIBRARY}", "-lm"]
    told = run(command)
    return Outcome(name, way, told.stderr.strip()) if told.returncode else program


def judged(name: str, way: str, command: list[str | Path], **environment: str) -> Outcome:
    """Run a program that was compiled, and say what it said."""
    try:
        told = run(command, **environment)
    except subprocess.TimeoutExpired:
        return Outcome(name, way, f"not over after {SECONDS} s")
    if told.returncode:
        return Outcome(name, way, f"ended with {told.returncode}\n{told.stderr[-3000:].strip()}")
    return Outcome(name, way, said=told.stdout.strip())


def compiled_and_run(name: str, way: str) -> Outcome:
    program = compile_as(name, way)
    if isinstance(program, Outcome):
        return program
    strict = "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1"
    known = f"suppressions={HERE / 'leaks.supp'}:print_suppressions=0"
    less = str(LESS.get(way, 1))
    tools = {"ASAN_OPTIONS": strict, "LSAN_OPTIONS": known}
    return judged(name, way, [program], TOLLBAR_TEST_DIVISOR=less, **tools)


def under_valgrind(name: str, tool: str) -> Outcome:
    """Run what was compiled as C."""
    command: list[str | Path] = ["valgrind", "--quiet", f"--tool={tool}", f"--error-exitcode={FOUND}"]
    command += ["--fair-sched=yes"]
    if tool == "memcheck":
        command += [f"--leak-check={'no' if name in UNFREED else 'full'}"]
        command += ["--errors-for-leak-kinds=definite,indirect"]
        command += [f"--suppressions={HERE / 'memcheck.supp'}"]
    else:
        command += [f"--suppressions={HERE / 'helgrind.supp'}", "--history-level=none"]
    return judged(name, tool, [*command, BUILT / f"{name}-c11"], TOLLBAR_TEST_DIVISOR=str(LESS[tool]))


def a_race_is_reported() -> Outcome:
    """See that the suppressions leave a race in a program of ours alone."""
    outcome = under_valgrind("race", "helgrind")
    if f"ended with {FOUND}" in outcome.problem and "data race" in outcome.problem:
        return Outcome("race", "helgrind", said="a race beside the library's calls is reported")
    return Outcome("race", "helgrind", outcome.problem or "a race on purpose was not reported")


def relay_allows_exactly_the_burst() -> Outcome:
    """Let the example's threads decide about accounts in a mixed order, at a rate that refills nothing."""
    accounts, burst, times = 300, 7, 40
    program = BUILT / "relay"
    source = ROOT / "examples" / "c" / "relay.c"
    command: list[str | Path] = ["gcc", "-std=c11", "-O1", "-pthread", *WARNINGS, source, "-o", program]
    command += [f"-I{ROOT / 'include'}", f"-L{LIBRARY}", "-ltollbar", f"-Wl,-rpath,{LIBRARY}"]
    told = run(command)
    if told.returncode:
        return Outcome("relay", "c11", told.stderr.strip())
    lines = [f"user{number}@example.org" for number in range(accounts)] * times
    random.Random(7).shuffle(lines)
    options = ["--rate", "1", "--per", "1000000", "--burst", str(burst)]
    told = subprocess.run(
        [program, *options],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    *decided, totals = told.stdout.splitlines() or [""]
    allowed = Counter(line.split()[0] for line in decided if line.endswith(" allowed"))
    denied = [line for line in decided if re.fullmatch(r"\S+ denied rate \d+\.\d{3} s", line)]
    wanted = f"{accounts * burst} allowed, {accounts * (times - burst)} denied, {accounts} accounts"
    right = allowed == dict.fromkeys(lines, burst) and len(denied) == accounts * (times - burst)
    if told.returncode or not right or totals != wanted:
        return Outcome("relay", "c11", f"ended with {told.returncode}, saying {totals!r}, not {wanted!r}")
    said = f"the example's four threads allow exactly {burst} of {times} to each of {accounts} accounts"
    return Outcome("relay", "c11", said=said)


def also_compiles(name: str, source: Path, *arguments: str) -> Outcome:
    """Compile a program that is no test, and see that it runs."""
    program = BUILT / name
    command: list[str | Path] = ["gcc", "-std=c11", "-O1", *WARNINGS, source, "-o", program]
    command += [f"-I{ROOT / 'include'}", f"-L{LIBRARY}", "-ltollbar", f"-Wl,-rpath,{LIBRARY}"]
    told = run(command)
    if told.returncode:
        return Outcome(name, "c11", told.stderr.strip())
    return judged(name, "c11", [program, *arguments])


def readme_program() -> Outcome:
    """Build what the README shows, as pasted: of twelve requests at once it denies two."""
    blocks = re.findall(
        r"^```c\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    source = BUILT / "readme.c"
    source.write_text("".join(blocks), encoding="utf-8")
    outcome = also_compiles("readme", source)
    if not outcome.problem and outcome.said != "denied\ndenied":
        outcome.problem = f"it said {outcome.said!r}"
    outcome.said = "the README's program denies two of twelve"
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="programs to try; all of them unless given")
    wanted: list[str] = parser.parse_args().names

    build_library()
    BUILT.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, HERE / "make_vectors.py", BUILT], check=True, timeout=SECONDS)
    every = sorted(source.stem for source in HERE.glob("*.c"))
    names = [name for name in every if name != "race" and (not wanted or name in wanted)]
    suite = Suite()
    suite.add(check_exports())
    suite.add(relay_allows_exactly_the_burst())
    suite.add(readme_program())
    suite.add(also_compiles("calls", ROOT / "benches" / "calls" / "calls.c", "1000"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for way in ("c11", "c++17", "sanitized"):
            for outcome in pool.map(lambda name, way=way: compiled_and_run(name, way), names):
                suite.add(outcome)
        valgrind = shutil.which("valgrind") is not None
        if valgrind:
            for outcome in pool.map(lambda name: under_valgrind(name, "memcheck"), names):
                suite.add(outcome)
            threaded = [name for name in names if name in THREADED]
            for outcome in pool.map(lambda name: under_valgrind(name, "helgrind"), threaded):
                suite.add(outcome)
            race = compile_as("race", "c11")
            suite.add(race if isinstance(race, Outcome) else a_race_is_reported())

    for name in ["exports", *names, "race", "relay", "readme", "calls"]:
        mine = [outcome for outcome in suite.outcomes if outcome.name == name]
        if not mine:
            continue
        ways = ", ".join(outcome.way for outcome in mine if not outcome.problem)
        print(f"{name:10} {mine[0].said} [{ways}]")
    failed = sum(bool(outcome.problem) for outcome in suite.outcomes)
    if not valgrind:
        print("NOT TRIED: valgrind is not here, so no test ran under memcheck or helgrind")
    print(f"{len(suite.outcomes) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
