"""Prints what was measured as a table, and says in words what the numbers do not."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from rich.table import Table

from .measure import WARM_UP
from .rules import KEYS, MOST_REJECTIONS, PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from .measure import Result, Setting


def _rows(result: Result) -> dict[str, str]:
    """Give a column of the table: what is told of each client."""
    stats = result.ran.stats
    return {
        "requests/s": f"{result.throughput:.1f}",
        "429": str(result.count(HTTPStatus.TOO_MANY_REQUESTS)),
        "429 after the first second": str(result.count(HTTPStatus.TOO_MANY_REQUESTS, WARM_UP)),
        "keys blocked": str(result.blocked),
        "nonces overtaken": str(result.count(HTTPStatus.BAD_REQUEST)),
        "expired": str(stats.expired),
        "latency, median, ms": f"{1000 * stats.latency.p50:.0f}",
        "latency, 99th percentile, ms": f"{1000 * stats.latency.p99:.0f}",
        "processor time a request, ms": f"{1000 * result.ran.processor_seconds / max(1, stats.tries):.2f}",
        "books": "balance" if stats.balanced else "DO NOT BALANCE",
    }


def _table(results: Sequence[Result]) -> Table:
    table = Table("", title=f"{len(KEYS)} keys at {PER_SECOND} a sliding second")
    for result in results:
        table.add_column(result.name, justify="right")
    columns = [_rows(result) for result in results]
    for name in columns[0]:
        table.add_row(name, *(column[name] for column in columns))
    return table


def print_report(console: Console, results: Sequence[Result], setting: Setting) -> None:
    """Print the table and how it came about."""
    console.print(_table(results))
    then = "" if setting.jump is None else f", and {setting.jump} ms from the middle of the run on"
    console.print(
        f"Measured for {setting.seconds:g} s each, one after the other, against an exchange in a process of "
        f"its own. Each leg takes {setting.legs} ms{then}. Requests/s are those served after the first "
        "second, which admits a window's worth at once; the most that the exchange admits is "
        f"{len(KEYS) * PER_SECOND}. The {MOST_REJECTIONS}th 429 blocks a key for good. The source makes "
        f"requests as fast as the queue takes them; {setting.room} wait at most, for {setting.ttl:g} s. "
        "Latency is from acceptance to the answer, waiting included. Processor time is the client's alone.",
        highlight=False,
    )
