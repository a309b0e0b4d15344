"""The command line: `python -m examples.exchange`, from the top of the checkout."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from .contenders import CONTENDERS
from .measure import WARM_UP, Setting, measure
from .nonces import Nonces
from .plot import write_plot
from .report import print_report
from .rules import Legs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tollbar.dispatch import Stats

    from .client import Progress as Tell

_INTERRUPTED = 130
_MOST_SECONDS = 3600.0


def _legs(text: str) -> Legs:
    try:
        return Legs.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds_above(least: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            seconds = least
        if not least < seconds <= _MOST_SECONDS:
            told = f"{text!r} is not a number of seconds above {least:g}, up to {_MOST_SECONDS:g}"
            raise argparse.ArgumentTypeError(told)
        return seconds

    return read


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _file(text: str) -> Path:
    """Refuse a path that cannot be written before the minutes of measuring, not after them."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written")
    return path


def _parser() -> argparse.ArgumentParser:
    about = "Run clients against an exchange that limits them, and compare what they reach."
    parser = argparse.ArgumentParser(prog="python -m examples.exchange", description=about)
    parser.add_argument(
        "--seconds", type=_seconds_above(WARM_UP), default=20.0, help="of each run (default: %(default)g)"
    )
    parser.add_argument("--legs", type=_legs, help="milliseconds of a leg, from:to (default: 0:50)")
    parser.add_argument(
        "--jump",
        type=_legs,
        nargs="?",
        const=Legs.parse("0:80"),
        help="legs from the middle of the run on (0:80 if not told; --legs is then 0:5)",
    )
    parser.add_argument(
        "--room", type=_whole, default=10, help="requests that wait at most (default: %(default)s)"
    )
    parser.add_argument(
        "--ttl", type=_seconds_above(0), default=1.5, help="seconds a request may wait (default: %(default)g)"
    )
    parser.add_argument(
        "--only", choices=[one.name for one in CONTENDERS], action="append", help="one client (repeatable)"
    )
    parser.add_argument("--json", type=_file, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--plot", type=_file, metavar="FILE", help="write the results as a PNG")
    return parser


@contextlib.contextmanager
def _showing(console: Console, name: str, seconds: float) -> Iterator[Tell]:
    """Give a function that shows how far a run has come; off a terminal only its name is printed."""
    if not console.is_terminal:
        console.print(name, highlight=False)
        yield lambda _stats: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    with Progress(
        *columns, TimeRemainingColumn(), console=console, auto_refresh=False, transient=True
    ) as progress:
        task = progress.add_task(name, total=seconds, told="")

        def tell(stats: Stats) -> None:
            told = f"{stats.done} done, {stats.throughput:.1f}/s, {stats.retries} retries"
            progress.update(task, completed=stats.seconds, told=told, refresh=True)

        yield tell


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write what is asked for; the answer is the exit code."""
    options = _parser().parse_args(arguments)
    legs = options.legs or Legs.parse("0:50" if options.jump is None else "0:5")
    setting = Setting(options.seconds, legs, options.jump, options.room, options.ttl)
    console = Console()
    nonces = Nonces()
    results = []
    for contender in CONTENDERS:
        if options.only and contender.name not in options.only:
            continue
        with _showing(console, contender.name, options.seconds) as tell:
            results.append(measure(contender, setting, nonces, tell))
    print_report(console, results, setting)
    if options.json is not None:
        told: dict[str, Any] = {
            "legs_ms": str(legs),
            "jump_ms": None if options.jump is None else str(options.jump),
        }
        told["runs"] = [result.as_dict() for result in results]
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if options.plot is not None:
        jump = "" if options.jump is None else f", then {options.jump} ms"
        write_plot(options.plot, results, f"Clients of an exchange whose legs take {legs} ms{jump}")
        console.print(f"Plot written to {options.plot}", highlight=False)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        # The server is gone by now; a trace would tell nobody anything.
        sys.exit(_INTERRUPTED)
