"""Installs the limiters of requirements.txt with the running interpreter, each on its own.

    python benches/install_peers.py

One that cannot be installed here is named and left out; the benchmark then leaves it out, too.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def requirements() -> list[str]:
    """Read the names of the peers, without comments."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return [stripped for line in lines if (stripped := line.split("#", 1)[0].strip())]


def is_here(requirement: str) -> bool:
    """Say whether a peer is installed already, whatever its version."""
    try:
        version(requirement)
    except PackageNotFoundError:
        return False
    return True


def install(requirement: str) -> bool:
    """Install one peer and say whether that worked."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return subprocess.run([*pip, "--retries", "1", requirement], check=False).returncode == 0  # noqa: S603 - our own list


def main() -> int:
    """Install what is missing; never fail."""
    missing = [requirement for requirement in requirements() if not is_here(requirement)]
    failed = [requirement for requirement in missing if not install(requirement)]
    if failed:
        print(f"not installed, so not measured: {', '.join(failed)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
