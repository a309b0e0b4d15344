"""Builds `mailgate` with the machine's C compiler: one command, nothing linked."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
HEADERS = HERE.parent.parent / "include"


class CannotBuild(Exception):  # noqa: N818 - said as it is
    """Something is not here that building needs."""


def command(target: Path) -> list[str]:
    """Return the command that makes `target`."""
    given = shlex.split(os.environ.get("CC", ""))
    found = given or [path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))][:1]
    if not found:
        raise CannotBuild("there is no C compiler: neither $CC nor cc, gcc or clang")
    python = Path(sysconfig.get_path("include"))
    if not (python / "Python.h").exists():
        raise CannotBuild(f"there are no headers of this Python: no {python / 'Python.h'}")
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
    if sys.platform == "darwin":
        flags += ["-undefined", "dynamic_lookup"]
    return [*found, *flags, f"-I{HEADERS}", f"-I{python}", str(HERE / "mailgate.c"), "-o", str(target)]


def build(folder: Path) -> Path:
    """Build the module into the folder and return its file."""
    target = folder / f"mailgate{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run(command(target), check=True)  # noqa: S603 - the machine's own compiler
    return target


def load(file: Path) -> Any:
    """Import the module from its file."""
    spec = importlib.util.spec_from_file_location("mailgate", file)
    if spec is None or spec.loader is None:
        raise CannotBuild(f"{file} is no extension module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
