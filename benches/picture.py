"""Draws the side-by-side table: time per operation of every limiter, by case, on a log scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COLOURS = ("#999999", "#d55e00", "#e69f00", "#0072b2")
_BAR = 0.2


def draw(path: Path, medians: Mapping[str, Mapping[str, float]]) -> None:
    """Write a PNG of nanoseconds per operation: case, then limiter."""
    figure = Figure(figsize=(9, 1 + 0.9 * len(medians)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    limiters = list(next(iter(medians.values())))
    for number, (limiter, colour) in enumerate(zip(limiters, COLOURS, strict=True)):
        places = [case + (number - (len(limiters) - 1) / 2) * _BAR for case in range(len(medians))]
        bars = axes.barh(
            places, [row[limiter] for row in medians.values()], _BAR, color=colour, label=limiter
        )
        axes.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=7)
    axes.set_yticks(range(len(medians)), list(medians))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.1)
    axes.set_xlim(left=10)
    axes.set_xlabel("nanoseconds per operation (median, log scale; less is better)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(limiters), frameon=False)
    figure.savefig(path, format="png", dpi=120)
