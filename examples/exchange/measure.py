"""Runs each contender against an exchange of its own, and counts what that exchange answered."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from .client import STOPPING_SECONDS, Plan, Ran
from .rules import MOST_REJECTIONS
from .running import Event, running_exchange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .client import Progress
    from .contenders import Contender
    from .nonces import Nonces
    from .rules import Legs

# Seconds that a server may live longer than it is needed.
_SPARE_SECONDS = 30.0
# The first second admits a window's worth at once, which no client can keep up.
WARM_UP = 1.0


@dataclass(frozen=True)
class Setting:
    """What is the same for all contenders; with `jump` the legs change in the middle of the run."""

    seconds: float
    legs: Legs
    jump: Legs | None
    room: int
    ttl: float


@dataclass(frozen=True)
class Result:
    """One contender's run, by the exchange's own events and the queue's own books."""

    name: str
    seconds: float
    events: Sequence[Event]
    ran: Ran

    def count(self, status: HTTPStatus, since: float = 0.0) -> int:
        """So many of these answers, from that second on."""
        return sum(event.status == status and since <= event.at for event in self.events)

    @property
    def throughput(self) -> float:
        """Requests served a second, from the end of the first second to the end of the run."""
        served = sum(
            event.status == HTTPStatus.OK and WARM_UP < event.at <= self.seconds for event in self.events
        )
        return served / (self.seconds - WARM_UP)

    @property
    def blocked(self) -> int:
        """How many keys were blocked."""
        rejected = Counter(event.key for event in self.events if event.status == HTTPStatus.TOO_MANY_REQUESTS)
        return sum(count >= MOST_REJECTIONS for count in rejected.values())

    def a_second(self, status: HTTPStatus) -> list[int]:
        """How many of these answers were given in each second of the run."""
        counts = Counter(int(event.at) for event in self.events if event.status == status)
        return [counts[second] for second in range(max(1, round(self.seconds)))]

    def as_dict(self) -> dict[str, Any]:
        """Give what goes into the JSON file."""
        stats = self.ran.stats
        return {
            "name": self.name,
            "seconds": self.seconds,
            "requests_per_second": round(self.throughput, 2),
            "served": self.count(HTTPStatus.OK),
            "rejected": self.count(HTTPStatus.TOO_MANY_REQUESTS),
            "rejected_after_first_second": self.count(HTTPStatus.TOO_MANY_REQUESTS, WARM_UP),
            "bad_nonces": self.count(HTTPStatus.BAD_REQUEST),
            "blocked_keys": self.blocked,
            "processor_seconds": round(self.ran.processor_seconds, 3),
            "balanced": stats.balanced,
            "accepted": stats.accepted,
            "done": stats.done,
            "buried": stats.buried,
            "expired": stats.expired,
            "handed_back": stats.handed_back,
            "retries": stats.retries,
            "latency_ms": [
                round(1000 * part, 1) for part in (stats.latency.p50, stats.latency.p90, stats.latency.p99)
            ],
            "served_each_second": self.a_second(HTTPStatus.OK),
            "rejected_each_second": self.a_second(HTTPStatus.TOO_MANY_REQUESTS),
        }


def measure(contender: Contender, setting: Setting, nonces: Nonces, progress: Progress) -> Result:
    """Run one contender."""
    seconds = setting.seconds
    life = seconds + STOPPING_SECONDS + _SPARE_SECONDS
    with running_exchange(setting.legs, life=life, jump=setting.jump, jump_after=seconds / 2) as exchange:
        plan = Plan(exchange.port, seconds, contender.concurrency, setting.room, setting.ttl)
        ran = contender.run(plan, nonces, progress)
        events = exchange.events()
    return Result(contender.name, seconds, events, ran)
