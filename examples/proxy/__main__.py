"""The command line: `python -m examples.proxy --seconds 60`, from the top of the checkout."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .load import play
from .report import as_dict, complaints, sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .running import Sample

_INTERRUPTED = 130
_LEAST_SECONDS, _MOST_SECONDS = 1.0, 900.0
_MIB = 1 << 20


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _LEAST_SECONDS <= seconds <= _MOST_SECONDS:
        told = f"{text!r} is not a number of seconds from {_LEAST_SECONDS:g} to {_MOST_SECONDS:g}"
        raise argparse.ArgumentTypeError(told)
    return seconds


def _file(text: str) -> Path:
    """Refuse a path that cannot be written before the run, not after it."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written")
    return path


def _parser() -> argparse.ArgumentParser:
    about = (
        "Load an SMTP proxy with clients that misbehave, and see whether it counts right and leaks nothing."
    )
    parser = argparse.ArgumentParser(prog="python -m examples.proxy", description=about)
    parser.add_argument("--seconds", type=_seconds, default=60.0, help="of load (default: %(default)g)")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the clients' behaviour (default: %(default)s)"
    )
    parser.add_argument("--json", type=_file, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--plot", type=_file, metavar="FILE", help="write a PNG (needs matplotlib)")
    return parser


class _Progress:
    """One line that changes on a terminal; a line every ten seconds elsewhere."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._live = sys.stderr.isatty()
        self._next = 0.0

    def __call__(self, at: float, sample: Sample) -> None:
        if not self._live and at < self._next:
            return
        self._next = at + 10.0
        line = (
            f"{at:5.1f} of {self._seconds:g} s: {sample.admitted:,} admitted, {sample.denied:,} denied, "
            f"{sample.resident / _MIB:.1f} MiB, {sample.files} files, {sample.errors} errors"
        )
        print(
            f"\r{line:<100}" if self._live else line,
            end="" if self._live else "\n",
            file=sys.stderr,
            flush=True,
        )

    def end(self) -> None:
        """Leave the line."""
        if self._live:
            print(file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Load, report, and write what is asked for; the answer is the exit code, 1 if anything is wrong."""
    options = _parser().parse_args(arguments)
    progress = _Progress(options.seconds)
    run = asyncio.run(play(options.seconds, options.seed, progress))
    progress.end()
    told = as_dict(run)
    print("\n".join(sentences(told)))
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if options.plot is not None:
        from .plot import write_plot  # noqa: PLC0415 - matplotlib is needed for the picture alone

        write_plot(options.plot, run)
        print(f"Plot written to {options.plot}")
    return 1 if complaints(told) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        # The proxy and the server behind it are gone by now; a trace would tell nobody anything.
        sys.exit(_INTERRUPTED)
