"""How many keys there are, and how often each is visited: all alike, or by Zipf's law."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from measuring import shuffled

if TYPE_CHECKING:
    from collections.abc import Sequence

# Enough visits that the rare keys of a million are among them; whoever needs more begins again.
_DRAWN = 1_000_000
_SEED = 1


@dataclass(frozen=True)
class Keys:
    """So many keys, uniform unless `zipf`: then the one of rank r is visited in proportion to 1/r."""

    count: int
    zipf: bool = False

    def __str__(self) -> str:
        counted = f"{self.count:,} {'key' if self.count == 1 else 'keys'}"
        return f"{counted}, Zipf" if self.zipf else counted


def zipf(keys: Sequence[str], drawn: int) -> list[str]:
    """Draw that many visits, the first key most often; the same in each run."""
    weights = list(accumulate(1 / rank for rank in range(1, len(keys) + 1)))
    return random.Random(_SEED).choices(keys, cum_weights=weights, k=drawn)


def visits(keys: Sequence[str], population: Keys) -> list[str]:
    """Say in which order the keys are visited; after the last visit comes the first again."""
    return zipf(keys, _DRAWN) if population.zipf else shuffled(keys)
