"""Fuzzes the C face for a while, from the corpus that is kept on: `python3 tests/fuzz.py --seconds 60`.

Installs cargo-fuzz below .venv if it is not here. `--minimise` keeps what reaches the most code in the
fewest inputs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".venv" / "cargo-fuzz"
CORPUS = ROOT / "fuzz" / "corpus" / "calls"
# What finds something goes here, to be tried again by `--only FILE`.
FOUND = ROOT / "target" / "fuzz-found"
# The tool only drives a build, so it need not be fast itself.
CHEAP = {
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
}
# Sanitizers are asked for by flags that a stable compiler takes only when it is told that it may.
ALLOWED = {"RUSTC_BOOTSTRAP": "1"}


def run(command: list[str | Path], **environment: str) -> int:
    path = os.pathsep.join([str(TOOLS / "bin"), os.environ["PATH"]])
    told = {**os.environ, "PATH": path, **environment}
    return subprocess.run(command, cwd=ROOT, env=told, check=False).returncode


def have_the_tool() -> None:
    if shutil.which("cargo-fuzz") or (TOOLS / "bin" / "cargo-fuzz").exists():
        return
    install: list[str | Path] = ["cargo", "install", "--quiet", "--locked", "--root", TOOLS, "cargo-fuzz"]
    if run(install, **CHEAP):
        raise SystemExit("cargo-fuzz could not be installed")


def fuzz(corpus: list[Path], *options: str) -> int:
    """Build the target with the address sanitizer and run it; what is new goes to the first folder."""
    FOUND.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = ["cargo", "fuzz", "run", "--target-dir", ROOT / "target" / "fuzz", "calls"]
    libfuzzer = ["-max_len=1024", "-timeout=20", f"-artifact_prefix={FOUND}{os.sep}", *options]
    return run([*command, *corpus, "--", *libfuzzer], **ALLOWED)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="how long to look for something new")
    parser.add_argument("--only", type=Path, metavar="FILE", help="try this input alone")
    parser.add_argument("--minimise", action="store_true", help="write the corpus anew")
    told = parser.parse_args()

    have_the_tool()
    if told.only:
        return fuzz([told.only.resolve()])
    with tempfile.TemporaryDirectory() as name:
        new = Path(name) / "new"
        new.mkdir()
        failed = fuzz([new, CORPUS], f"-max_total_time={told.seconds}", "-print_final_stats=1")
        if failed or not told.minimise:
            return failed
        least = Path(name) / "least"
        least.mkdir()
        failed = fuzz([least, CORPUS, new], "-set_cover_merge=1", "-use_counters=0")
        if not failed:
            shutil.rmtree(CORPUS)
            shutil.copytree(least, CORPUS)
        return failed


if __name__ == "__main__":
    sys.exit(main())
