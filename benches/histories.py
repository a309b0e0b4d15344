"""A send under limits per minute, hour and day, by how many sends are remembered: planned, then logged.

    python benches/histories.py [--quick]

The reference counts as the original does: every check looks at all that was sent in the last day.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections import deque
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from measuring import (
    PLENTY,
    Samples,
    bare_loop_ns,
    collect_and_freeze,
    markdown,
    progress,
    ratio,
    rotated,
    shown_ratio,
)
from tollbar.sliding_window import WINDOW_DAY, WINDOW_HOUR, WINDOW_MINUTE, RateLimiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

# The samples of all who can, by how many sends are remembered when a sample begins.
Histories: TypeAlias = "dict[int, Samples]"

TOLLBAR, COUNTED = "tollbar.sliding_window", "plain Python, counted anew"
REMEMBERED = (100, 10_000, 1_000_000)
# One check that counts a million takes some 50 ms.
COUNTED_AT_MOST = 10_000
_OPERATIONS = 50_000
_NAME = "account@example.org"
_ACCOUNT = {
    "id": _NAME,
    "limit_per_minute": PLENTY,
    "limit_per_hour": PLENTY,
    "limit_per_day": PLENTY,
    "limit_behavior": "defer",
}


class Planner(Protocol):
    """What both have in common."""

    _send_history: Any

    def check_and_plan(self, account: Mapping[str, Any], /) -> Awaitable[tuple[int | None, bool]]:
        """Reserve a place, or say when to ask again."""

    def log_send(self, account_id: str, /) -> Awaitable[None]:
        """Record a send."""


class Counted:
    """The original's design: a deque of seconds an account, one asyncio lock, sums over all of it."""

    def __init__(self) -> None:
        self._send_history: dict[str, deque[int]] = {}
        self._in_flight: dict[str, int] = {}
        self._lock = asyncio.Lock()

    async def check_and_plan(self, account: Mapping[str, Any], /) -> tuple[int | None, bool]:
        """Reserve a place, or say when to ask again."""
        name, now = account["id"], int(time.time())
        async with self._lock:
            sent = self._send_history.setdefault(name, deque())
            while sent and sent[0] <= now - WINDOW_DAY:
                sent.popleft()
            in_flight = self._in_flight.get(name, 0)
            for key, window in (
                ("limit_per_minute", WINDOW_MINUTE),
                ("limit_per_hour", WINDOW_HOUR),
                ("limit_per_day", WINDOW_DAY),
            ):
                since = now - window
                if sum(1 for second in sent if second > since) + in_flight >= int(account[key]):
                    return (now // window + 1) * window, account.get("limit_behavior") == "reject"
            self._in_flight[name] = in_flight + 1
            return None, False

    async def log_send(self, account_id: str, /) -> None:
        """Record a send."""
        now = int(time.time())
        async with self._lock:
            if self._in_flight.get(account_id, 0) > 0:
                self._in_flight[account_id] -= 1
            self._send_history.setdefault(account_id, deque()).append(now)


def remembered(sends: int) -> deque[int]:
    """Spread so many sends evenly over the last day, which stays in force while they are measured."""
    now, span = int(time.time()), WINDOW_DAY - 3 * WINDOW_MINUTE
    return deque(now - span + span * number // sends for number in range(sends))


async def _sample_ns(planner: Planner, sends: int, operations: int) -> float:
    planner._send_history[_NAME] = remembered(sends)  # noqa: SLF001 - what the original's own tools do
    rounds = range(operations)
    started = perf_counter_ns()
    for _ in rounds:
        await planner.check_and_plan(_ACCOUNT)
        await planner.log_send(_NAME)
    spent = perf_counter_ns() - started
    if await planner.check_and_plan(_ACCOUNT) != (None, False):
        raise RuntimeError("denied: that is not what was to be measured")
    return (spent - bare_loop_ns(rounds)) / operations


async def _measured(sends: int, repeats: int, slower: int) -> Samples:
    made: dict[str, Callable[[], Planner]] = {TOLLBAR: RateLimiter}
    if sends <= COUNTED_AT_MOST:
        made[COUNTED] = Counted
    planners = {name: make() for name, make in made.items()}
    # What a sample sends is remembered too: few, where all of it is counted anew.
    few = min(sends // 4, 1_000_000 // sends)
    operations = {TOLLBAR: _OPERATIONS // slower, COUNTED: max(5, few // slower)}
    samples: Samples = {name: [] for name in planners}
    collect_and_freeze()
    for repeat in range(repeats):
        for name in rotated(list(planners), repeat):
            samples[name].append(await _sample_ns(planners[name], sends, operations[name]))
    return samples


def measure(repeats: int, *, quick: bool) -> Histories:
    """Sample both, in rotating order, with each number of remembered sends."""
    measured: Histories = {}
    for sends in REMEMBERED:
        progress(f"a send under three limits, {sends:,} remembered")
        measured[sends] = asyncio.run(_measured(sends, repeats, 20 if quick else 1))
    return measured


def flatness(measured: Histories) -> float:
    """Tell how many times longer it takes with the longest history than with the shortest: of medians."""
    shortest, *_, longest = (statistics.median(samples[TOLLBAR]) for samples in measured.values())
    return longest / shortest


def table(measured: Histories) -> str:
    """Write the Markdown table: nanoseconds, and how many times ours."""
    rows = []
    for name in (TOLLBAR, COUNTED):
        row = [f"**{name}**" if name == TOLLBAR else name]
        for samples in measured.values():
            known = name in samples
            row.append(f"{statistics.median(samples[name]):,.0f}" if known else "")
            row.append(shown_ratio(ratio(samples, name, TOLLBAR)) if known else "")
        rows.append(row)
    headings = ["await check_and_plan, await log_send"]
    for sends in measured:
        headings += [f"{sends:,} sends, ns", "ratio"]
    return markdown(headings, rows)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the work")
    quick = parser.parse_args().quick
    print(table(measure(3 if quick else 7, quick=quick)))


if __name__ == "__main__":
    main()
