"""The Go package: builds the library, puts it where pkg-config finds it, and tests all that is written in Go.

    python tests/go/run.py [--only STEP] [--thorough] [--prefix] [--bench]

Needs cargo, a C compiler, pkg-config and Go; the network once, for the modules of the example and of the
benchmark. With --prefix it only builds the library, and says what `go test ./...` in go/ needs to find it.
With --bench it prints what benches/go measures, with the library as it is released.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
PACKAGE = ROOT / "go"
EXAMPLES = ROOT / "examples" / "go"
BENCHES = ROOT / "benches" / "go"

# No command takes longer; one that does hangs.
LONGEST_SECONDS = 3600
STATICCHECK = "honnef.co/go/tools/cmd/staticcheck@v0.8.2"

# As it would be installed, but for where programs look for the library: this folder is none of the system's.
PKG_CONFIG = """\
prefix={prefix}
libdir=${{prefix}}/lib
includedir=${{prefix}}/include

Name: tollbar
Description: A native rate limiter
Version: {version}
Libs: -L${{libdir}} -Wl,-rpath,${{libdir}} -ltollbar
Libs.private: -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc
Cflags: -I${{includedir}}
"""


def run(command: list[str], folder: Path, **environment: str) -> None:
    """Run a command that must succeed."""
    known = {**os.environ, **environment}
    subprocess.run(command, cwd=folder, env=known, check=True, timeout=LONGEST_SECONDS)


def build(profile: str) -> Path:
    """Build the library, shared and static; return the folder it is in."""
    print(f"building the library, profile {profile}", flush=True)
    command = ["cargo", "rustc", "--quiet", "--profile", profile, "--lib", "--features", "capi"]
    run([*command, "--crate-type", "cdylib,staticlib"], ROOT, CARGO_TARGET_DIR=str(TARGET))
    return TARGET / profile


def install(built: Path, prefix: Path, libraries: list[str]) -> dict[str, str]:
    """Make a prefix that pkg-config understands; return the environment that leads to it."""
    lib = prefix / "lib"
    for folder in (prefix / "include", lib / "pkgconfig"):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "include" / "tollbar.h", prefix / "include")
    for library in libraries:
        # A new file, not new bytes in the old one: a program that runs has that one mapped.
        fresh = lib / f"{library}.new"
        shutil.copy(built / library, fresh)
        fresh.replace(lib / library)
    header = (ROOT / "include" / "tollbar.h").read_text(encoding="utf-8")
    version = re.findall(r'^#define TOLLBAR_VERSION "(.+)"$', header, re.MULTILINE)[0]
    (lib / "pkgconfig" / "tollbar.pc").write_text(
        PKG_CONFIG.format(prefix=prefix, version=version), encoding="utf-8"
    )
    return {"PKG_CONFIG_PATH": str(lib / "pkgconfig"), "CGO_ENABLED": "1"}


def shared_prefix(profile: str) -> dict[str, str]:
    """Build the library, and install it as most systems do."""
    library = "libtollbar.dylib" if sys.platform == "darwin" else "libtollbar.so"
    return install(build(profile), TARGET / f"go-prefix-{profile}", [library, "libtollbar.a"])


def formatted() -> None:
    """Whether gofmt would change anything."""
    folders = [str(folder) for folder in (PACKAGE, EXAMPLES, BENCHES)]
    gofmt = shutil.which("gofmt") or "gofmt"
    command = [gofmt, "-l", *folders]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LONGEST_SECONDS)
    if told.stdout:
        raise SystemExit(f"gofmt would change:\n{told.stdout}")


def everywhere(command: list[str], environment: dict[str, str]) -> None:
    """Run a command in each of the modules."""
    for folder in (PACKAGE, EXAMPLES, BENCHES):
        run(command, folder, **environment)


def main() -> int:
    """Run the steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="STEP", default="", help="run only steps whose name contains this")
    parser.add_argument("--prefix", action="store_true", help="build the library, and nothing else")
    parser.add_argument("--bench", action="store_true", help="measure, and nothing else")
    parser.add_argument("--quick", action="store_true", help="with --bench: whether it runs")
    parser.add_argument("--thorough", action="store_true", help="also what takes minutes at its first time")
    arguments = parser.parse_args()

    if arguments.bench:
        quick = ["-quick"] if arguments.quick else []
        run(["go", "run", ".", *quick], BENCHES, **shared_prefix("release"))
        return 0
    shared = shared_prefix("quick")
    if arguments.prefix:
        print(f"export PKG_CONFIG_PATH={shared['PKG_CONFIG_PATH']}")
        return 0
    static = install(TARGET / "quick", TARGET / "go-prefix-static", ["libtollbar.a"])
    test = ["go", "test", "-count=1"]
    steps: dict[str, Callable[[], None]] = {
        "gofmt": formatted,
        "vet": lambda: everywhere(["go", "vet", "./..."], shared),
        "tests": lambda: run([*test, "./..."], PACKAGE, **shared),
        "race detector": lambda: run([*test, "-race", "./..."], PACKAGE, **shared),
        # What is lent to C is checked, and each garbage collection comes as soon as it can.
        "pointers": lambda: run([*test, "-short", "."], PACKAGE, GODEBUG="cgocheck=1", GOGC="1", **shared),
        "static library": lambda: run([*test, "-short", "-run", "Example|Vectors", "."], PACKAGE, **static),
        "example": lambda: run([*test, "./..."], EXAMPLES, **shared),
        "benchmark": lambda: run(["go", "run", ".", "-quick"], BENCHES, **shared),
    }
    if arguments.thorough:
        # Every write of a pointer is checked, too, for which the whole of Go's library is built anew.
        more = {"GOEXPERIMENT": "cgocheck2", "GOGC": "1", **shared}
        steps["all pointers"] = lambda: run([*test, "."], PACKAGE, **more)
        steps["staticcheck"] = lambda: everywhere(["go", "run", STATICCHECK, "./..."], shared)
    failed = []
    for name, step in steps.items():
        if arguments.only not in name:
            continue
        begun = time.monotonic()
        try:
            step()
        except (subprocess.SubprocessError, SystemExit) as error:
            failed.append(name)
            print(error, flush=True)
        outcome = "FAILED" if name in failed else "passed"
        print(f"{outcome} {time.monotonic() - begun:6.1f} s  go: {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
