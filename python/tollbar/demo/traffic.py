"""Who sends how much: accounts with mixed hourly limits, and clients that send a fixed order of messages."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiosmtplib

from .loopback import HOSTNAME, LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# None stands for an account without a limit of its own: the limiter's default applies.
LIMIT_CYCLE: tuple[int | None, ...] = (10, 20, 50, 100, None)
RECIPIENT = "somebody@example.net"
REFUSED_CODE = 451
REFUSED_STATUS = "4.7.1"
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class RateConfig:
    """An account's own limit."""

    messages_per_hour: int


@dataclass(frozen=True)
class Account:
    """A sender. `limit` is what applies to it, whether its own or the default."""

    email: str
    limit: int
    config: RateConfig | None

    def get_rate_limiting_config(self) -> RateConfig | None:
        """Return the account's own limit, or None for the limiter's default."""
        return self.config


@dataclass(frozen=True)
class Traffic:
    """The accounts, and the sender of every message in the order of sending."""

    accounts: tuple[Account, ...]
    senders: tuple[Account, ...]

    def sent(self) -> Counter[str]:
        """Messages each account sends; an account that sends none is there with 0."""
        counts = Counter({account.email: 0 for account in self.accounts})
        counts.update(account.email for account in self.senders)
        return counts


@dataclass
class Answers:
    """What the clients were told, by account."""

    admitted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    last_refusal: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def plan_traffic(accounts: int, messages: int, default_limit: int, seed: int) -> Traffic:
    """Make accounts and an order of messages, the same ones for the same arguments.

    The busiest account sends twice as much as the next and three times as much as the third, and so on; who
    is busy has nothing to do with the limit, so some accounts exceed theirs by far and others never reach it.
    """
    chance = random.Random(seed)
    senders = []
    for number in range(accounts):
        own = LIMIT_CYCLE[number % len(LIMIT_CYCLE)]
        limit = default_limit if own is None else own
        config = None if own is None else RateConfig(own)
        senders.append(Account(f"sender{number:04}@example.org", limit, config))
    weights = [1.0 / (rank + 1) for rank in range(accounts)]
    chance.shuffle(weights)
    return Traffic(tuple(senders), tuple(chance.choices(senders, weights, k=messages)))


def _message(account: Account) -> bytes:
    return f"From: <{account.email}>\r\nTo: <{RECIPIENT}>\r\nSubject: demo\r\n\r\nOne message.\r\n".encode(
        "ascii"
    )


async def _client(
    port: int, queue: Iterator[Account], answers: Answers, on_answer: Callable[[], None]
) -> None:
    """Send the next message of the shared queue until none is left, over one connection."""
    async with aiosmtplib.SMTP(
        hostname=LOOPBACK,
        port=port,
        use_tls=False,
        start_tls=False,
        local_hostname=HOSTNAME,
        timeout=_TIMEOUT_SECONDS,
    ) as smtp:
        for account in queue:
            try:
                await smtp.sendmail(account.email, [RECIPIENT], _message(account))
            except aiosmtplib.SMTPDataError as refusal:
                # Anything else than the limiter's refusal would falsify the measurement, and must be seen.
                if refusal.code != REFUSED_CODE or not refusal.message.startswith(REFUSED_STATUS):
                    raise
                answers.refused[account.email] += 1
                answers.last_refusal[account.email] = f"{refusal.code} {refusal.message}"
            else:
                answers.admitted[account.email] += 1
            on_answer()


async def send_traffic(traffic: Traffic, port: int, clients: int, on_answer: Callable[[], None]) -> Answers:
    """Send all messages from `clients` concurrent clients; `on_answer` is called after each message."""
    answers = Answers()
    queue = iter(traffic.senders)
    started = time.perf_counter()
    tasks = [asyncio.create_task(_client(port, queue, answers, on_answer)) for _ in range(clients)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    answers.seconds = time.perf_counter() - started
    return answers
