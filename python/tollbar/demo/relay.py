"""The relay: takes mail over SMTP, asks the limiter about the sender, and passes on what it admits."""

from __future__ import annotations

import contextlib
import math
from array import array
from time import perf_counter_ns
from typing import TYPE_CHECKING

import aiosmtplib

from .loopback import HOSTNAME, LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiosmtpd.smtp import SMTP, Envelope, Session

    from .references import Account, Limiter

_TIMEOUT_SECONDS = 60.0


def refusal_reply(retry_after: float | None) -> str:
    """Word the answer to a message over the limit; `retry_after` is None where the limiter does not tell."""
    if retry_after is None:
        return "451 4.7.1 The hourly limit of this account is reached, try again later"
    if math.isinf(retry_after):
        return "451 4.7.1 The limit of this account never admits this message, trying again will not help"
    # Rounded up: who comes back at the second named is not refused again.
    seconds = max(1, math.ceil(retry_after))
    unit = "second" if seconds == 1 else "seconds"
    return f"451 4.7.1 The hourly limit of this account is reached, try again in {seconds} {unit}"


class Upstream:
    """Connections to the next mail server that stay open between messages."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[aiosmtplib.SMTP] = []

    async def send(self, sender: str, recipients: Iterable[str], content: bytes) -> None:
        """Pass one message on over an idle connection, or a new one when all are busy."""
        smtp = self._idle.pop() if self._idle else await self._connect()
        try:
            await smtp.sendmail(sender, list(recipients), content)
        except BaseException:
            # Its state is unknown now; the next message gets a fresh connection.
            smtp.close()
            raise
        self._idle.append(smtp)

    async def close(self) -> None:
        """Take leave on every open connection."""
        while self._idle:
            smtp = self._idle.pop()
            with contextlib.suppress(aiosmtplib.SMTPException):
                await smtp.quit()
            smtp.close()

    async def _connect(self) -> aiosmtplib.SMTP:
        smtp = aiosmtplib.SMTP(
            hostname=LOOPBACK,
            port=self._port,
            use_tls=False,
            start_tls=False,
            local_hostname=HOSTNAME,
            timeout=_TIMEOUT_SECONDS,
        )
        await smtp.connect()
        return smtp


class Relay:
    """The SMTP handler, and what it measured: nanoseconds in the limiter, and when each account asked."""

    def __init__(
        self, limiter: Limiter, refusal: type[Exception], accounts: Mapping[str, Account], upstream: Upstream
    ) -> None:
        self._limiter = limiter
        self._refusal = refusal
        self._accounts = accounts
        self._upstream = upstream
        self.admitted_ns = array("q")
        self.refused_ns = array("q")
        # By account: before its first decision and after its last one, for the bound on what may be admitted.
        self.first_asked_ns: dict[str, int] = {}
        self.last_answered_ns: dict[str, int] = {}

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Decide and, if admitted, pass on before answering."""
        sender, content = envelope.mail_from, envelope.content
        if not sender or not isinstance(content, bytes):
            return "550 5.7.1 This relay takes mail from named accounts only"
        refused = await self._ask(sender)
        if refused is not None:
            return refusal_reply(getattr(refused, "retry_after", None))
        try:
            await self._upstream.send(sender, envelope.rcpt_tos, content)
        except (aiosmtplib.SMTPException, OSError):
            return "451 4.4.1 The next mail server did not take the message"
        return "250 2.0.0 Passed on"

    async def _ask(self, sender: str) -> Exception | None:
        """Answer None if admitted, else the limiter's exception. Only the limiter's call is timed."""
        account = self._accounts.get(sender)
        refused: Exception | None = None
        started = perf_counter_ns()
        try:
            await self._limiter.acquire(sender, account)
            ended = perf_counter_ns()
        except self._refusal as error:
            ended = perf_counter_ns()
            refused = error
        (self.admitted_ns if refused is None else self.refused_ns).append(ended - started)
        self.first_asked_ns.setdefault(sender, started)
        self.last_answered_ns[sender] = ended
        return refused
