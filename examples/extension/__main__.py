"""The short run: `python -m examples.extension`, from the top of the checkout."""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path

import tollbar

from .building import CannotBuild, build, load

BUDGET = 1_000_000
ASKED = 900_000
KEY = "someone@example.org"


def main() -> int:
    """Let four threads of C and this one of Python spend one budget."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            mailgate = load(build(Path(folder)))
        except CannotBuild as reason:
            print(reason, file=sys.stderr)
            return 1
    # By a clock that stands still, so that nothing flows in meanwhile.
    limiter = tollbar.Limiter(tollbar.Rate(BUDGET, per=3600), clock=tollbar.ManualClock())
    gate = mailgate.attach(limiter)
    in_c: list[int] = []
    relaying = threading.Thread(target=lambda: in_c.append(mailgate.relay(gate, [KEY] * ASKED, threads=4)))
    relaying.start()
    in_python = sum(limiter.try_acquire(KEY) for _ in range(ASKED))
    relaying.join()
    print(f"a budget of {BUDGET:,}, asked for {ASKED:,} times by C and as often by Python")
    print(f"C was allowed {in_c[0]:,}, Python {in_python:,}: {in_c[0] + in_python:,} together")
    return 0 if in_c[0] + in_python == BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
