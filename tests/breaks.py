"""Breaks each guarantee on purpose, in one line, and expects its check to fail.

    python tests/breaks.py [--only TEXT] [--write]    (or: make breaks)

Works on a copy of what git knows of this tree. With --write, the table in CONTRIBUTING.md is made of the
breaks, all of which must have been noticed then.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from copies import ROOT, refresh

if TYPE_CHECKING:
    from collections.abc import Mapping

COPY = ROOT / "target" / "broken"
BUILT = ROOT / "target" / "broken-builds"
PYTHON = ROOT / ".venv" / "broken" / "bin" / "python"
TABLE = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- breaks: python tests/breaks.py --write -->", "<!-- end of breaks -->"
# A check that hangs has noticed, too.
PATIENCE = 600
HELD, FAILED, NOT_BUILT = "held", "failed", "not built"


@dataclass(frozen=True)
class Check:
    """A command that must fail; `install` says that the package is built and installed before."""

    name: str
    command: tuple[str, ...]
    install: bool = False
    flags: str = ""

    @property
    def environment(self) -> Mapping[str, str]:
        """What the command is run with; each set of flags has a build of its own."""
        flags = {"RUSTFLAGS": self.flags} if self.flags else {}
        folder = BUILT / ("".join(filter(str.isalpha, self.flags)) or "plain")
        return {**os.environ, "PROOF": "short", "CARGO_TARGET_DIR": str(folder), **flags}


@dataclass(frozen=True)
class Break:
    """One line of one file, which is there once, and what it becomes."""

    guarantee: str
    file: str
    line: str
    becomes: str
    check: Check


def rust(file: str) -> Check:
    return Check(f"tests/{file}.rs", ("cargo", "test", "--quiet", "--test", file))


def inside(file: str, tests: str, *features: str) -> Check:
    return Check(file, ("cargo", "test", "--quiet", "--lib", *features, tests))


def python(file: str) -> Check:
    tests = f"tests/python/{file}"
    return Check(tests, (str(PYTHON), "-m", "pytest", "-q", "-x", tests), install=True)


def hostile(case: str) -> Check:
    command = ("cargo", "bench", "--quiet", "--profile", "quick", "--bench", "hostile", "--", case)
    return Check(f"benches/hostile.rs {case}", command)


LOOM = Check(
    "src/table/modelled.rs",
    ("cargo", "test", "--quiet", "--release", "--lib", "modelled"),
    flags="--cfg loom",
)
SHUTTLE = Check(
    "src/limiter/shuffled.rs",
    ("cargo", "test", "--quiet", "--release", "--lib", "shuffled"),
    flags="--cfg loom --cfg shuttle",
)
REPLAY = inside("src/table/replayed.rs", "table::replayed")
FROM_C = Check("tests/c", (sys.executable, "tests/c/run.py"))

BREAKS = [
    Break(
        "never over the limit",
        "src/limit/usual.rs",
        "new - now <= self.tolerance",
        "new - now <= self.tolerance + self.emission",
        REPLAY,
    ),
    Break(
        "the same in all interleavings",
        "src/table/slot.rs",
        "self.word.load(Ordering::Relaxed) == life.stored | ALIVE",
        "true || self.word.load(Ordering::Relaxed) == life.stored | ALIVE",
        LOOM,
    ),
    Break(
        "no token is lost",
        "src/table/slot.rs",
        "self.word.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed).is_ok()",
        "self.word.swap(next, Ordering::AcqRel) == seen || true",
        REPLAY,
    ),
    Break(
        "several limits",
        "src/limit/window.rs",
        "stamp.saturating_add(self.reach).saturating_add(1)",
        "stamp.saturating_add(self.reach)",
        rust("composite_oracle"),
    ),
    Break(
        "equal limits change nothing",
        "src/table/own.rs",
        "let is_same = self.classes.get(old) == self.classes.get(class);",
        "let is_same = false;",
        rust("unchanged"),
    ),
    Break(
        "a change of limits forgives nothing",
        "src/account/dormant.rs",
        "rates.map(carried).fold(tat, Ticks::max)",
        "rates.map(carried).fold(tat, |tat, _| tat)",
        rust("never_forgets"),
    ),
    Break(
        "a change of limits is of its own time",
        "src/table/reclass.rs",
        "self.reclass(slot, change.to, change.how, change.at, classes);",
        "self.reclass(slot, change.to, change.how, change.at + 16_000, classes);",
        rust("set_limits"),
    ),
    Break(
        "a reservation ends as of its end",
        "src/account/cold.rs",
        "self.forget_dormant(expiry);",
        "let _ = expiry;",
        inside("src/account/dormant_tests.rs", "account::dormant"),
    ),
    Break(
        "a limit has a cost of its own",
        "src/policy/cost.rs",
        "named.iter().find(|(name, _)| *name == limit.name).map_or(self.each, |&(_, n)| n),",
        "named.iter().find(|(name, _)| *name == limit.name).map_or(self.each, |_| self.each),",
        rust("composite_oracle"),
    ),
    Break(
        "a log costs requests, not units",
        "src/account/part.rs",
        "    log.drop_before(oldest);",
        "    let _ = oldest;",
        rust("composite_memory"),
    ),
    Break(
        "a cancel never mints",
        "src/limit/token_bucket.rs",
        "tat.saturating_sub(if given < unspent { given } else { unspent })",
        "tat.saturating_sub(if given < unspent { given } else { given })",
        rust("composite_oracle"),
    ),
    Break(
        "turns come in order",
        "src/account/line.rs",
        "self.wake.iter().for_each(|waker| waker.wake_by_ref());",
        "self.wake.iter().skip(1).for_each(|waker| waker.wake_by_ref());",
        SHUTTLE,
    ),
    Break(
        "together or not at all",
        "src/table/together.rs",
        "if let (true, Verdict::Allow(new)) = (pass, part.verdict) {",
        "if let (_, Verdict::Allow(new)) = (pass, part.verdict) {",
        rust("together"),
    ),
    Break(
        "strict is strict",
        "src/limit/rate.rs",
        "(true, _) if burst < limit => limit - burst,",
        "(true, _) if burst < limit => limit,",
        rust("hour"),
    ),
    Break(
        "exact rates",
        "src/limit/rate.rs",
        "period.div_ceil(u128::from(refilled))",
        "period / u128::from(refilled)",
        inside("src/limit/rate.rs", "limit::rate"),
    ),
    Break(
        "the clock may step",
        "src/limit/token_bucket.rs",
        "tat - now > self.tolerance + self.advance + SKEW",
        "tat - now > self.tolerance + self.advance + LONGEST",
        inside("src/table/tests.rs", "table::tests"),
    ),
    Break(
        "windows are exact",
        "src/limit/window.rs",
        "log.rank_through(stamp.saturating_add(self.reach)) - through",
        "log.rank_through(stamp) - through",
        rust("access_oracle"),
    ),
    Break(
        "the same, by the second",
        "src/limit/runs.rs",
        "self.kept.partition_point(|run| run.second <= second)",
        "self.kept.partition_point(|run| run.second < second)",
        inside("src/limit/runs.rs", "limit::runs"),
    ),
    Break(
        "never told 429",
        "src/limit/permits.rs",
        "sent.saturating_add(headroom.get()).saturating_add(pace.hold())",
        "sent.saturating_add(headroom.get() / 8).saturating_add(pace.hold())",
        rust("pacing_network"),
    ),
    Break(
        "nothing accepted is lost",
        "python/tollbar/dispatch/_base.py",
        "if not call.begun and item.state is not State.HELD:",
        "if False:",
        python("test_dispatch_asyncio.py"),
    ),
    Break(
        "eviction does not forgive",
        "src/table/room.rs",
        "if let (WhenFull::EvictLeast, Some((at, slot))) = (self.plan.when_full, least)",
        "if let (_, Some((at, slot))) = (self.plan.when_full, least)",
        rust("flood"),
    ),
    Break(
        "bounded work and memory",
        "src/table/room.rs",
        "for i in 0..AWAY_STRIPES.min(others)",
        "for i in 0..others",
        rust("flood"),
    ),
    Break(
        "known keys cost nothing but time",
        "src/limiter/mod.rs",
        "if key.len() > MAX_KEY_LEN { Err",
        "if std::hint::black_box(key.to_vec()).len() > MAX_KEY_LEN { Err",
        rust("cost"),
    ),
    Break(
        "answers as the original",
        "src/python/accounts.rs",
        "Rate::new(messages_per_hour, HOUR)",
        "Rate::new(messages_per_hour + 1, HOUR)",
        python("test_original.py"),
    ),
    Break(
        "each process its own budget",
        "src/python/inherited.rs",
        "if self.0 != FORKS.load(Ordering::SeqCst) && UNTOLD",
        "if UNTOLD",
        python("test_forks.py"),
    ),
    Break(
        "nobody slows the others: chosen keys",
        "src/sync.rs",
        "ahash::RandomState::new()",
        "ahash::RandomState::with_seeds(1, 2, 3, 4)",
        hostile("collide"),
    ),
    Break(
        "nobody slows the others: a hot key",
        "src/limiter/mod.rs",
        "match self.table.take::<false>(key, cost) {",
        "match { let _one = self.shadowed.lock(); self.table.take::<false>(key, cost) } {",
        hostile("hot"),
    ),
    Break(
        "bad input does nothing",
        "src/python/convert.rs",
        "Err(_) if int.gt(0)? => Ok(u64::MAX),",
        "Err(_) if true => Ok(u64::MAX),",
        python("test_token_bucket.py"),
    ),
    Break(
        "nothing from C is a crash",
        "src/capi/lanes.rs",
        "filter(|(_, turn)| turn & 1 == 1)",
        "filter(|(_, turn)| turn & 1 == 7)",
        inside("src/capi/lanes.rs, src/capi/handles.rs", "capi", "--features", "capi"),
    ),
    Break(
        "one truth in four languages",
        "src/capi/given.rs",
        "reason: told.reason.map_or(0, reason),",
        "reason: told.reason.map_or(0, reason) / 2 * 2,",
        FROM_C,
    ),
    Break(
        "C and Python share one budget",
        "src/python/fork.rs",
        "RUNNING.load(Ordering::Acquire) == 0",
        "RUNNING.load(Ordering::Acquire) & !SHARED == 0",
        python("test_extension.py"),
    ),
    Break(
        "exact in a real proxy",
        "examples/proxy/server.py",
        "await asyncio.shield(passing)",
        "await passing",
        Check("examples/proxy", (str(PYTHON), "-m", "examples.proxy", "--seconds", "8"), install=True),
    ),
]


def installed(environment: Mapping[str, str]) -> bool:
    """Build the copy's package into an environment of its own."""
    venv = PYTHON.parent.parent
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        install = [PYTHON, "-m", "pip", "install", "--quiet"]
        extras = ["maturin", "aiosmtpd", "aiosmtplib", "matplotlib", "rich"]
        subprocess.run([*install, "--upgrade", "pip"], check=True)
        subprocess.run([*install, "--group", "test", *extras], cwd=ROOT, check=True)
    build = [PYTHON, "-m", "maturin", "develop", "--quiet", "--profile", "quick"]
    known = {**environment, "VIRTUAL_ENV": str(venv)}
    return subprocess.run(build, cwd=COPY, env=known, check=False).returncode == 0


def tried(check: Check) -> str:
    """Run a check on the copy as it is: what became of it."""
    if check.install and not installed(check.environment):
        return NOT_BUILT
    try:
        done = subprocess.run(
            check.command,
            cwd=COPY,
            env={**check.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return FAILED
    if "could not compile" in done.stdout:
        return NOT_BUILT
    return FAILED if done.returncode else HELD


@cache
def holds(check: Check) -> bool:
    """Whether a check passes where nothing is broken: else its failure would say nothing."""
    return tried(check) == HELD


def noticed(one: Break) -> str:
    """Make one break; say what is wrong with it, or nothing if its check fails."""
    if not holds(one.check):
        return f"{one.check.name} fails anyhow"
    file = COPY / one.file
    whole = file.read_text(encoding="utf-8")
    if whole.count(one.line) != 1:
        return f"{one.file} has the line {whole.count(one.line)} times"
    file.write_text(whole.replace(one.line, one.becomes), encoding="utf-8")
    try:
        became = tried(one.check)
    finally:
        file.write_text(whole, encoding="utf-8")
    return {FAILED: "", HELD: "nobody notices", NOT_BUILT: "does not compile"}[became]


def table() -> str:
    """Write the breaks down as a Markdown table."""
    lines = ["| guarantee | in | the line | becomes | what fails |", "| --- | --- | --- | --- | --- |"]
    for one in BREAKS:
        code = (f"`{cell}`".replace("|", "\\|") for cell in (one.file, one.line, one.becomes, one.check.name))
        lines.append(f"| {' | '.join((one.guarantee, *code))} |")
    return "\n".join(lines)


def main() -> int:
    """Make the breaks one after the other."""
    parser = argparse.ArgumentParser(description="breaks each guarantee and expects its check to fail")
    parser.add_argument("--only", default="", metavar="TEXT", help="only guarantees that contain this")
    parser.add_argument("--write", action="store_true", help="make the table in CONTRIBUTING.md of them")
    options = parser.parse_args()
    chosen = [one for one in BREAKS if options.only in one.guarantee]
    failed = 0
    for number, one in enumerate(chosen, 1):
        refresh(COPY)
        print(f"[{number}/{len(chosen)}] {one.guarantee}: {one.file} ...", end=" ", flush=True)
        start = time.monotonic()
        wrong = noticed(one)
        failed += bool(wrong)
        print(f"{wrong or one.check.name + ' fails'}, {time.monotonic() - start:.0f} s", flush=True)
    print(f"{len(chosen) - failed} of {len(chosen)} breaks are noticed")
    if options.write and not failed:
        before, rest = TABLE.read_text(encoding="utf-8").split(BEGIN)
        text = f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END, 1)[1]}"
        TABLE.write_text(text, encoding="utf-8")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
