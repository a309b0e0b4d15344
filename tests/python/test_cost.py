"""What a decision does not do: call the system, or keep memory. Counted, not timed."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tollbar

ONE_CALL = Path(__file__).parents[2] / "benches" / "one_call.py"


def system_calls(case: str, count: int, folder: Path) -> int:
    """Run a case under strace, all threads, and give the total of its summary."""
    out = folder / f"{case}-{count}"
    command = ["strace", "-f", "-c", "-o", str(out), sys.executable, str(ONE_CALL), case, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"strace does not work here: {done.stderr.strip()[-200:]}")
    # percent, seconds, microseconds a call, calls, perhaps errors, "total"
    return int(out.read_text().splitlines()[-1].split()[3])


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
@pytest.mark.parametrize("case", ["try_acquire", "await_acquire"])
def test_a_million_more_decisions_make_no_more_system_calls(case, tmp_path):
    few, many = (system_calls(case, count, tmp_path) for count in (1_000, 1_001_000))
    assert few > 100  # the interpreter's own start is counted
    # Starting differs by a call or two from run to run; one in a thousand decisions would be 1,000 more.
    assert abs(many - few) < 50


def test_decisions_keep_no_memory():
    limiter = tollbar.Limiter(tollbar.Rate(5_000, 3600))
    mail = tollbar.RateLimiter(5_000)

    def decide(count):
        for _ in range(count):
            limiter.try_acquire("a")
            mail.try_acquire("a")
            mail.acquire("a")
            limiter.try_acquire_many(["a", "b"])

    decide(10_000)  # allowed, then denied
    gc.collect()
    before = sys.getallocatedblocks()
    decide(50_000)
    gc.collect()
    assert sys.getallocatedblocks() - before < 100
