"""One round: all the traffic through the relay with one limiter, and what was measured on the way."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tollbar

from .loopback import serving
from .relay import Relay, Upstream
from .traffic import Traffic, send_traffic

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .contenders import Contender
    from .sink import Sink

MAX_BUCKETS = 10_000


@dataclass(frozen=True)
class Round:
    """What was measured of one contender in one round."""

    contender: Contender
    seconds: float
    admitted_ns: list[int]
    refused_ns: list[int]
    admitted: Counter[str]
    refused: Counter[str]
    received: Counter[str]
    window_ns: dict[str, int]
    last_refusal: dict[str, str]
    log_lines: int


class DenialLog(logging.FileHandler):
    """Writes the limiters' log lines to a file and counts them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8")
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self.lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self.lines += 1
        super().emit(record)


@contextlib.contextmanager
def denial_log(path: Path) -> Iterator[DenialLog]:
    """Send what any limiter logs to a file, as a proxy would, and nowhere else, until the block ends.

    The references log below tollbar's own logger, so one handler serves all alike.
    """
    logger = logging.getLogger("tollbar")
    handler = DenialLog(path)
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield handler
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)
        handler.close()


async def play_round(
    contender: Contender,
    traffic: Traffic,
    on_answer: Callable[[], None],
    *,
    default_limit: int,
    clients: int,
    sink: Sink,
    log: DenialLog,
) -> Round:
    """Send the traffic through a fresh relay with a fresh limiter, every account's limit untouched."""
    limiter = contender.make(default_limit, MAX_BUCKETS)
    accounts = {account.email: account for account in traffic.accounts}
    upstream = Upstream(sink.port)
    relay = Relay(limiter, tollbar.RateLimitExceeded, accounts, upstream)
    lines_before = log.lines
    try:
        async with serving(relay) as port:
            answers = await send_traffic(traffic, port, clients, on_answer)
    finally:
        await upstream.close()
    return Round(
        contender=contender,
        seconds=answers.seconds,
        admitted_ns=relay.admitted_ns.tolist(),
        refused_ns=relay.refused_ns.tolist(),
        admitted=answers.admitted,
        refused=answers.refused,
        received=await sink.take_counts(),
        window_ns={
            email: relay.last_answered_ns[email] - first for email, first in relay.first_asked_ns.items()
        },
        last_refusal=answers.last_refusal,
        log_lines=log.lines - lines_before,
    )
