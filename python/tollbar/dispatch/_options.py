"""Refuses options that are none, before anything is made of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ._pacers import broken_rule

if TYPE_CHECKING:
    from collections.abc import Callable


def check_whole(name: str, value: object) -> None:
    """TypeError or ValueError if this is no whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: must be a whole number, got {value!r}")
    if value < 1:
        raise ValueError(f"{name}: must be at least 1, got {value!r}")


def check_seconds(name: str, value: object, *, zero: bool = False) -> None:
    """TypeError or ValueError if this is neither None nor finite seconds above 0 (or 0, with `zero`)."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: must be seconds or None, got {value!r}")
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name}: must be finite and {'at least' if zero else 'above'} 0, got {value!r}")


def check_hook(name: str, hook: Callable[..., object] | None) -> None:
    """TypeError if this cannot be called, or would have to be awaited."""
    if hook is not None and (not callable(hook) or inspect.iscoroutinefunction(hook)):
        raise TypeError(f"{name}: must be a plain function or None, got {hook!r}")


def check_workers(workers: Mapping[str, object], *, tasks: bool) -> None:
    """TypeError or ValueError unless there are workers, named by text, with pacers that pace."""
    if not isinstance(workers, Mapping):
        raise TypeError(f"workers: must be a mapping of names to pacers, got {workers!r}")
    if not workers:
        raise ValueError("workers: must not be empty")
    for name, pacer in workers.items():
        if not isinstance(name, str):
            raise TypeError(f"workers: names must be text, got {name!r}")
        if pacer is not None and (rule := broken_rule(pacer, tasks=tasks)) is not None:
            raise TypeError(f"workers: the pacer of {name!r} must {rule}, got {pacer!r}")
