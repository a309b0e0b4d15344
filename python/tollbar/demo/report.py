"""The report at the end of the demo: two tables, and what they mean in sentences computed from them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from .contenders import TOLLBAR
from .stall import NEWCOMERS, TABLE_SIZE, Stall
from .summary import Summary, percentile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

# More accounts than this are counted instead of listed, for the run that has no limiter.
_LISTED = 10


@dataclass(frozen=True)
class Results:
    """Everything the demo measured."""

    summaries: Sequence[Summary]
    stalls: Mapping[str, Stall]
    accounts: int
    messages: int
    clients: int
    rounds: int


def _us(ns: float) -> str:
    """Write microseconds with three digits."""
    us = ns / 1000
    decimals = 0 if us >= 100 else 1 if us >= 10 else 2  # noqa: PLR2004
    return f"{us:,.{decimals}f}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _more(part: float) -> str:
    return f"{abs(part):.1%} {'more' if part >= 0 else 'fewer'}"


def _named(summary: Summary) -> str:
    """Name the contender as it reads inside a sentence."""
    named_like_words = summary.contender.limits and summary.contender is not TOLLBAR
    return f"the {summary.contender.name}" if named_like_words else summary.contender.name


def _cost_table(results: Results) -> Table:
    table = Table(title="What it costs", title_justify="left")
    table.add_column("limiter", no_wrap=True)
    for heading in (
        "messages/s",
        "in limiter,\nmedian us",
        "in limiter,\np99 us",
        "table full,\nlargest, us",
    ):
        table.add_column(heading, justify="right")
    for summary in results.summaries:
        stall = results.stalls.get(summary.contender.name)
        table.add_row(
            summary.contender.name,
            f"{summary.messages_per_second:,.0f}",
            _us(percentile(summary.decision_ns, 0.5)),
            _us(percentile(summary.decision_ns, 0.99)),
            "none" if stall is None else _us(stall.largest_ns),
        )
    return table


def _count_table(results: Results) -> Table:
    table = Table(title="What it admits", title_justify="left")
    table.add_column("limiter", no_wrap=True)
    for heading in ("admitted", "refused", "within\nbound", "exactly\nas due", "log lines"):
        table.add_column(heading, justify="right")
    for summary in results.summaries:
        checked = len(summary.checks)
        table.add_row(
            summary.contender.name,
            _count(summary.admitted),
            _count(summary.refused),
            f"{summary.within_bound}/{checked}",
            f"{summary.as_expected}/{checked}",
            _count(summary.log_lines),
        )
    return table


def _account_sentences(results: Results) -> list[str]:
    """Tell whether every account got exactly its due, and list every one that did not."""
    found = []
    for summary in results.summaries:
        checked = len(summary.checks)
        if not summary.counts_agree:
            found.append(f"With {_named(summary)} the sink did not receive what the clients were told.")
        if not summary.off:
            found.append(f"With {_named(summary)} every account got exactly its due in all {checked} checks.")
            continue
        over = checked - summary.within_bound
        found.append(
            f"With {_named(summary)} {len(summary.off)} of {checked} checks are off, {over} over the bound."
        )
        if not summary.contender.limits and len(summary.off) > _LISTED:
            continue
        found.extend(
            f"  {check.account.email}: limit {check.account.limit}, sent {check.sent}, "
            f"admitted {check.admitted}, bound {check.bound}"
            for check in summary.off
        )
    return found


def _noise(summaries: Sequence[Summary]) -> float:
    """How far rounds of one and the same limiter lie apart, at most, as a part of their median."""
    return max((max(s.throughputs) - min(s.throughputs)) / s.messages_per_second for s in summaries)


def _throughput_sentences(results: Results) -> list[str]:
    """Tell tollbar's throughput against the others', and how much of it noise and limiters explain."""
    if results.rounds == 1:
        return ["One round only: differences in throughput cannot be told from noise."]
    noise = _noise(results.summaries)
    found = [
        f"Rounds of one and the same limiter differ by up to {noise:.1%} in messages/s: that is the noise."
    ]
    ours = next(summary for summary in results.summaries if summary.contender is TOLLBAR)
    for other in results.summaries:
        if other is ours:
            continue
        difference = ours.messages_per_second / other.messages_per_second - 1
        if not other.contender.limits:
            found.append(
                f"The messages/s of {_named(other)} compare with nothing here: it passes on "
                f"{_count(other.admitted)} messages instead of {_count(ours.admitted)}."
            )
            continue
        # What the throughput would be if the runs differed in nothing but the time spent in the limiter.
        saved = other.limiter_seconds - ours.limiter_seconds
        explained = saved / (other.seconds - saved)
        verdict = "within the noise" if abs(difference) <= noise else "more than the noise"
        found.append(
            f"With tollbar the relay answered {_more(difference)} messages/s than with {_named(other)}: "
            f"{verdict}. The time spent in the limiters, for itself, would make {_more(explained)}."
        )
    return found


def _limiter_sentences(results: Results) -> list[str]:
    """Tell which part of the run was spent in each limiter, and what passing and being refused take there."""
    found = []
    for summary in results.summaries:
        if not summary.contender.limits:
            continue
        passed = (
            _us(statistics.median(summary.admitted_ns)) if summary.admitted_ns else "no time: none passed,"
        )
        refused = f", a refusal {_us(statistics.median(summary.refused_ns))}" if summary.refused_ns else ""
        found.append(
            f"With {_named(summary)} {summary.limiter_seconds / summary.seconds:.2%} of the run is spent "
            f"in the limiter: a message that passes takes {passed} us{refused} (medians, log line included)."
        )
    return found


def _stall_sentences(results: Results) -> list[str]:
    """Tell what a full table costs each limiter, and how much of tollbar's largest is its one warning."""
    ours = results.stalls[TOLLBAR.name]
    found = [
        f"A new account that meets a full table of {TABLE_SIZE:,} takes {_us(stall.median_ns)} us with the "
        f"{name}, {stall.median_ns / ours.median_ns:,.0f} times tollbar's {_us(ours.median_ns)} us (medians)."
        for name, stall in results.stalls.items()
        if name != TOLLBAR.name
    ]
    if ours.first_ns > ours.largest_later_ns:
        found.append(
            f"At the first of the {NEWCOMERS} new accounts tollbar also logs, once, that the table is full: "
            f"{_us(ours.first_ns)} us; the largest after it takes {_us(ours.largest_later_ns)} us."
        )
    return found


def _method(results: Results) -> str:
    return (
        f"Measured: {results.messages:,} messages of {results.accounts:,} accounts from {results.clients} "
        f"clients, {results.rounds} interleaved rounds per limiter with fresh limits. Medians of rounds; "
        "times pooled; one check per account and round. Denials were logged to a file in a temporary "
        "directory, for every limiter alike. Clients and relay share a process, the sink has its own. "
        f"Table full: {NEWCOMERS} new accounts one by one, garbage collection off."
    )


def sentences(results: Results) -> list[str]:
    """Say what is true of these numbers, also where it is little."""
    return [
        *_account_sentences(results),
        *_throughput_sentences(results),
        *_limiter_sentences(results),
        *_stall_sentences(results),
        _method(results),
    ]


def print_report(console: Console, results: Results) -> None:
    """Print the tables and the sentences."""
    console.print(_cost_table(results), _count_table(results))
    for sentence in sentences(results):
        console.print(sentence, highlight=False, markup=False)
