"""What a queue tells of itself: counts, rates, latency percentiles, and a log line of them."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._ledger import Ledger

_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from acceptance to done, over the last thousand; NaN before the first."""

    p50: float
    p90: float
    p99: float


@dataclass(frozen=True, slots=True)
class Stats:
    """A queue at one moment.

    - `accepted` items so far, of which `done`, `buried`, `handed_back`; `main`, `dead_letters` and
      `in_flight` are those that have not reached their end.
    - `tries` begun, of which `retries` were not an item's first; `expired` of those buried; `late` outcomes
      of calls that were not waited for; `hook_errors`, which were logged; `workers` that are alive.
    - `seconds` since the start, and `latency`.
    """

    accepted: int
    done: int
    buried: int
    handed_back: int
    main: int
    dead_letters: int
    in_flight: int
    tries: int
    retries: int
    expired: int
    late: int
    hook_errors: int
    workers: int
    seconds: float
    latency: Latency

    @property
    def throughput(self) -> float:
        """Items done a second, since the start."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def balanced(self) -> bool:
        """Every accepted item is in exactly one place."""
        waiting = self.main + self.dead_letters + self.in_flight
        return self.accepted == self.done + self.buried + self.handed_back + waiting


class Latencies:
    """The last thousand latencies. Whoever uses it sees to it that he is alone."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, seconds: float) -> None:
        """Remember one more."""
        self._last.append(seconds)

    def copy(self) -> list[float]:
        """Those that are remembered, to be sorted where nobody waits."""
        return list(self._last)


def latency_of(seconds: Sequence[float]) -> Latency:
    """Percentiles by the nearest rank."""
    ordered = sorted(seconds)

    def percentile(part: float) -> float:
        return ordered[math.ceil(part * len(ordered)) - 1] if ordered else math.nan

    return Latency(percentile(0.5), percentile(0.9), percentile(0.99))


def counts_of(ledger: Ledger[Any]) -> dict[str, int]:
    """Read the counts off the ledger."""
    return {
        "accepted": ledger.accepted,
        "done": ledger.done,
        "buried": ledger.buried,
        "handed_back": len(ledger.handed_back),
        "main": sum(len(lane.main) for lane in ledger.lanes.all),
        "dead_letters": sum(lane.dead_letters for lane in ledger.lanes.all),
        "in_flight": len(ledger.flying),
        "tries": ledger.tries,
        "retries": ledger.retries,
        "expired": ledger.expired,
        "late": ledger.late,
    }


def describe(now: Stats, before: Stats) -> str:
    """One log line: sizes now, rates since the line before, latencies of late."""
    seconds = now.seconds - before.seconds

    def rate(name: str) -> str:
        return f"{(getattr(now, name) - getattr(before, name)) / seconds if seconds > 0 else 0.0:.1f}/s"

    latency = "no latency yet"
    if now.done:
        milliseconds = (f"{1000 * part:.0f}" for part in (now.latency.p50, now.latency.p90, now.latency.p99))
        latency = "latency {}/{}/{} ms (50th/90th/99th percentile)".format(*milliseconds)
    return (
        f"waiting {now.main}, dead letters {now.dead_letters}, in flight {now.in_flight}, "
        f"graveyard {now.buried}; accepted {rate('accepted')}, done {rate('done')}, "
        f"retried {rate('retries')}, buried {rate('buried')} over {seconds:.1f} s; {latency}"
    )
