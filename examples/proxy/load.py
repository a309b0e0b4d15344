"""The load: accounts that are worked on until each was refused, by clients that mostly misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tollbar.demo.sink import running_sink

from . import accounts, clients
from .running import Sample, running_proxy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tollbar.demo.sink import Sink

    from .running import RunningProxy

_DRIVERS = 16
_CROWD = 6
_SILENT = 4
# In each is somebody who stays for two answers: enough for any limit here.
_CROWDS = 2 * max(accounts.LIMITS)
_SAMPLE_SECONDS = 0.5
# What an interpreter, its pools and the table's first chunks take until they are warm.
WARM_UP_PART = 0.25
_SPARE_SECONDS = 120.0


@dataclass
class Run:
    """What was asked, told, counted and sampled."""

    seconds: float
    told: clients.Told = field(default_factory=clients.Told)
    finished: list[str] = field(default_factory=list)
    received: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    samples: list[tuple[float, Sample]] = field(default_factory=list)
    first: Sample | None = None
    last: Sample | None = None

    def inexact(self) -> dict[str, tuple[int, int]]:
        """By account, what the next server received and the limit, where the two differ."""
        found = {}
        for email in self.received.keys() | set(self.finished):
            known = accounts.account(email)
            limit = 0 if known is None else known.limit
            if self.received[email] != limit:
                found[email] = (self.received[email], limit)
        return found

    def warm(self) -> list[Sample]:
        """Give the samples after the warm-up."""
        return [sample for at, sample in self.samples if at >= self.seconds * WARM_UP_PART]

    def growth_bytes(self) -> int:
        """Resident bytes at the end that were not there at the first sample after the warm-up."""
        warm = self.warm()
        return 0 if self.last is None or not warm else self.last.resident - warm[0].resident


async def _do(
    client: Callable[[int, str, clients.Told], Awaitable[None]], port: int, account: str, run: Run
) -> None:
    """Let a client have its way; what should not have happened is kept."""
    run.told.clients[client.__name__] += 1
    try:
        await client(port, account, run.told)
    except (clients.UnexpectedError, OSError, asyncio.TimeoutError) as error:
        run.unexpected.append(f"{client.__name__}: {type(error).__name__}: {error}")


async def _work(port: int, numbers: Iterator[int], ends: float, chance: random.Random, run: Run) -> None:
    """Take one account after the other, and each until somebody who stayed for the answer was refused."""
    for number in numbers:
        if time.monotonic() >= ends:
            return
        account = accounts.name(number)
        for _ in range(_CROWDS):
            crowd = chance.choices(clients.CROWD, k=_CROWD)
            await asyncio.gather(*(_do(client, port, account, run) for client in (*crowd, clients.behaves)))
            if run.unexpected or run.told.refused[account]:
                break
        else:
            run.unexpected.append(f"{account} was never refused")
        if run.unexpected:
            return
        await _do(chance.choice(clients.FLOODS), port, account, run)
        run.finished.append(account)


async def _stay_silent(port: int, ends: float, run: Run) -> None:
    """Come back after each time-out. Of its account nothing is ever sent."""
    while time.monotonic() < ends and not run.unexpected:
        await _do(clients.falls_silent, port, "limit1-silent@example.org", run)


async def _watch(
    proxy: RunningProxy, sink: Sink, run: Run, tell: Callable[[float, Sample], None], over: asyncio.Event
) -> None:
    """Sample the proxy, and collect what the next server counted, again and again until it is over."""
    started = time.monotonic()
    while not over.is_set():
        run.received.update(await sink.take_counts())
        sample, at = await proxy.sample(), time.monotonic() - started
        run.samples.append((at, sample))
        tell(at, sample)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(over.wait(), _SAMPLE_SECONDS)


async def play(seconds: float, seed: int, tell: Callable[[float, Sample], None]) -> Run:
    """Load a proxy for so long, let it settle, and give all that was seen."""
    run, chance, numbers = Run(seconds), random.Random(seed), itertools.count()
    life = seconds + _SPARE_SECONDS
    async with running_sink(life) as sink, running_proxy(sink.port, life) as proxy:
        run.first = await proxy.settle()
        ends = time.monotonic() + seconds
        over = asyncio.Event()
        watch = asyncio.create_task(_watch(proxy, sink, run, tell, over))
        try:
            work = [_work(proxy.port, numbers, ends, chance, run) for _ in range(_DRIVERS)]
            silent = [_stay_silent(proxy.port, ends, run) for _ in range(_SILENT)]
            await asyncio.gather(*work, *silent)
        finally:
            over.set()
            await watch
        run.last = await proxy.settle()
        run.received.update(await sink.take_counts())
    return run
