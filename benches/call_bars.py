"""The bars of calls from other languages, beside the core in the same run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import calls
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


CALL_BARS = (
    Bar("C call, 1 key, shared library", "the decision in Rust", 1.3, _c_call(calls.SHARED)),
    Bar("C call, 1 key, static library", "the decision in Rust", 1.3, _c_call(calls.STATIC)),
)
