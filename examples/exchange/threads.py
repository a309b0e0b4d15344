"""The client in its thread form: http.client, a connection a thread, and threads for workers."""

from __future__ import annotations

import http.client
import threading
import time
from typing import TYPE_CHECKING

from tollbar.dispatch import Item, QueueFull, ThreadDispatchQueue

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

    from tollbar.dispatch import Pacer

    from .client import Progress
    from .nonces import Nonces


class _Connections(threading.local):
    """One connection for each thread that asks, made again after an error."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def get(self, where: str) -> int:
        """Ask, and give the status."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=REQUEST_SECONDS)
        try:
            self._connection.request("GET", where)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            raise
        return answer.status


def run(plan: Plan, pacers: Mapping[str, Pacer], nonces: Nonces, progress: Progress) -> Ran:
    """Send for as long as the plan says, then stop and hand back what was not sent."""
    connections = _Connections(plan.port)

    def send(item: Item[int]) -> None:
        key = str(item.worker)
        judge(connections.get(path(key, nonces.draw(key), item.payload)))

    queue = ThreadDispatchQueue(
        send, pacers, maxsize=plan.room, concurrency=plan.concurrency, ttl=plan.ttl, backoff=BACKOFF
    )
    began = time.process_time()
    ends = time.monotonic() + plan.seconds
    telling = time.monotonic()
    number = 0
    with queue:
        while (now := time.monotonic()) < ends:
            if now >= telling:
                telling = now + TELLING_SECONDS
                progress(queue.stats())
            try:
                queue.put(number, timeout=min(TELLING_SECONDS, ends - now))
            except QueueFull:
                continue
            number += 1
        queue.stop(drain=False, timeout=STOPPING_SECONDS)
    return Ran(queue.stats(), time.process_time() - began)
