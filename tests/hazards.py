"""Lists what has broken other limiters and is not tried here, and markers of what nobody lists.

    python tests/hazards.py

tests/hazards.txt has a line for each hazard. A test in Rust, C or Go names one in a comment, a test in Python
in a marker.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests" / "hazards.txt"
NAMED = re.compile(r'HAZARD ([a-z0-9-]+)|hazard\("([a-z0-9-]+)"\)')
TESTS = ("src/**/*.rs", "tests/*.rs", "tests/python/*.py", "tests/c/*.c", "go/*_test.go")


def listed() -> set[str]:
    """The hazards that there are."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return {line.split()[0] for line in lines if line.strip() and not line.startswith("#")}


def named() -> set[str]:
    """The hazards that tests say they try."""
    sources = [source for pattern in TESTS for source in ROOT.glob(pattern)]
    return {a or b for source in sources for a, b in NAMED.findall(source.read_text(encoding="utf-8"))}


def main() -> int:
    """Print what does not fit together."""
    hazards, tried = listed(), named()
    for hazard in sorted(hazards - tried):
        print(f"{hazard}: no test tries it")
    for hazard in sorted(tried - hazards):
        print(f"{hazard}: a test names it, and it is not in {LIST.name}")
    print(f"{len(hazards & tried)} of {len(hazards)} hazards have a test")
    return 1 if hazards ^ tried or not hazards else 0


if __name__ == "__main__":
    sys.exit(main())
