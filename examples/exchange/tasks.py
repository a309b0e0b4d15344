"""The client in its asyncio form: aiohttp, and tasks for workers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import aiohttp

from tollbar.dispatch import DispatchQueue, Item

from .client import (
    BACKOFF,
    REQUEST_SECONDS,
    STOPPING_SECONDS,
    TELLING_SECONDS,
    Plan,
    Ran,
    judge,
    path,
)
from .server import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollbar.dispatch import AsyncPacer

    from .client import Progress
    from .nonces import Nonces


async def _tell(queue: DispatchQueue[int], progress: Progress) -> None:
    while True:
        await asyncio.sleep(TELLING_SECONDS)
        progress(queue.stats())


async def _produce(queue: DispatchQueue[int]) -> None:
    """Make requests as fast as the queue takes them."""
    number = 0
    while True:
        await queue.put(number)
        number += 1


async def _run(plan: Plan, pacers: Mapping[str, AsyncPacer], nonces: Nonces, progress: Progress) -> Ran:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    base = f"http://{LOOPBACK}:{plan.port}"
    async with aiohttp.ClientSession(base, connector=connector, timeout=timeout) as session:

        async def send(item: Item[int]) -> None:
            key = str(item.worker)
            async with session.get(path(key, nonces.draw(key), item.payload)) as answer:
                await answer.read()
            judge(answer.status)

        queue = DispatchQueue(
            send, pacers, maxsize=plan.room, concurrency=plan.concurrency, ttl=plan.ttl, backoff=BACKOFF
        )
        began = time.process_time()
        async with queue:
            telling = asyncio.create_task(_tell(queue, progress))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(_produce(queue), plan.seconds)
            await queue.stop(drain=False, timeout=STOPPING_SECONDS)
            telling.cancel()
        return Ran(queue.stats(), time.process_time() - began)


def run(plan: Plan, pacers: Mapping[str, AsyncPacer], nonces: Nonces, progress: Progress) -> Ran:
    """Send for as long as the plan says, then stop and hand back what was not sent."""
    return asyncio.run(_run(plan, pacers, nonces, progress))
