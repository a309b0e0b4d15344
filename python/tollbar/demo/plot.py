"""Draws the demo's results into one PNG: time in the limiter, throughput, admitted messages, and stalls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .contenders import ACCOUNT_LOCK, GLOBAL_LOCK, NONE, TOLLBAR
from .stall import NEWCOMERS, TABLE_SIZE

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from .report import Results
    from .summary import Summary

# One colour per limiter in every panel; told apart by the colour-blind too.
COLOURS = {
    NONE.name: "#999999",
    GLOBAL_LOCK.name: "#d55e00",
    ACCOUNT_LOCK.name: "#e69f00",
    TOLLBAR.name: "#0072b2",
}


def _times(axes: Axes, results: Results) -> None:
    """Draw which part of all decisions took no longer than so many microseconds."""
    for summary in results.summaries:
        ordered = sorted(ns / 1000 for ns in summary.decision_ns)
        axes.step(
            ordered,
            [(rank + 1) / len(ordered) for rank in range(len(ordered))],
            where="post",
            label=summary.contender.name,
            color=COLOURS[summary.contender.name],
        )
    axes.set_xscale("log")
    axes.set_xlabel("time in the limiter per message (us, log scale)")
    axes.set_ylabel("part of all messages")
    axes.set_ylim(0, 1.01)
    axes.set_title("Time in the limiter")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(loc="lower right", frameon=False)


def _throughput(axes: Axes, results: Results) -> None:
    """Draw the median of the rounds as a bar, and mark where the single rounds lay."""
    for place, summary in enumerate(results.summaries):
        axes.bar(place, summary.messages_per_second, color=COLOURS[summary.contender.name], width=0.6)
        axes.plot([place] * len(summary.throughputs), summary.throughputs, "k_", markersize=14)
        axes.annotate(
            f"{summary.messages_per_second:,.0f}",
            (place, summary.messages_per_second / 2),
            ha="center",
            va="center",
            color="white",
        )
    axes.set_xticks(range(len(results.summaries)), [s.contender.name for s in results.summaries], fontsize=8)
    axes.set_ylabel("messages per second, end to end")
    axes.set_title("Throughput (bar: median, marks: single rounds)")


def _admitted(axes: Axes, summary: Summary) -> None:
    """Draw what each account sent, was admitted, and may have been admitted at most, in the first round."""
    checks = sorted(summary.checks[: summary.accounts], key=lambda check: (check.account.limit, check.sent))
    places = range(len(checks))
    axes.bar(places, [check.sent for check in checks], color="#dddddd", width=1.0, label="sent")
    axes.bar(
        places, [check.admitted for check in checks], color=COLOURS[TOLLBAR.name], width=1.0, label="admitted"
    )
    axes.step(
        places, [check.bound for check in checks], where="mid", color="black", linewidth=1, label="bound"
    )
    axes.set_yscale("symlog", linthresh=10)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("accounts, by limit and messages sent")
    axes.set_ylabel("messages (log scale above 10)")
    axes.set_title("tollbar: admitted against the bound, one round")
    axes.legend(loc="upper left", frameon=False)


def _stalls(axes: Axes, results: Results) -> None:
    """Draw the largest and the median first sight in a full table."""
    for place, (name, stall) in enumerate(results.stalls.items()):
        axes.bar(place, stall.largest_ns / 1000, color=COLOURS[name], width=0.6)
        axes.plot([place - 0.3, place + 0.3], [stall.median_ns / 1000] * 2, color="black", linewidth=1.5)
        axes.plot([place - 0.3, place + 0.3], [stall.largest_later_ns / 1000] * 2, "k--", linewidth=1)
        axes.annotate(
            f"{stall.largest_ns / 1000:,.3g}", (place, stall.largest_ns / 1000), ha="center", va="bottom"
        )
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.1)
    axes.margins(y=0.15)
    axes.set_xticks(range(len(results.stalls)), list(results.stalls), fontsize=8)
    axes.set_ylabel("time of one call (us, log scale)")
    axes.set_title(
        f"New account, full table of {TABLE_SIZE:,}\n"
        f"(bar: largest of {NEWCOMERS}, dashed: largest after the first, line: median)"
    )


def write_plot(path: Path, results: Results) -> None:
    """Write the picture as a PNG."""
    with mpl.rc_context(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10}
    ):
        # Without pyplot: no global state, and no window system is looked for.
        figure = Figure(figsize=(12, 8), layout="constrained")
        FigureCanvasAgg(figure)
        ((top_left, top_right), (bottom_left, bottom_right)) = figure.subplots(2, 2)
        _times(top_left, results)
        _throughput(top_right, results)
        _admitted(bottom_left, next(s for s in results.summaries if s.contender is TOLLBAR))
        _stalls(bottom_right, results)
        figure.suptitle(
            f"{results.messages:,} messages of {results.accounts:,} accounts through one SMTP relay, "
            f"{results.rounds} rounds per limiter"
        )
        figure.savefig(path, format="png", dpi=120)
