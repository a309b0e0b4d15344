"""The mail server behind the relay: a process of its own that accepts and counts messages by sender.

It runs as `python -m tollbar.demo.sink --life SECONDS` and speaks JSON lines with the process that started
it: first its port, then the counts since the last question for each line `counts` it reads. It ends when its
standard input ends, or when its life is over, whichever comes first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections import Counter
from typing import TYPE_CHECKING, cast

from .loopback import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiosmtpd.smtp import SMTP, Envelope, Session

_START_SECONDS = 30.0
_ANSWER_SECONDS = 10.0
_LIFE_SECONDS = 600.0


class CountingHandler:
    """Accepts every message and remembers only who sent it."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Count one message."""
        self.received[envelope.mail_from or ""] += 1
        return "250 2.0.0 Accepted"


class Sink:
    """The running sink as seen by the process that started it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        # Both are pipes: running_sink asks for them.
        self._questions = cast("asyncio.StreamWriter", process.stdin)
        self._answers = cast("asyncio.StreamReader", process.stdout)
        self.port = 0

    async def start(self) -> None:
        """Wait until it serves, and learn its port."""
        self.port = (await self._read(_START_SECONDS))["port"]

    async def take_counts(self) -> Counter[str]:
        """Messages received by sender since the last call."""
        self._questions.write(b"counts\n")
        return Counter(await self._read(_ANSWER_SECONDS))

    async def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        self._questions.close()
        try:
            await asyncio.wait_for(self._process.wait(), _ANSWER_SECONDS)
        except asyncio.TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _read(self, seconds: float) -> dict[str, int]:
        line = await asyncio.wait_for(self._answers.readline(), seconds)
        if not line:
            raise RuntimeError("the SMTP sink ended before it answered")
        answer: dict[str, int] = json.loads(line)
        return answer


@contextlib.asynccontextmanager
async def running_sink(life: float = _LIFE_SECONDS) -> AsyncIterator[Sink]:
    """Start a sink and stop it when the block ends, through the handle it was started with."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, "--life", str(life)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    sink = Sink(process)
    try:
        await sink.start()
        yield sink
    finally:
        await sink.stop()


async def _answer(handler: CountingHandler) -> None:
    """Answer questions from standard input until it ends."""
    questions = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    while await questions.readline():
        print(json.dumps(handler.received), flush=True)
        handler.received.clear()


async def _serve(life: float) -> None:
    handler = CountingHandler()
    async with serving(handler) as port:
        print(json.dumps({"port": port}), flush=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_answer(handler), life)


def main() -> None:
    """Serve until standard input ends or the life is over."""
    parser = argparse.ArgumentParser(prog="python -m tollbar.demo.sink", description=__doc__)
    parser.add_argument("--life", type=float, default=_LIFE_SECONDS, help="seconds after which it ends")
    # Ctrl-C reaches the whole process group: the one who started the sink decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_serve(parser.parse_args().life))


if __name__ == "__main__":
    main()
