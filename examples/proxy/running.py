"""Starts a proxy for as long as a block lasts, and asks it how it is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Sample:
    """How the proxy is: totals since its start, and what it holds now."""

    admitted: int
    denied: int
    resident: int
    files: int
    tasks: int
    warnings: dict[str, int]
    errors: int
    error_lines: list[str]


class RunningProxy:
    """The running proxy as seen by the process that started it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        # Both are pipes: running_proxy asks for them.
        self._questions = cast("asyncio.StreamWriter", process.stdin)
        self._answers = cast("asyncio.StreamReader", process.stdout)
        self.port = 0

    async def start(self) -> None:
        """Wait until it serves, and learn its port."""
        self.port = (await self._read())["port"]

    async def sample(self) -> Sample:
        """Ask how it is."""
        return await self._ask(b"sample\n")

    async def settle(self) -> Sample:
        """Ask how it is once nothing is under way."""
        return await self._ask(b"settle\n")

    async def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        self._questions.close()
        try:
            await asyncio.wait_for(self._process.wait(), _ANSWER_SECONDS)
        except asyncio.TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _ask(self, question: bytes) -> Sample:
        self._questions.write(question)
        return Sample(**await self._read())

    async def _read(self) -> dict[str, Any]:
        line = await asyncio.wait_for(self._answers.readline(), _ANSWER_SECONDS)
        if not line:
            raise RuntimeError("the proxy ended before it answered")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.asynccontextmanager
async def running_proxy(upstream: int, life: float) -> AsyncIterator[RunningProxy]:
    """Start a proxy and stop it when the block ends, through the handle it was started with."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.proxy.server", "--upstream", str(upstream), "--life", str(life)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    proxy = RunningProxy(process)
    try:
        await proxy.start()
        yield proxy
    finally:
        await proxy.stop()
