"""Draws what was measured: bars of time per operation on a log scale, and how long single calls took."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from decisions import Decisions
    from latency import Latencies
    from measuring import Samples
    from visits import Keys

_BY_KEYS = ("#c6dbef", "#6baed6", "#2171b5", "#08306b", "#009e73")
_BY_LIMITER = ("#999999", "#d55e00", "#e69f00", "#0072b2")
_GROUP = 0.85
# Of each curve at most so many points are drawn; the slowest calls are always among them.
_POINTS = 400
_BY_CALL = ("#999999", "#9ecae1", "#08306b", "#a1d99b", "#238b45", "#d94801")


def _bars(
    axes: Axes,
    title: str,
    rows: Mapping[str, Mapping[str, float]],
    series: Sequence[str],
    colours: Sequence[str],
) -> None:
    height = _GROUP / len(series)
    for number, (one, colour) in enumerate(zip(series, colours, strict=False)):
        offset = (number - (len(series) - 1) / 2) * height
        present = [place for place, row in enumerate(rows.values()) if one in row]
        bars = axes.barh(
            [place + offset for place in present],
            [row[one] for row in rows.values() if one in row],
            height,
            color=colour,
            label=one,
        )
        axes.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=6)
    axes.set_yticks(range(len(rows)), list(rows))
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if "tollbar" in label.get_text() else "normal")
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(y=0.02)
    # Title and legend above the axes, one over the other: nowhere else is there room for sure.
    axes.set_title(title, loc="left", fontsize=10, pad=20)
    legend = axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0,
        ncols=len(series),
        fontsize=8,
        handlelength=1,
        columnspacing=1.2,
    )
    legend.set_frame_on(False)
    axes.spines[["top", "right"]].set_visible(False)


def _drawn(measured: Decisions) -> list[Keys]:
    """Choose what is drawn: every number of keys, and the largest one by Zipf's law, too."""
    most = max(keys.count for keys in measured)
    return [keys for keys in measured if not keys.zipf or keys.count == most]


def _by_contender(measured: Decisions) -> dict[str, dict[str, float]]:
    """Turn the samples round: contender, then what keys there are."""
    return {
        name: {
            str(keys): statistics.median(measured[keys][name])
            for keys in _drawn(measured)
            if name in measured[keys]
        }
        for name in next(iter(measured.values()))
    }


def draw_side_by_side(
    path: Path, called: Decisions, awaited: Decisions, cases: Mapping[str, Samples]
) -> None:
    """Write a PNG of nanoseconds per operation: decisions called, decisions awaited, other cases."""
    by_case = {
        case: {name: statistics.median(values) for name, values in samples.items()}
        for case, samples in cases.items()
    }
    panels = (_by_contender(called), _by_contender(awaited), by_case)
    populations = [str(keys) for keys in _drawn(called)]
    limiters = list(next(iter(by_case.values())))
    # A panel is as high as its bars are many, so that all bars are alike and have room for their numbers.
    sizes = [
        len(panel) * len(series)
        for panel, series in zip(panels, (populations, populations, limiters), strict=True)
    ]
    figure = Figure(figsize=(9, 2.5 + 0.115 * sum(sizes)), layout="constrained")
    FigureCanvasAgg(figure)
    above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=sizes)
    _bars(above, "one decision about a known key, called", panels[0], populations, _BY_KEYS)
    _bars(middle, "one decision about a known key, awaited", panels[1], populations, _BY_KEYS)
    _bars(below, "other cases, awaited", by_case, limiters, _BY_LIMITER)
    # Room for the number beside the longest bar.
    longest = max(max(row.values()) for panel in panels for row in panel.values())
    below.set_xlim(5, 2.5 * longest)
    below.set_xlabel("nanoseconds per operation (median, log scale; less is better)")
    figure.savefig(path, format="png", dpi=110)


def _curve(repeats: Sequence[Sequence[int]]) -> tuple[list[int], list[float]]:
    """Pool all repeats: times, and for each the share of calls that took at least as long."""
    pooled = sorted((spent for one in repeats for spent in one), reverse=True)
    # Ranks grow by a constant factor: the few slow calls are what the curve is for.
    ranks = sorted({int(len(pooled) ** (step / _POINTS)) for step in range(_POINTS + 1)})
    return [pooled[rank - 1] for rank in ranks], [rank / len(pooled) for rank in ranks]


def draw_latency(path: Path, measured: Latencies) -> None:
    """Write a PNG of the share of calls that took longer, over the time they took."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for (name, repeats), colour in zip(measured.items(), _BY_CALL, strict=True):
        times, shares = _curve(repeats)
        axes.plot(times, shares, color=colour, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("nanoseconds of one call, the clock's own cost included")
    axes.set_ylabel("share of calls that took as long or longer")
    axes.legend(frameon=False)
    axes.grid(color="#eeeeee")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="png", dpi=110)
