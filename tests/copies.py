"""Copies of this tree in which something may be broken: what git knows, as it is now."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def refresh(copy: Path) -> None:
    """Make a copy what the tree is now, and leave what did not change as old as it was."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    names = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for name in names:
        old, new = copy / name, ROOT / name
        if not old.exists() or old.read_bytes() != new.read_bytes():
            old.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(new, old)
            shutil.copymode(new, old)
    for room in ("src", "tests"):
        for old in (copy / room).rglob("*"):
            if old.is_file() and str(old.relative_to(copy)) not in names:
                old.unlink()
