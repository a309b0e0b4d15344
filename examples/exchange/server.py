"""The exchange: an HTTP server on 127.0.0.1, in a process of its own, that adds a delay to each leg.

It runs as `python -m examples.exchange.server --life SECONDS` and tells its port in a line of JSON. It ends
when its standard input ends, or when its life is over, whichever comes first. `GET /events` tells what it
answered.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
import time
from http import HTTPStatus

from aiohttp import web

from .rules import KEYS, Account, Legs

LOOPBACK = "127.0.0.1"


class Exchange:
    """Answers requests, and remembers when it gave which answer to whom."""

    def __init__(self, legs: Legs, jump: Legs | None, jump_after: float, seed: int) -> None:
        self.accounts = {key: Account() for key in KEYS}
        # Seconds since the first request, place of the key, status.
        self.events: list[tuple[float, int, int]] = []
        self._legs = legs
        self._jump = jump
        self._jump_after = jump_after
        self._random = random.Random(seed)
        self._first: float | None = None

    def _now(self) -> float:
        """Seconds since the first request."""
        now = time.monotonic()
        if self._first is None:
            self._first = now
        return now - self._first

    async def _leg(self) -> None:
        legs = self._legs
        if self._jump is not None and self._now() >= self._jump_after:
            legs = self._jump
        await asyncio.sleep(self._random.uniform(legs.least, legs.most))

    async def request(self, request: web.Request) -> web.Response:
        """Answer one request: a leg, the decision, another leg."""
        key = request.query.get("api_key", "")
        await self._leg()
        if key not in self.accounts:
            return web.json_response({"error": "unknown key"}, status=HTTPStatus.UNAUTHORIZED)
        now = self._now()
        status = self.accounts[key].judge(int(request.query.get("nonce", 0)), int(now * 1000))
        self.events.append((round(now, 6), KEYS.index(key), status.value))
        await self._leg()
        return web.json_response({"status": status.phrase}, status=status)

    async def told(self, _request: web.Request) -> web.Response:
        """Tell all events."""
        return web.json_response(self.events)


async def _until_standard_input_ends() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def _serve(options: argparse.Namespace) -> None:
    exchange = Exchange(options.legs, options.jump, options.jump_after, options.seed)
    app = web.Application()
    app.add_routes([web.get("/request", exchange.request), web.get("/events", exchange.told)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, 0, shutdown_timeout=1.0)
        await site.start()
        print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_until_standard_input_ends(), options.life)
    finally:
        await runner.cleanup()


def main() -> None:
    """Serve until standard input ends or the life is over."""
    parser = argparse.ArgumentParser(prog="python -m examples.exchange.server", description=__doc__)
    parser.add_argument("--life", type=float, default=600.0, help="seconds after which it ends")
    parser.add_argument("--legs", type=Legs.parse, default="0:50", help="milliseconds of a leg, from:to")
    parser.add_argument("--jump", type=Legs.parse, help="the legs later on")
    parser.add_argument("--jump-after", type=float, default=0.0, help="seconds from the first request")
    parser.add_argument("--seed", type=int, default=1, help="of the delays")
    # Ctrl-C reaches the whole process group: the one who started the server decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
