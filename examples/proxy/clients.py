"""The clients: one that behaves, and those that leave in a command, time out, reset, or flood."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tollbar.demo.loopback import LOOPBACK
from tollbar.demo.traffic import RECIPIENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_ANSWER_SECONDS = 60.0
_FLOOD = 20
_NOISE = b"\xff\x00\xfe\r\n" + b"X" * 700 + b"\r\n" + b"NOOP\r\nRSET\r\nWHAT\r\n" * 5 + b"EH"
_PASSED, _LIMITED = "250", "451 4.7.1"
# A close under which the peer gets a reset: linger on, for no time.
_RESET = struct.pack("ii", 1, 0)


class UnexpectedError(Exception):
    """An answer that a client which behaves should not get."""


@dataclass
class Told:
    """What the clients did, and what those who stayed for the answer were told."""

    clients: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


class Connection:
    """A connection on which lines are sent and answers read, and which may be left in any way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def answer(self) -> str:
        """Read one answer to its last line."""
        while True:
            line = (await asyncio.wait_for(self._reader.readline(), _ANSWER_SECONDS)).decode("ascii")
            if line[3:4] != "-":
                return line.strip()

    def send(self, *lines: str) -> None:
        """Send lines without waiting for an answer."""
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode("ascii"))

    def send_raw(self, part: bytes) -> None:
        """Send what may be no whole line."""
        self._writer.write(part)

    async def sent(self) -> None:
        """Wait until the system has it."""
        await self._writer.drain()

    async def expect(self, *lines: str, code: str = "250") -> None:
        """Send lines, and insist on the code of the answer."""
        self.send(*lines)
        answer = await self.answer()
        if not answer.startswith(code):
            raise UnexpectedError(f"{lines[-1] if lines else 'connected'}: {answer or 'closed'}")

    async def greet(self) -> None:
        """Hear the greeting, and greet."""
        await self.expect(code="220")
        await self.expect("EHLO localhost")

    async def begin(self, account: str) -> None:
        """Go as far as the message itself."""
        await self.expect(f"MAIL FROM:<{account}>")
        await self.expect(f"RCPT TO:<{RECIPIENT}>")
        await self.expect("DATA", code="354")

    def reset(self) -> None:
        """Close in such a way that the proxy gets a reset, in whatever it is doing."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()

    async def until_closed(self) -> None:
        """Read until the proxy ends the connection."""
        while await asyncio.wait_for(self._reader.read(4096), _ANSWER_SECONDS):
            pass

    async def close(self) -> None:
        """Leave, whatever was left unsaid."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def message(account: str) -> tuple[str, ...]:
    """Write a small message, with the dot that ends it."""
    return (f"From: <{account}>", f"To: <{RECIPIENT}>", "Subject: hello", "", "One message.", ".")


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """Connect, and close when the block ends."""
    connection = Connection(*await asyncio.open_connection(LOOPBACK, port))
    try:
        yield connection
    finally:
        await connection.close()


def _note(told: Told, account: str, answer: str) -> bool:
    """Count an answer to a message; true if it passed."""
    if answer.startswith(_PASSED):
        told.passed[account] += 1
        return True
    if answer.startswith(_LIMITED):
        told.refused[account] += 1
        return False
    raise UnexpectedError(f"message: {answer or 'closed'}")


async def behaves(port: int, account: str, told: Told) -> None:
    """Send two messages, one after the other, and quit."""
    async with connected(port) as connection:
        await connection.greet()
        for _ in range(2):
            await connection.begin(account)
            connection.send(*message(account))
            if not _note(told, account, await connection.answer()):
                break
        await connection.expect("QUIT", code="221")


async def leaves_in_a_command(port: int, account: str, _told: Told) -> None:
    """Leave in the middle of a line."""
    async with connected(port) as connection:
        await connection.greet()
        connection.send_raw(f"MAIL FROM:<{account[:5]}".encode("ascii"))
        await connection.sent()


async def leaves_in_a_message(port: int, account: str, _told: Told) -> None:
    """Leave before the dot, so that nothing is sent and nothing charged."""
    async with connected(port) as connection:
        await connection.greet()
        await connection.begin(account)
        connection.send(*message(account)[:3])
        await connection.sent()


async def leaves_before_the_answer(port: int, account: str, _told: Told) -> None:
    """Leave after the dot: the message is there, and nobody to be told."""
    async with connected(port) as connection:
        await connection.greet()
        await connection.begin(account)
        connection.send(*message(account))
        await connection.sent()


async def loses_patience(port: int, account: str, told: Told) -> None:
    """Wait for the answer for a millisecond, then leave."""
    async with connected(port) as connection:
        await connection.greet()
        await connection.begin(account)
        connection.send(*message(account))
        with contextlib.suppress(asyncio.TimeoutError):
            _note(told, account, await asyncio.wait_for(connection.answer(), 0.001))


async def resets_in_a_message(port: int, account: str, _told: Told) -> None:
    """Reset the connection before the dot."""
    async with connected(port) as connection:
        await connection.greet()
        await connection.begin(account)
        connection.send(*message(account)[:2])
        await connection.sent()
        connection.reset()


async def resets_before_the_answer(port: int, account: str, _told: Told) -> None:
    """Reset the connection while the proxy decides or passes on."""
    async with connected(port) as connection:
        await connection.greet()
        await connection.begin(account)
        connection.send(*message(account))
        await connection.sent()
        await asyncio.sleep(0)
        connection.reset()


async def falls_silent(port: int, account: str, _told: Told) -> None:
    """Say nothing any more until the proxy ends the connection."""
    async with connected(port) as connection:
        await connection.greet()
        await connection.expect(f"MAIL FROM:<{account}>")
        await connection.until_closed()


async def floods_with_messages(port: int, account: str, told: Told) -> None:
    """Send many messages after one another without waiting for an answer, which all come in the end."""
    async with connected(port) as connection:
        await connection.greet()
        for _ in range(_FLOOD):
            connection.send(f"MAIL FROM:<{account}>", f"RCPT TO:<{RECIPIENT}>", "DATA", *message(account))
        for _ in range(_FLOOD):
            for code in ("250", "250", "354"):
                await connection.expect(code=code)
            _note(told, account, await connection.answer())
        await connection.expect("QUIT", code="221")


async def floods_with_noise(port: int, _account: str, _told: Told) -> None:
    """Send commands that there are not, too long ones, and bytes that are no text; leave in between."""
    async with connected(port) as connection:
        connection.send_raw(_NOISE)
        with contextlib.suppress(OSError):
            await connection.sent()
            await connection.answer()


async def floods_with_connections(port: int, _account: str, _told: Told) -> None:
    """Connect many times and hang up."""
    async with contextlib.AsyncExitStack() as stack:
        for number in range(_FLOOD):
            connection = await stack.enter_async_context(connected(port))
            if number % 2:
                connection.reset()


# Nothing here waits for long but `falls_silent`, which is run beside the others.
CROWD: tuple[Callable[[int, str, Told], Awaitable[None]], ...] = (
    behaves,
    leaves_in_a_command,
    leaves_in_a_message,
    leaves_before_the_answer,
    loses_patience,
    resets_in_a_message,
    resets_before_the_answer,
)
FLOODS = (floods_with_messages, floods_with_noise, floods_with_connections)
