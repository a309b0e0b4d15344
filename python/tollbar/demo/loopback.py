"""Serves an aiosmtpd handler on the loopback interface for as long as a block lasts."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOPBACK = "127.0.0.1"
# Given everywhere, because both SMTP libraries otherwise ask the resolver for the host's name.
HOSTNAME = "localhost"
_CLOSING_SECONDS = 5.0


@contextlib.asynccontextmanager
async def serving(handler: object, *, idle_seconds: float = 300.0) -> AsyncIterator[int]:
    """Accept SMTP for `handler` on a free port of 127.0.0.1, which it gives, until the block ends.

    Who says nothing for `idle_seconds` is hung up on.
    """
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(handler, hostname=HOSTNAME, ident="tollbar demo", timeout=idle_seconds), LOOPBACK, 0
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        # Newer interpreters wait here for open connections too; a peer that never leaves must not hold us.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(server.wait_closed(), _CLOSING_SECONDS)
