"""The proxy: takes mail over SMTP, asks `tollbar.RateLimiter` about the sender, passes on what it admits.

It runs as `python -m examples.proxy.server --upstream PORT --life SECONDS` and speaks JSON lines with the
process that started it: first its port, then for each line `sample` how it is, and for a line `settle` the
same when nothing is under way any more. It ends with its standard input, or with its life.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiosmtplib

from tollbar import RateLimiter, RateLimitExceeded
from tollbar.demo.loopback import serving
from tollbar.demo.relay import Upstream, refusal_reply

from .accounts import account

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

MAX_BUCKETS = 100_000
IDLE_SECONDS = 1.0
_SETTLE_SECONDS = 10.0
_SETTLE_TURNS = 20
_KEPT_LINES = 20


class Proxy:
    """The SMTP handler, and what it counted."""

    def __init__(self, limiter: RateLimiter, upstream: Upstream) -> None:
        self._limiter = limiter
        self._upstream = upstream
        self._passing: set[asyncio.Task[None]] = set()
        self.admitted = 0
        self.denied = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Decide and, if admitted, pass on before answering."""
        sender, content = envelope.mail_from, envelope.content
        if sender is None or (found := account(sender)) is None or not isinstance(content, bytes):
            return "550 5.7.1 This proxy takes mail from its accounts only"
        try:
            await self._limiter.acquire(sender, found)
        except RateLimitExceeded as refused:
            self.denied += 1
            return refusal_reply(refused.retry_after)
        self.admitted += 1
        # What was charged is sent, whether or not the client stays for the answer.
        passing = asyncio.create_task(self._upstream.send(sender, envelope.rcpt_tos, content))
        self._passing.add(passing)
        passing.add_done_callback(self._passing.discard)
        try:
            await asyncio.shield(passing)
        except (aiosmtplib.SMTPException, OSError):
            logging.getLogger(__name__).exception("The next mail server did not take a message")
            return "451 4.4.1 The next mail server did not take the message"
        return "250 2.0.0 Passed on"

    async def settle(self, standing: set[asyncio.Task[Any]]) -> None:
        """Wait for every task but the standing ones, and take leave of the next server."""
        # Who came and went unseen is met in one of the loop's next turns; sockets are closed in one.
        for _ in range(_SETTLE_TURNS):
            if under_way := asyncio.all_tasks() - standing:
                await asyncio.wait(under_way, timeout=_SETTLE_SECONDS)
            await self._upstream.close()
            await asyncio.sleep(0)


class Errors(logging.Handler):
    """Counts warnings by their logger, and errors, of which it keeps the first in full."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        self.warnings: Counter[str] = Counter()
        self.errors = 0
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line."""
        if record.levelno < logging.ERROR:
            self.warnings[record.name] += 1
            return
        self.errors += 1
        if len(self.kept) < _KEPT_LINES:
            self.kept.append(self.format(record))


def resident_bytes() -> int:
    """Bytes of this process in memory, where the system tells them; else 0."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    """Open files and sockets of this process, where the system tells them; else 0."""
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1  # one is the listing itself
    except OSError:
        return 0


def _sample(proxy: Proxy, log: Errors) -> dict[str, Any]:
    return {
        "admitted": proxy.admitted,
        "denied": proxy.denied,
        "resident": resident_bytes(),
        "files": open_files(),
        "tasks": len(asyncio.all_tasks()),
        "warnings": log.warnings,
        "errors": log.errors,
        "error_lines": log.kept,
    }


async def _answer(proxy: Proxy, log: Errors) -> None:
    """Answer questions from standard input until it ends."""
    questions = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    standing = asyncio.all_tasks()
    with contextlib.closing(transport):
        while question := await questions.readline():
            if question.strip() == b"settle":
                await proxy.settle(standing)
                gc.collect()
            print(json.dumps(_sample(proxy, log)), flush=True)


def _tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what asyncio cannot tell anybody else, but for a client's reset.

    A stream's protocol keeps the reset in a future, and looks at it when it is freed, lest it be told here.
    Free-threaded CPython may free the future first.
    """
    future = context.get("future")
    is_future = future is not None and not isinstance(future, asyncio.Task)
    if is_future and isinstance(context.get("exception"), ConnectionError):
        return
    loop.default_exception_handler(context)


async def _serve(upstream: int, life: float) -> None:
    log = Errors()
    logging.getLogger().addHandler(log)
    asyncio.get_running_loop().set_exception_handler(_tell)
    proxy = Proxy(RateLimiter(max_buckets=MAX_BUCKETS), Upstream(upstream))
    async with serving(proxy, idle_seconds=IDLE_SECONDS) as port:
        print(json.dumps({"port": port}), flush=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_answer(proxy, log), life)
        await proxy.settle({task for task in (asyncio.current_task(),) if task is not None})


def main() -> None:
    """Serve until standard input ends or the life is over."""
    parser = argparse.ArgumentParser(prog="python -m examples.proxy.server", description="The proxy alone.")
    parser.add_argument("--upstream", type=int, required=True, help="port of the next server on this machine")
    parser.add_argument("--life", type=float, required=True, help="seconds after which it ends")
    options = parser.parse_args()
    # Ctrl-C reaches the whole process group: the one who started the proxy decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_serve(options.upstream, options.life))


if __name__ == "__main__":
    main()
