"""Draws throughput and 429s over time into one PNG."""

from __future__ import annotations

from http import HTTPStatus
from itertools import accumulate
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .rules import KEYS, PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .measure import Result

# Told apart by the colour-blind too.
_COLOURS = ("#999999", "#e69f00", "#0072b2", "#d55e00")


def write_plot(path: Path, results: Sequence[Result], title: str) -> None:
    """Write the picture as a PNG."""
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        # Without pyplot: no global state, and no window system is looked for.
        figure = Figure(figsize=(9, 7), layout="constrained")
        FigureCanvasAgg(figure)
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        most = 1
        for result, colour in zip(results, _COLOURS, strict=False):
            served = result.a_second(HTTPStatus.OK)
            rejected = list(accumulate(result.a_second(HTTPStatus.TOO_MANY_REQUESTS)))
            most = max(most, *rejected)
            seconds = [second + 0.5 for second in range(len(served))]
            top.plot(seconds, served, color=colour, label=f"{result.name}: {result.throughput:.1f}/s")
            bottom.step(seconds, rejected, where="mid", color=colour, label=result.name)
        top.axhline(len(KEYS) * PER_SECOND, color="black", linewidth=0.8, linestyle=":")
        top.set_ylim(bottom=0)
        top.set_ylabel("requests served, a second")
        top.legend(loc="lower right", frameon=False)
        bottom.set_ylim(0, 1.1 * most)
        bottom.set_ylabel("429s so far")
        bottom.set_xlabel("seconds since the first request")
        figure.suptitle(title)
        figure.savefig(path, format="png", dpi=120)
