"""Draws a run into one PNG: admitted and denied a second, resident size, open files."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .load import WARM_UP_PART

if TYPE_CHECKING:
    from pathlib import Path

    from .load import Run

_MIB = 1 << 20


def write_plot(path: Path, run: Run) -> None:
    """Write the picture."""
    # Without pyplot: no global state, and no window system is looked for.
    figure = Figure(figsize=(9, 8), layout="constrained")
    FigureCanvasAgg(figure)
    rates, memory, files = figure.subplots(3, 1, sharex=True)
    times = [at for at, _ in run.samples]
    for name, colour in (("admitted", "#0072b2"), ("denied", "#d55e00")):
        totals = [getattr(sample, name) for _, sample in run.samples]
        steps = [
            (later - sooner) / (end - begin)
            for (begin, end), (sooner, later) in zip(pairwise(times), pairwise(totals), strict=True)
        ]
        rates.plot(times[1:], steps, label=name, color=colour)
    rates.set_ylabel("messages a second")
    rates.legend(loc="upper right", frameon=False)
    memory.plot(times, [sample.resident / _MIB for _, sample in run.samples], color="#009e73")
    memory.set_ylabel("resident size (MiB)")
    files.plot(times, [sample.files for _, sample in run.samples], color="#666666")
    files.set_ylabel("open files")
    files.set_xlabel("seconds")
    for axes in (rates, memory, files):
        axes.set_ylim(bottom=0)
        axes.axvline(run.seconds * WARM_UP_PART, color="black", linewidth=0.8, linestyle=":")
        axes.grid(visible=True, alpha=0.3)
    figure.suptitle(f"A proxy under clients that misbehave, {run.seconds:g} s (dotted: end of the warm-up)")
    figure.savefig(path, format="png", dpi=110)
