"""The whole test suite, step by step: lints, Rust, costs, packages, and Python on every CPython that is here.

Needs nothing but a Python to start with; makes its own environments below .venv.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUPPORTED = ["3.10", "3.11", "3.12", "3.13", "3.14", "3.14t"]
DESCRIBE = """
import sys, sysconfig
print("%d.%d%s" % (*sys.version_info[:2], sysconfig.get_config_var("abiflags") or ""))
"""


@dataclass
class Step:
    """One thing that was tried."""

    name: str
    passed: bool
    seconds: float


def run(command: list[str | Path], **environment: str) -> None:
    subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=True)


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
            print(f"{version}: the demo's packages do not install here; its tests are skipped", flush=True)
        (folder / ".ready").touch()
    wheels = ROOT / "target" / "wheels" / f"cp{version}"
    shutil.rmtree(wheels, ignore_errors=True)
    build = ["build", "--quiet", "--profile", "quick", "--interpreter", inside, "--out", wheels]
    # A target folder for each interpreter, so that none makes another build again.
    run([inside, "-m", "maturin", *build], CARGO_TARGET_DIR=str(ROOT / "target" / f"cp{version}"))
    install = [inside, "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps"]
    run([*install, *sorted(wheels.glob("*.whl"))])
    # -I: the installed package, not the sources beside the tests.
    run([inside, "-I", "-m", "pytest", "-q"])


def loom() -> None:
    """Model-check the table and the word: every interleaving of small scenarios."""
    run(
        ["cargo", "test", "--quiet", "--release", "--lib", "modelled"],
        RUSTFLAGS="--cfg loom",
        CARGO_TARGET_DIR=str(ROOT / "target/loom"),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="STEP", help="run only steps whose name contains this")
    wanted = parser.parse_args().only or ""

    here = interpreters()
    steps = {
        "lints": lambda: run(["make", "--no-print-directory", "lint", f"PYTHON={sys.executable}"]),
        "rust": lambda: run(["cargo", "test", "--quiet", "--features", "capi"]),
        "rust, model checker": loom,
        "instruction counts": lambda: run(
            ["make", "--no-print-directory", "bench-guard", f"PYTHON={sys.executable}"]
        ),
        "packaging": lambda: run([sys.executable, ROOT / "tests" / "packaging.py"]),
    }
    for version, python in here.items():
        steps[f"python {version}"] = lambda version=version, python=python: python_suite(version, python)

    done: list[Step] = []
    for number, (name, step) in enumerate(steps.items(), 1):
        if wanted not in name:
            continue
        print(f"\n=== {number}/{len(steps)} {name}", flush=True)
        start = time.monotonic()
        try:
            step()
        except subprocess.CalledProcessError as error:
            print(f"{name}: {error}", flush=True)
            passed = False
        else:
            passed = True
        done.append(Step(name, passed, time.monotonic() - start))

    print("\n=== summary")
    for one in done:
        print(f"{'passed' if one.passed else 'FAILED':8}{one.seconds:7.1f} s  {one.name}")
    if shutil.which("valgrind") is None:
        print("not here and so not tried: valgrind, which counts instructions")
    absent = [version for version in SUPPORTED if version not in here]
    if absent:
        print(f"not here and so not tried: CPython {', '.join(absent)}")
    failed = sum(not one.passed for one in done)
    print(f"{len(done) - failed} passed, {failed} failed")
    return 1 if failed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
