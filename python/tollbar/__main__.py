"""The command line: `python -m tollbar COMMAND`.

Only what a command needs is imported, and only when it runs: --help and --version work without the extras.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DEMO_EXTRAS = ("aiosmtpd", "aiosmtplib", "matplotlib", "rich")
_INTERRUPTED = 130


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return value


def _picture(text: str) -> Path:
    """Refuse a path that cannot be written before a minute of measuring, not after it."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {str(path.parent)!r}")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a directory")
    return path


def _version() -> str:
    import tollbar  # noqa: PLC0415 - see the module's docstring

    return f"tollbar {tollbar.__version__}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tollbar", description="A native rate limiter.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    about = "send the same mail through a relay once per limiter, and report what was measured"
    demo = commands.add_parser("demo", help=about, description=about)
    demo.add_argument(
        "--accounts", type=_positive, default=100, help="sending accounts (default: %(default)s)"
    )
    demo.add_argument(
        "--messages", type=_positive, default=4000, help="messages a round (default: %(default)s)"
    )
    demo.add_argument(
        "--limit", type=_positive, default=100, help="default messages an hour (default: %(default)s)"
    )
    demo.add_argument(
        "--clients", type=_positive, default=16, help="concurrent clients (default: %(default)s)"
    )
    demo.add_argument("--rounds", type=_positive, default=3, help="rounds per limiter (default: %(default)s)")
    demo.add_argument("--seed", type=int, default=1, help="of the traffic (default: %(default)s)")
    demo.add_argument("--plot", type=_picture, metavar="FILE", help="write the results as a PNG")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the answer is the process's exit code."""
    options = _parser().parse_args(arguments)
    missing = [name for name in DEMO_EXTRAS if importlib.util.find_spec(name) is None]
    if missing:
        print(f"The demo needs {', '.join(missing)}: pip install 'tollbar[demo]'", file=sys.stderr)
        return 2
    from .demo.run import run  # noqa: PLC0415 - see the module's docstring

    try:
        run(options)
    except KeyboardInterrupt:
        # The sink and the temporary directory are gone by now; a trace would tell nobody anything.
        return _INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
