"""Runs the demo: the same traffic once per limiter and round, then the stalls, the report and the plot."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .contenders import CONTENDERS, NONE, Contender
from .plot import write_plot
from .report import Results, print_report
from .rounds import Round, denial_log, play_round
from .sink import running_sink
from .stall import REPEATS, measure_stalls
from .summary import summarise
from .traffic import plan_traffic

if TYPE_CHECKING:
    import argparse

# The bar is redrawn after so many steps, between two messages: a redrawing thread would take the interpreter
# away from a limiter in the middle of a call, and be measured with it.
_STEPS_PER_DRAWING = 100
_WARM_UP_MESSAGES = 100

Begin = Callable[[str], None]
Step = Callable[[], None]


@contextlib.contextmanager
def _progress(console: Console, total: int) -> Iterator[tuple[Begin, Step]]:
    """Give two functions, one to name what begins and one to count a step; no bar off a terminal."""
    if not console.is_terminal:

        def announce(what: str) -> None:
            console.print(what, highlight=False)

        yield announce, lambda: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=total)
        done = 0

        def begin(what: str) -> None:
            progress.update(task, description=what, refresh=True)

        def step() -> None:
            nonlocal done
            done += 1
            progress.advance(task)
            if done % _STEPS_PER_DRAWING == 0:
                progress.refresh()

        yield begin, step


def _order(round_number: int) -> tuple[Contender, ...]:
    """Each round begins with another contender, so that none is always first or last."""
    start = round_number % len(CONTENDERS)
    return CONTENDERS[start:] + CONTENDERS[:start]


async def measure(options: argparse.Namespace, console: Console, log_directory: Path) -> Results:
    """All rounds of all contenders, and the stalls."""
    traffic = plan_traffic(options.accounts, options.messages, options.limit, options.seed)
    warm_up = plan_traffic(
        options.accounts, min(options.messages, _WARM_UP_MESSAGES), options.limit, options.seed
    )
    rounds: dict[str, list[Round]] = {contender.name: [] for contender in CONTENDERS}
    total = len(CONTENDERS) * options.rounds * options.messages
    with denial_log(log_directory / "denials.log") as log:
        async with running_sink() as sink:
            play = functools.partial(
                play_round, default_limit=options.limit, clients=options.clients, sink=sink, log=log
            )
            with _progress(console, total) as (begin, step):
                begin("warming up")
                await play(NONE, warm_up, lambda: None)
                for number in range(options.rounds):
                    for contender in _order(number):
                        begin(f"round {number + 1} of {options.rounds}: {contender.name}")
                        rounds[contender.name].append(await play(contender, traffic, step))
                begin(f"new accounts in a full table, {REPEATS} times")
                stalls = await measure_stalls(CONTENDERS, options.limit)
    return Results(
        summaries=[summarise(played, traffic) for played in rounds.values()],
        stalls=stalls,
        accounts=options.accounts,
        messages=options.messages,
        clients=options.clients,
        rounds=options.rounds,
    )


def run(options: argparse.Namespace, console: Console | None = None) -> Results:
    """Measure, print the report, and write the plot if one is asked for."""
    console = console or Console()
    with tempfile.TemporaryDirectory(prefix="tollbar-demo-") as directory:
        results = asyncio.run(measure(options, console, Path(directory)))
    print_report(console, results)
    if options.plot is not None:
        write_plot(options.plot, results)
        console.print(f"Plot written to {options.plot}", highlight=False)
    return results
