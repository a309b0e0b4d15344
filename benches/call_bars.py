"""The bars of calls from other languages, beside the core in the same run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import calls
import go_calls
from bars import Bar

if TYPE_CHECKING:
    from collections.abc import Callable

    from everything import Measured


def _c_call(side: str) -> Callable[[Measured], float]:
    def value(measured: Measured) -> float:
        if measured.calls is None:
            raise KeyError("calls from C cannot be built here")
        return calls.over_rust(measured.calls, calls.HOT, side)

    return value


def _go_call(name: str) -> Callable[[Measured], float]:
    def value(measured: Measured) -> float:
        if measured.go is None:
            raise KeyError("calls from Go cannot be built here")
        return measured.go.ratios[name]

    return value


CALL_BARS = (
    Bar("C call, 1 key, shared library", "the decision in Rust", 1.3, _c_call(calls.SHARED)),
    Bar("C call, 1 key, static library", "the decision in Rust", 1.3, _c_call(calls.STATIC)),
    Bar("Go `TryAcquire`, 1 key", "an empty cgo call and the C call", 1.15, _go_call(go_calls.SINGLE)),
    Bar("Go batch of 100, per key", "x/time/rate behind a sync.Map", 1, _go_call(go_calls.BATCH)),
)
