"""The whole test suite, step by step: lints, Rust, costs, packages, and Python on every CPython that is here.

Needs nothing but a Python to start with; makes its own environments below .venv.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
SUPPORTED = ["3.10", "3.11", "3.12", "3.13", "3.14", "3.14t"]
NEEDED = {
    "cc": "a C compiler, and so all that is written in C",
    "go": "Go, and so all that is written in it",
    "pkg-config": "pkg-config, which Go needs to find the library",
    "valgrind": "valgrind, which counts instructions and watches memory",
}
DESCRIBE = """
import sys, sysconfig
print("%d.%d%s" % (*sys.version_info[:2], sysconfig.get_config_var("abiflags") or ""))
"""


# No command of a step takes longer; one that does hangs.
LONGEST_SECONDS = 7200

# Where a lane's steps print to.
OUTPUT: ContextVar[TextIO] = ContextVar("OUTPUT", default=sys.stdout)


@dataclass
class Step:
    """One thing that was tried."""

    name: str
    passed: bool
    seconds: float


def run(command: list[str | Path], **environment: str) -> None:
    told = OUTPUT.get()
    told.flush()
    known = {**os.environ, **environment}
    subprocess.run(
        command, cwd=ROOT, env=known, stdout=told, stderr=told, check=True, timeout=LONGEST_SECONDS
    )


def version_of(python: Path) -> str | None:
    """Return "3.11" or "3.14t" if this is a CPython that starts, else None."""
    try:
        told = subprocess.run(
            [python, "-c", DESCRIBE], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip()


def interpreters() -> dict[str, Path]:
    """Every supported CPython: on PATH, from pyenv, from uv, or in a cache of one's own."""
    home = Path.home()
    places = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    candidates = [Path(sys.executable)]
    candidates += [place / f"python{version}" for version in SUPPORTED for place in places]
    candidates += sorted(home.glob(".pyenv/versions/3.*/bin/python3"), reverse=True)
    candidates += sorted(home.glob(".local/share/uv/python/cpython-3.*/bin/python3"), reverse=True)
    candidates += sorted(home.glob(".cache/python3.*/bin/python3"))
    found: dict[str, Path] = {}
    for candidate in candidates:
        if candidate.exists() and (version := version_of(candidate)) in SUPPORTED:
            found.setdefault(version, candidate)
    return {version: found[version] for version in SUPPORTED if version in found}


def python_suite(version: str, python: Path) -> None:
    """Build a wheel for this interpreter, install it into an environment of its own, run the suite."""
    folder = ROOT / ".venv" / f"cp{version.replace('.', '')}"
    inside = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        run([python, "-m", "venv", "--clear", folder])
        run([inside, "-m", "pip", "install", "--quiet", "--upgrade", "pip"])
        run([inside, "-m", "pip", "install", "--quiet", "--group", "test", "maturin"])
        demo = [inside, "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
        try:
            run([*demo, "aiohttp", "aiosmtpd", "aiosmtplib", "rich", "matplotlib"])
        except subprocess.CalledProcessError:
            skipped = f"{version}: the demo's packages do not install here; its tests are skipped"
            print(skipped, file=OUTPUT.get(), flush=True)
        (folder / ".ready").touch()
    wheels = ROOT / "target" / "wheels" / f"cp{version}"
    shutil.rmtree(wheels, ignore_errors=True)
    build = ["build", "--quiet", "--profile", "quick", "--interpreter", inside, "--out", wheels]
    # A target folder for each interpreter, so that none makes another build again.
    run([inside, "-m", "maturin", *build], CARGO_TARGET_DIR=str(ROOT / "target" / f"cp{version}"))
    install = [inside, "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps"]
    run([*install, *sorted(wheels.glob("*.whl"))])
    # -I: the installed package, not the sources beside the tests.
    # What takes minutes is done whole by one interpreter.
    share = "100" if version == version_of(Path(sys.executable)) else "20"
    run([inside, "-I", "-m", "pytest", "-q"], TOLLBAR_PERCENT=share)


def rust() -> None:
    """Run the Rust suite on the same random schedules each time; `cargo test` alone takes others."""
    seed = os.environ.get("PROPTEST_RNG_SEED", "20261128")
    run(["cargo", "test", "--quiet", "--features", "capi"], PROPTEST_RNG_SEED=seed)


def loom() -> None:
    """Model-check the table and the word: every interleaving of small scenarios."""
    run(
        ["cargo", "test", "--quiet", "--release", "--lib", "modelled"],
        RUSTFLAGS="--cfg loom",
        CARGO_TARGET_DIR=str(ROOT / "target/loom"),
    )


def lane(steps: dict[str, Callable[[], None]], log: TextIO, done: list[Step]) -> None:
    """Do steps one after the other; what they print goes to the log, and is shown when its step has ended."""
    for name, step in steps.items():
        print(f"=== {name}: begun", flush=True)
        OUTPUT.set(log)
        log.seek(0)
        log.truncate()
        start = time.monotonic()
        try:
            step()
        except subprocess.SubprocessError as error:
            log.write(f"{name}: {error}\n")
            passed = False
        else:
            passed = True
        done.append(Step(name, passed, time.monotonic() - start))
        log.seek(0)
        verdict = "passed" if passed else "FAILED"
        print(f"{log.read()}=== {name}: {verdict} after {done[-1].seconds:.0f} s\n", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="STEP", help="run only steps whose name contains this")
    wanted = parser.parse_args().only or ""

    here = interpreters()
    make = ["make", "--no-print-directory", f"PYTHON={sys.executable}"]
    native = {
        "lints": lambda: run([*make, "lint"]),
        "rust": rust,
        "rust, model checker": loom,
        "instruction counts": lambda: run([*make, "bench-guard"]),
        "packaging": lambda: run([sys.executable, ROOT / "tests" / "packaging.py"]),
    }
    other = {
        f"python {version}": lambda version=version, python=python: python_suite(version, python)
        for version, python in here.items()
    }
    absent = [what for tool, what in NEEDED.items() if shutil.which(tool) is None]
    if shutil.which("cc"):
        native["c, installed"] = lambda: run([sys.executable, ROOT / "tests" / "c" / "install.py"])
        other["c"] = lambda: run([sys.executable, ROOT / "tests" / "c" / "run.py"])
        fuzz = [sys.executable, ROOT / "tests" / "fuzz.py", "--seconds", "10"]
        other["arbitrary input"] = lambda: run(fuzz)
    if shutil.which("go") and shutil.which("pkg-config"):
        other["go"] = lambda: run([sys.executable, ROOT / "tests" / "go" / "run.py"])

    # Two lanes: compilers use all cores, test suites one.
    done: list[Step] = []
    lanes = []
    for steps in (native, other):
        chosen = {name: step for name, step in steps.items() if wanted in name}
        log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - as long as its lane
        lanes.append(Thread(target=copy_context().run, args=(lane, chosen, log, done)))
    for one in lanes:
        one.start()
    for one in lanes:
        one.join()

    print("=== summary")
    for one in done:
        print(f"{'passed' if one.passed else 'FAILED':8}{one.seconds:7.1f} s  {one.name}")
    absent += [f"CPython {version}" for version in SUPPORTED if version not in here]
    if absent:
        print(f"not here and so not tried: {'; '.join(absent)}")
    failed = sum(not one.passed for one in done)
    print(f"{len(done) - failed} passed, {failed} failed")
    return 1 if failed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
