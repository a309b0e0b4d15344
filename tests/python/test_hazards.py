"""Each hazard in tests/hazards.txt has a test that names it, and no test names one that is not there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r'HAZARD ([a-z0-9-]+)|hazard\("([a-z0-9-]+)"\)')


def listed() -> tuple[set[str], set[str]]:
    lines = (ROOT / "tests/hazards.txt").read_text().splitlines()
    entries = [line.split(None, 2) for line in lines if line.strip() and not line.startswith("#")]
    later = {entry[1] for entry in entries if entry[0] == "later"}
    return {entry[0] for entry in entries if entry[0] != "later"}, later


def named() -> set[str]:
    patterns = ["src/**/*.rs", "tests/*.rs", "tests/python/*.py", "tests/c/*.c", "go/*_test.go"]
    sources = [source for pattern in patterns for source in ROOT.glob(pattern)]
    sources.remove(Path(__file__))
    return {a or b for source in sources for a, b in NAMED.findall(source.read_text())}


def test_every_hazard_has_a_test_and_every_marker_a_hazard():
    answered, later = listed()
    assert len(answered) > 30
    assert answered - named() == set(), "hazards without a test"
    assert named() - answered - later == set(), "markers without a hazard"
