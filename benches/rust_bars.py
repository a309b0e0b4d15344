"""The bars of the Rust core, beside the crate governor with its defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bars import Bar
from visits import Keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from everything import Measured
    from rust_peers import RustMeasured

_GOVERNOR = "governor, keyed"
_GROWTH, _BYTES = 2_000_000, 1_000_000
_DECISION, _HANDLE, _BATCH = "decision", "held handle", "batch of 100"
_DECISIONS = {
    1: {1: 0.32, 1_000: 0.35, 100_000: 0.32, 1_000_000: 0.33},
    2: {1: 0.6, 1_000: 0.37, 100_000: 0.25, 1_000_000: 0.3},
}


def _rust(measured: Measured) -> RustMeasured:
    if measured.rust is None:
        raise KeyError("cargo cannot build the comparison here")
    return measured.rust


def _row(what: str, keys: int, threads: int) -> Callable[[Measured], float]:
    def value(measured: Measured) -> float:
        ratios = {(row.what, row.keys, row.order, row.threads): row.ratio for row in _rust(measured).rows}
        return ratios[what, keys, "uniform", threads]

    return value


def _growth(measured: Measured) -> float:
    growth = _rust(measured).growth
    if growth.keys != _GROWTH:
        raise KeyError(growth.keys)
    clock = growth.clock.median
    return (growth.ours.p99_9 - clock) / (growth.ours.median - clock)


def _bytes(measured: Measured) -> float:
    told = _rust(measured).bytes
    if told.ours is None or told.keys != _BYTES:
        raise KeyError(told.keys)
    return told.ours


RUST_BARS = (
    *(
        Bar(
            f"Rust decision, {Keys(keys)}, {'1 thread' if threads == 1 else f'{threads} pinned threads'}",
            _GOVERNOR,
            at_most,
            _row(_DECISION, keys, threads),
        )
        for threads, by_keys in _DECISIONS.items()
        for keys, at_most in by_keys.items()
    ),
    Bar("Rust, a held handle, 1 hot key, 1 thread", _GOVERNOR, 0.18, _row(_HANDLE, 1, 1)),
    Bar("Rust, a held handle, 1 hot key, 2 pinned threads", _GOVERNOR, 0.32, _row(_HANDLE, 1, 2)),
    Bar("Rust, batch of 100 at 1,000,000 keys", _GOVERNOR, 0.13, _row(_BATCH, 1_000_000, 1)),
    Bar("Rust insertion while growing to 2,000,000, 99.9th percentile", "its own median", 30, _growth),
    Bar("bytes per account from Rust, 1,000,000 accounts, 30-byte keys", "", 72, _bytes),
)
