"""Turns the rounds of one limiter into the numbers that are reported, and checks every account's count."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .contenders import Contender
    from .rounds import Round
    from .traffic import Account, Traffic

NS_PER_HOUR = 3_600_000_000_000


@dataclass(frozen=True)
class AccountCheck:
    """One account in one round: how many messages passed, and how many may have."""

    account: Account
    sent: int
    admitted: int
    bound: int

    @property
    def within_bound(self) -> bool:
        """Not one message more than the limit allows in the time that passed."""
        return self.admitted <= self.bound

    @property
    def as_expected(self) -> bool:
        """Within the bound, and not refused anything that was due."""
        return min(self.sent, self.account.limit) <= self.admitted <= min(self.sent, self.bound)


@dataclass(frozen=True)
class Summary:
    """One limiter over all rounds."""

    contender: Contender
    accounts: int
    messages_per_second: float
    throughputs: tuple[float, ...]
    decision_ns: list[int]
    admitted_ns: list[int]
    refused_ns: list[int]
    admitted: float
    refused: float
    log_lines: float
    limiter_seconds: float
    seconds: float
    checks: tuple[AccountCheck, ...]
    counts_agree: bool

    @property
    def within_bound(self) -> int:
        """Checks in which the account stayed within its bound."""
        return sum(check.within_bound for check in self.checks)

    @property
    def as_expected(self) -> int:
        """Checks in which exactly what was due was admitted."""
        return sum(check.as_expected for check in self.checks)

    @property
    def off(self) -> list[AccountCheck]:
        """The checks that failed."""
        return [check for check in self.checks if not check.as_expected]


def bound(limit: int, window_ns: int) -> int:
    """Count what a bucket of `limit` tokens, full at first, can give in a window: those and what it earns."""
    return limit + limit * window_ns // NS_PER_HOUR


def percentile(values: Sequence[float], fraction: float) -> float:
    """Find the smallest value that this fraction of the values does not exceed; 0 if there are none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


def check_accounts(played: Round, traffic: Traffic) -> list[AccountCheck]:
    """Compare each account's admitted messages with its exact bound, in one round."""
    sent = traffic.sent()
    return [
        AccountCheck(
            account=account,
            sent=sent[account.email],
            admitted=played.admitted[account.email],
            bound=bound(account.limit, played.window_ns.get(account.email, 0)),
        )
        for account in traffic.accounts
    ]


def summarise(rounds: Sequence[Round], traffic: Traffic) -> Summary:
    """Sum up the rounds of one contender: medians over rounds, times pooled, every account checked."""
    messages = len(traffic.senders)
    throughputs = tuple(messages / played.seconds for played in rounds)
    admitted_ns = [ns for played in rounds for ns in played.admitted_ns]
    refused_ns = [ns for played in rounds for ns in played.refused_ns]
    decision_ns = admitted_ns + refused_ns
    return Summary(
        contender=rounds[0].contender,
        accounts=len(traffic.accounts),
        messages_per_second=statistics.median(throughputs),
        throughputs=throughputs,
        decision_ns=decision_ns,
        admitted_ns=admitted_ns,
        refused_ns=refused_ns,
        admitted=statistics.median(played.admitted.total() for played in rounds),
        refused=statistics.median(played.refused.total() for played in rounds),
        log_lines=statistics.median(played.log_lines for played in rounds),
        limiter_seconds=sum(decision_ns) / 1e9,
        seconds=sum(played.seconds for played in rounds),
        checks=tuple(check for played in rounds for check in check_accounts(played, traffic)),
        # The relay's answers and what really arrived behind it must be the same messages.
        counts_agree=all(played.admitted == played.received for played in rounds),
    )
