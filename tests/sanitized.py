"""Runs the Rust suite under AddressSanitizer and LeakSanitizer, and its threads under ThreadSanitizer.

    python tests/sanitized.py [--only address|thread]

ThreadSanitizer must see all that orders threads, the standard library's part of it included, so it needs a
compiler that can build that anew; where there is none, that is said and nothing is claimed. (The C suite runs
under valgrind's helgrind instead.)
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from proof import ROOT, RUST_PASSED, told

# Flags that a stable compiler takes only when it is told that it may.
ALLOWED = {"RUSTC_BOOTSTRAP": "1"}
HOST = re.compile(r"^host: (.+)$", re.MULTILINE)
# They watch memory, of which the sanitizer's own allocator keeps what is freed for a while.
NOT_TRIED = {"cost", "flood"}
# Threads that share a limiter.
THREADED = ["threads", "composite_threads", "together", "waiting"]


def host() -> str:
    """The target that the compiler builds for by itself; naming it keeps build scripts free of the flags."""
    found = HOST.search(told(["rustc", "--version", "--verbose"])[1])
    if found is None:
        raise RuntimeError("rustc does not say what it builds for")
    return found.group(1)


def integration_tests() -> list[str]:
    """Names of the test files, each with an argument before it."""
    names = sorted(file.stem for file in (ROOT / "tests").glob("*.rs"))
    return [argument for name in names if name not in NOT_TRIED for argument in ("--test", name)]


def run(sanitizer: str, *what: str, flags: str = "") -> int:
    """Build tests with a sanitizer and run them; say how many passed, or give their return code."""
    environment = {
        **ALLOWED,
        "PROOF": os.environ.get("PROOF") or "short",
        "RUSTFLAGS": f"-Zsanitizer={sanitizer}",
        "CARGO_TARGET_DIR": str(ROOT / "target" / f"sanitized-{sanitizer}"),
        "ASAN_OPTIONS": "detect_leaks=1",
    }
    command = ["cargo", "test", "--quiet", "--features", "capi", "--target", host(), *flags.split(), *what]
    code, output = told(command, **environment)
    passed = sum(map(int, RUST_PASSED.findall(output)))
    if code or not passed:
        print(output[-20_000:])
        return code or 1
    print(f"proof: {passed} tests under {sanitizer.capitalize()}Sanitizer")
    return 0


def has_sources() -> bool:
    """Whether the standard library can be built anew."""
    sysroot = Path(told(["rustc", "--print", "sysroot"])[1].strip())
    return (sysroot / "lib/rustlib/src/rust/library/std").is_dir()


def main() -> int:
    """Run under each sanitizer that can be had."""
    parser = argparse.ArgumentParser(description="runs the Rust suite under sanitizers")
    parser.add_argument("--only", choices=["address", "thread"], help="under this one alone")
    only = parser.parse_args().only
    failed = 0
    if only != "thread":
        failed |= run("address", "--lib", *integration_tests())
    if only != "address":
        if has_sources():
            threaded = [argument for name in THREADED for argument in ("--test", name)]
            failed |= run("thread", "--lib", *threaded, flags="-Zbuild-std")
        else:
            print("seen: no ThreadSanitizer, for the standard library's sources are not here")
    return failed


if __name__ == "__main__":
    sys.exit(main())
