"""Runs one kind of call a given number of times, for a tool that counts instructions.

python benches/one_call.py try_acquire|await_acquire|await_denied|loop COUNT
"""

from __future__ import annotations

import asyncio
import gc
import sys

import tollbar

KEY = "someone@example.org"


async def main(case: str, count: int) -> None:
    """Make everything first, then do nothing but the calls."""
    limiter = tollbar.Limiter(tollbar.Rate(1_000_000, 3600, burst=10_000_000))
    mail = tollbar.RateLimiter(1_000_000, burst_size=10_000_000)
    limiter.try_acquire(KEY)
    mail.try_acquire(KEY)
    spent = tollbar.RateLimiter(1)
    spent.try_acquire(KEY)
    gc.disable()
    times = range(count)
    if case == "try_acquire":
        for _ in times:
            limiter.try_acquire(KEY)
    elif case == "await_acquire":
        for _ in times:
            await mail.acquire(KEY)
    elif case == "await_denied":
        for _ in times:
            try:  # noqa: SIM105 - what a caller writes
                await spent.acquire(KEY)
            except tollbar.RateLimitExceeded:  # noqa: PERF203
                pass
    else:
        for _ in times:
            pass


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
