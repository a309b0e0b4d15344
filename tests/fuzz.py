"""Fuzzes each target for a while, from the corpus that is kept on: `python3 tests/fuzz.py --seconds 60`.

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
CORPUS = ROOT / "fuzz" / "corpus"
TARGETS = sorted(
    source.stem
    for source in (ROOT / "fuzz" / "fuzz_targets").glob("*.rs")
    if "fuzz_target!" in source.read_text()
)
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


def fuzz(target: str, corpus: list[Path], *options: str) -> int:
    """Build a target with the address sanitizer and run it; what is new goes to the first folder."""
    FOUND.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = ["cargo", "fuzz", "run", "--target-dir", ROOT / "target" / "fuzz", target]
    libfuzzer = ["-max_len=1024", "-timeout=20", f"-artifact_prefix={FOUND}{os.sep}", *options]
    return run([*command, *corpus, "--", *libfuzzer], **ALLOWED)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="how long to look for something new")
    parser.add_argument("--target", choices=TARGETS, help="fuzz this one alone")
    parser.add_argument("--only", type=Path, metavar="FILE", help="give the target this input alone")
    parser.add_argument("--minimise", action="store_true", help="write the corpus anew")
    told = parser.parse_args()
    if told.only and not told.target:
        parser.error("--only needs a --target")

    have_the_tool()
    if told.only:
        return fuzz(told.target, [told.only.resolve()])
    for target in [told.target] if told.target else TARGETS:
        print(f"--- {target}", flush=True)
        if failed := fuzz_for(target, told.seconds, minimise=told.minimise):
            return failed
    print(f"{told.seconds} s for each of {', '.join(TARGETS)}: nothing found")
    return 0


def fuzz_for(target: str, seconds: int, *, minimise: bool) -> int:
    corpus = CORPUS / target
    corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        new = Path(name) / "new"
        new.mkdir()
        failed = fuzz(target, [new, corpus], f"-max_total_time={seconds}", "-print_final_stats=1")
        if failed or not minimise:
            return failed
        least = Path(name) / "least"
        least.mkdir()
        failed = fuzz(target, [least, corpus, new], "-set_cover_merge=1", "-use_counters=0")
        if not failed:
            shutil.rmtree(corpus)
            shutil.copytree(least, corpus)
        return failed


if __name__ == "__main__":
    sys.exit(main())
