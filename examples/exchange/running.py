"""Starts an exchange for as long as a block lasts, and asks it what it answered."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from .server import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from .rules import Legs

_ENDING_SECONDS = 5.0
_ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class Event:
    """What the exchange answered: `at` in seconds since the first request, which key, which status."""

    at: float
    key: int
    status: int


@dataclass(frozen=True)
class RunningExchange:
    """A server that answers on this port of 127.0.0.1."""

    port: int

    def events(self) -> list[Event]:
        """Everything that it has answered so far."""
        url = f"http://{LOOPBACK}:{self.port}/events"
        with urllib.request.urlopen(url, timeout=_ANSWER_SECONDS) as answer:
            return [Event(*event) for event in json.load(answer)]


@contextlib.contextmanager
def running_exchange(
    legs: Legs, *, life: float, jump: Legs | None = None, jump_after: float = 0.0, seed: int = 1
) -> Iterator[RunningExchange]:
    """Start a server, and end it with the block through the handle it was started with."""
    command = [sys.executable, "-m", "examples.exchange.server", "--life", str(life), "--legs", str(legs)]
    command += ["--seed", str(seed)]
    if jump is not None:
        command += ["--jump", str(jump), "--jump-after", str(jump_after)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    questions, answers = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
    try:
        line = answers.readline()
        if not line:
            raise RuntimeError("the exchange ended before it served")
        yield RunningExchange(json.loads(line)["port"])
    finally:
        questions.close()
        try:
            process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        answers.close()
