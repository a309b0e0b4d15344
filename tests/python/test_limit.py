"""The suite cannot hang: a test that does not end is ended, whatever it holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import conftest

# The second one keeps the interpreter's lock, where there is one.
HANGS = {
    "waiting": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "attached": "ctypes.PyDLL(None).pause()",
}


@pytest.mark.skipif(os.name != "posix", reason="no pause() here")
@pytest.mark.parametrize("how", HANGS)
def test_a_test_that_hangs_is_ended_and_says_where(how, tmp_path):
    (tmp_path / "test_hangs.py").write_text(
        f"import ctypes, threading\ndef test_hangs():\n    {HANGS[how]}\n", encoding="utf-8"
    )
    (tmp_path / "conftest.py").write_bytes(Path(conftest.__file__).read_bytes())
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, tmp_path]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TOLLBAR_TEST_SECONDS": "0.5"},
    )
    assert done.returncode == 1
    assert "Timeout (0:00:00.5" in done.stderr
    assert "in test_hangs" in done.stderr
