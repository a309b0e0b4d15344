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

_BY_KEYS = ("#9ecae1", "#4292c6", "#084594")
_BY_LIMITER = ("#999999", "#d55e00", "#e69f00", "#0072b2")
_GROUP = 0.8
# Of each curve at most so many points are drawn; the slowest calls are always among them.
_POINTS = 400


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
        axes.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=7)
    axes.set_yticks(range(len(rows)), list(rows))
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if "tollbar" in label.get_text() else "normal")
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(y=0.02)
    axes.set_title(title, loc="left", fontsize=10)
    # Above the axes, at the end of the title's line: nowhere else is there room for sure.
    legend = axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=len(series),
        fontsize=8,
        handlelength=1,
        columnspacing=1.2,
    )
    legend.set_frame_on(False)
    axes.spines[["top", "right"]].set_visible(False)


def _by_contender(measured: Decisions) -> dict[str, dict[str, float]]:
    """Turn the samples round: contender, then number of keys."""
    return {
        name: {
            _keys(count): statistics.median(samples[name])
            for count, samples in measured.items()
            if name in samples
        }
        for name in next(iter(measured.values()))
    }


def _keys(count: int) -> str:
    return f"{count:,} {'key' if count == 1 else 'keys'}"


def draw_side_by_side(
    path: Path, called: Decisions, awaited: Decisions, cases: Mapping[str, Samples]
) -> None:
    """Write a PNG of nanoseconds per operation: decisions called, decisions awaited, other cases."""
    by_case = {
        case: {name: statistics.median(values) for name, values in samples.items()}
        for case, samples in cases.items()
    }
    panels = (_by_contender(called), _by_contender(awaited), by_case)
    sizes = [len(panel) for panel in panels]
    figure = Figure(figsize=(9, 2 + 0.42 * sum(sizes)), layout="constrained")
    FigureCanvasAgg(figure)
    above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=sizes)
    counts = [_keys(count) for count in called]
    _bars(above, "one decision about a known key, called", panels[0], counts, _BY_KEYS)
    _bars(middle, "one decision about a known key, awaited", panels[1], counts, _BY_KEYS)
    _bars(below, "other cases, awaited", by_case, list(next(iter(by_case.values()))), _BY_LIMITER)
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
    for (name, repeats), colour in zip(measured.items(), ("#999999", *_BY_KEYS), strict=True):
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
