"""How long a failed item waits for its next try: exponential backoff with full jitter."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from tenacity import RetryCallState

# (tries that have failed, the queue's random generator) -> seconds
Backoff = Callable[[int, Random], float]


class _Failed:
    """All that tenacity's arithmetic reads of a retry."""

    def __init__(self, tries: int) -> None:
        self.attempt_number = tries


def full_jitter(*, initial: float = 0.1, base: float = 2.0, longest: float = 30.0) -> Backoff:
    """Seconds drawn evenly from 0 to `initial * base ** (tries - 1)`, but at most `longest`.

    Full jitter spreads the tries of those who failed together, which a fixed backoff would bring back
    together. The queue's own generator draws, so that a seeded one repeats a run.

    ImportError without tenacity, which does the arithmetic: `pip install 'tollbar[dispatch]'`. ValueError for
    numbers that are negative or not finite, and for a base below 1.
    """
    for name, value, least in (("initial", initial, 0.0), ("base", base, 1.0), ("longest", longest, 0.0)):
        if not least <= value < math.inf:
            raise ValueError(f"{name}: must be a finite number, at least {least:g}, got {value!r}")
    try:
        from tenacity import wait_exponential  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ImportError(
            "the backoff of a dispatch queue needs tenacity: pip install 'tollbar[dispatch]', "
            "or give the queue a backoff= of your own"
        ) from error
    highest = wait_exponential(multiplier=initial, exp_base=base, max=longest)

    def draw(tries: int, random: Random) -> float:
        # tenacity's own wait_random_exponential draws from the global generator.
        return random.uniform(0.0, highest(cast("RetryCallState", _Failed(tries))))

    return draw
