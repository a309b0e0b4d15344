"""Resident bytes that a limiter needs for a key, each limiter in a process of its own.

    python benches/memory.py NAME KEYS

prints them for one limiter; the benchmark starts that for each of them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from adapters import run
from measuring import PLENTY, markdown, progress, shown_ratio
from ours import ASYNC, SYNC, AccountLock, GlobalLock, Limiter, PurePython, RateLimiter
from peers import PEERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters import Adapter

KEYS = 200_000
MANY_KEYS = 1_000_000
KEY_LENGTH = 30
CONTENDERS: tuple[type[Adapter], ...] = (Limiter, RateLimiter, PurePython, GlobalLock, AccountLock)
_EVERYBODY: tuple[type[Adapter], ...] = (*SYNC, *ASYNC, *PEERS)
_STATM = Path("/proc/self/statm")

# Bytes per key by contender and number of keys.
Bytes: TypeAlias = "dict[tuple[str, int], float]"


def _resident() -> int:
    gc.collect()
    return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _bytes_per_key(contender: type[Adapter], keys: int) -> float:
    adapter = contender(PLENTY, keys + 1)
    await run(adapter, ["warm"])
    before = _resident()
    # Each key is a new string, as a key from the network is: who keeps the string, pays for it.
    await run(adapter, (f"account{number:0{KEY_LENGTH - 19}}@example.org" for number in range(keys)))
    adapter.settle()
    return (_resident() - before) / keys


def _in_a_process(name: str, keys: int) -> float | None:
    command = [sys.executable, __file__, name, str(keys)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this file
    if done.returncode == 0:
        return float(done.stdout)
    print(f"no size of {name}: {done.stderr.strip().rsplit(os.linesep, 1)[-1]}", file=sys.stderr)
    return None


def measure(peers: Sequence[type[Adapter]], keys: int, many: int, repeats: int) -> Bytes:
    """Start a process for each contender and repeat; tollbar with many keys, too."""
    if not _STATM.exists():
        return {}
    measured: Bytes = {}
    progress("bytes per key")
    for contender, count in [(one, keys) for one in (*CONTENDERS, *peers)] + [(Limiter, many)]:
        sizes = [_in_a_process(contender.name, count) for _ in range(repeats)]
        told = [size for size in sizes if size is not None]
        if told:
            measured[contender.name, count] = statistics.median(told)
    return measured


def table(measured: Bytes, keys: int) -> str:
    """Write the Markdown table."""
    if not measured:
        return "Bytes per key are measured on Linux only."
    base = measured[Limiter.name, keys]
    rows = [
        [name, f"{count:,}", f"{size:,.0f}", shown_ratio(size / base)]
        for (name, count), size in measured.items()
    ]
    return markdown(["resident bytes per key", "keys", "bytes", "ratio"], rows)


def main(arguments: Sequence[str]) -> int:
    """Measure one contender and print its bytes per key."""
    name, keys = arguments
    contender = next(one for one in _EVERYBODY if one.name == name)
    print(asyncio.run(_bytes_per_key(contender, int(keys))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
