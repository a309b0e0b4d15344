"""Finds a free-threaded interpreter, builds a released tollbar for it, and has it measure threads.

What it runs is free_threaded.py.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from free_threaded import ALONE, PRIVATE, SAME_KEY, SHARED
from measuring import Samples, markdown, progress, ratio, shown_ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
_PLACE = ROOT / ".venv" / "bench-free-threaded"
_INSIDE = _PLACE / "bin" / "python"
_READY = _PLACE / ".ready"
_SCRIPT = Path(__file__).with_name("free_threaded.py")
_SOURCES = ("src/**/*.rs", "build.rs", "Cargo.*", "pyproject.toml", "python/**/*.py")
_DESCRIBE = """
import sys, sysconfig
assert sys.version_info >= (3, 14) and sysconfig.get_config_var("Py_GIL_DISABLED")
"""


@dataclass(frozen=True)
class FreeThreaded:
    """What the interpreter told, or why there is none."""

    version: str = ""
    threads: Samples | None = None
    called: Samples | None = None
    awaited: Samples | None = None
    left_out: str = ""


def _candidates() -> Iterator[Path]:
    """Look where interpreters usually are: on PATH, from pyenv, from uv, in a cache of one's own."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield from sorted(Path(folder).glob("python3.*t"), reverse=True)
    home = Path.home()
    for pattern in (
        ".pyenv/versions/3.*t*/bin/python3",
        ".local/share/uv/python/cpython-3.*freethreaded*/bin/python3",
        ".cache/python3.*t/bin/python3",
    ):
        yield from sorted(home.glob(pattern), reverse=True)


def _runs(command: list[str | Path], **environment: str) -> str:
    """Run a command; give what it said last if it fails, else nothing."""
    try:
        subprocess.run(  # noqa: S603 - our own commands
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
            text=True,
        )
    except OSError as error:
        return str(error)
    except subprocess.CalledProcessError as error:
        return f"{error.stderr}{error.stdout}".strip().rsplit("\n", 1)[-1] or str(error)
    return ""


def _interpreter() -> Path | None:
    return next((one for one in _candidates() if one.is_file() and not _runs([one, "-c", _DESCRIBE])), None)


def _is_fresh() -> bool:
    if not _READY.exists():
        return False
    built = _READY.stat().st_mtime
    return all(source.stat().st_mtime < built for pattern in _SOURCES for source in ROOT.glob(pattern))


def _build() -> str:
    """Make the environment and install a released tollbar; say what went wrong, if anything."""
    python = _interpreter()
    if python is None:
        return "there is no free-threaded CPython here"
    progress(f"a release build for {python}")
    _READY.unlink(missing_ok=True)
    # A target folder of its own, so that no other interpreter's build is undone.
    wrong = _runs([python, "-m", "venv", "--clear", _PLACE]) or _runs(
        [_INSIDE, "-m", "pip", "install", "--quiet", "."], CARGO_TARGET_DIR=str(ROOT / "target" / _PLACE.name)
    )
    if not wrong:
        _READY.touch()
    return wrong


def _left_out(reason: str) -> FreeThreaded:
    print(f"left out: free-threaded interpreter ({reason})", file=sys.stderr)
    return FreeThreaded(left_out=reason)


def measure(*, quick: bool) -> FreeThreaded:
    """Build what is missing (never when it has to be quick) and run the script."""
    if quick and not _READY.exists():
        return _left_out("--quick makes no build for it")
    if not quick and not _is_fresh() and (wrong := _build()):
        return _left_out(wrong)
    progress("threads without the interpreter's lock")
    options = ["--quick"] if quick else []
    command: list[str | Path] = [_INSIDE, _SCRIPT, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603 - our own script
    if done.returncode:
        return _left_out("its measurement failed")
    return FreeThreaded(**json.loads(done.stdout))


def table(measured: FreeThreaded) -> str:
    """Write the Markdown table, or why there is none."""
    if measured.threads is None:
        return f"Not measured on a free-threaded interpreter: {measured.left_out}."
    rows = [
        [
            way,
            f"{statistics.median(measured.threads[way]):,.0f}",
            shown_ratio(ratio(measured.threads, PRIVATE, way)),
        ]
        for way in (ALONE, PRIVATE, SHARED, SAME_KEY)
    ]
    threads = markdown(
        [f"CPython {measured.version} without its lock", "ns per decision of all", "throughput"], rows
    )
    one_thread = {**(measured.called or {}), **(measured.awaited or {})}
    single = [[name, f"{statistics.median(samples):,.1f}"] for name, samples in one_thread.items()]
    return threads + "\n\n" + markdown(["one thread, one key, without the lock", "ns"], single)
