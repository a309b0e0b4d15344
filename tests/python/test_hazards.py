"""Each hazard in tests/hazards.txt has a test that names it, and no test names one that is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "hazards.py"


def test_every_hazard_has_a_test_and_every_marker_a_hazard():
    told = subprocess.run(
        [sys.executable, SCRIPT], stdout=subprocess.PIPE, text=True, check=False, timeout=60
    )
    assert told.returncode == 0, told.stdout
    assert int(told.stdout.splitlines()[-1].split()[0]) > 30
