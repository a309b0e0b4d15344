"""Installs the C library by `make install-c` into an empty folder, and builds programs against that alone.

Needs cargo, make, gcc, pkg-config, readelf and nm; takes cmake where it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from run import BUILT, ROOT, TARGET, WARNINGS, declared, exported

# The same library, sooner: what is looked at here is where files are and what is in them.
QUICK = {
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
}
ACCOUNTS = "a\nb\na\nb\na\n"


def told(command: list[str | Path], **environment: str) -> str:
    """Return what a command says; a failure ends everything."""
    environment = {**os.environ, **environment}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=1800
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def version() -> str:
    found = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def install(prefix: Path, *, below: Path | None = None) -> None:
    command: list[str | Path] = ["make", "--no-print-directory", "install-c", f"PREFIX={prefix}"]
    command += [f"DESTDIR={below}"] if below else []
    told(command, CARGO_TARGET_DIR=str(TARGET / "install"), **QUICK)


def check_files(prefix: Path) -> None:
    """See that every file is where it belongs, and that the shared library's names lead to each other."""
    library, header = prefix / "lib", prefix / "include" / "tollbar.h"
    major, minor, _ = version().split(".")
    # Before 1.0 each minor version is an interface of its own.
    soname = f"libtollbar.so.{major}" if major != "0" else f"libtollbar.so.{major}.{minor}"
    real = library / f"libtollbar.so.{version()}"
    assert real.is_file() and not real.is_symlink(), real
    for name in (soname, "libtollbar.so"):
        link = library / name
        assert link.is_symlink() and link.resolve() == real.resolve(), link
    dynamic = told(["readelf", "-d", real])
    assert f"soname: [{soname}]" in dynamic, dynamic
    assert (library / "libtollbar.a").is_file()
    assert header.read_bytes() == (ROOT / "include" / "tollbar.h").read_bytes()
    assert exported(real) == declared(), exported(real) ^ declared()
    print(f"installed: {real.name} as {soname}, libtollbar.a, tollbar.h, tollbar.pc", flush=True)


def check_program(program: Path, how: str, **environment: str) -> None:
    """Let five accounts through, two a key: the last one is refused."""
    done = subprocess.run(
        [program, "--rate", "2", "--per", "1000000"],
        input=ACCOUNTS,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.endswith("4 allowed, 1 denied, 2 accounts\n"), done.stdout
    print(f"works: {how}", flush=True)


def check_programs(prefix: Path) -> None:
    packages = {"PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
    found = {"LD_LIBRARY_PATH": str(prefix / "lib")}
    assert told(["pkg-config", "--modversion", "tollbar"], **packages).strip() == version()
    source = ROOT / "examples" / "c" / "relay.c"
    base: list[str | Path] = ["gcc", "-std=c11", "-pthread", *WARNINGS, source]

    shared = told(["pkg-config", "--cflags", "--libs", "tollbar"], **packages).split()
    told([*base, "-o", BUILT / "relay-shared", *shared])
    check_program(BUILT / "relay-shared", "pkg-config --cflags --libs tollbar", **found)

    flags = told(["pkg-config", "--static", "--cflags", "--libs", "tollbar"], **packages).split()
    # Only the library itself is taken from its archive: the linker prefers a shared one that lies beside it.
    static = [str(prefix / "lib" / "libtollbar.a") if flag == "-ltollbar" else flag for flag in flags]
    told([*base, "-o", BUILT / "relay-static", *static])
    assert "libtollbar" not in told(["readelf", "-d", BUILT / "relay-static"])
    check_program(BUILT / "relay-static", "pkg-config --static --cflags --libs tollbar, from the archive")

    if shutil.which("cmake") is None:
        print("NOT TRIED: cmake is not here, so the example's CMakeLists.txt was not built")
        return
    folder = BUILT / "cmake"
    shutil.rmtree(folder, ignore_errors=True)
    told(["cmake", "-S", source.parent, "-B", folder], **packages)
    told(["cmake", "--build", folder])
    check_program(folder / "relay", "examples/c/CMakeLists.txt", **found)


def main() -> int:
    missing = [tool for tool in ("make", "gcc", "pkg-config", "readelf", "nm") if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"not here: {', '.join(missing)}")
    BUILT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        prefix = Path(name) / "prefix"
        install(prefix)
        check_files(prefix)
        check_programs(prefix)
        below = Path(name) / "below"
        install(Path("/usr"), below=below)
        check_files(below / "usr")
        told_prefix = (below / "usr/lib/pkgconfig/tollbar.pc").read_text(encoding="utf-8")
        assert "prefix=/usr\n" in told_prefix, told_prefix
    print("DESTDIR is where files go, and nowhere in what they say")
    return 0


if __name__ == "__main__":
    sys.exit(main())
