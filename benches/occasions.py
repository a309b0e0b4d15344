"""The ratios of the last two runs that were written down, by interpreter, beside this file as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).with_suffix(".json")
_KEPT = 2


@dataclass(frozen=True)
class Run:
    """One occasion: when it was, and the ratio of each bar that could be measured."""

    date: str
    values: Mapping[str, float]


# The runs of each interpreter version, the oldest first.
Occasions: TypeAlias = "dict[str, list[Run]]"


def load(file: Path = FILE) -> Occasions:
    """Read what was written down, if anything was."""
    if not file.exists():
        return {}
    kept = json.loads(file.read_text(encoding="utf-8"))
    return {version: [Run(**run) for run in runs] for version, runs in kept.items()}


def added(kept: Occasions, version: str, run: Run) -> Occasions:
    """Add a run; of this interpreter the last two stay, of the others all that was there."""
    return {**kept, version: [*kept.get(version, []), run][-_KEPT:]}


def save(occasions: Occasions, file: Path = FILE) -> None:
    """Write it all down, with digits enough to tell two runs apart."""
    plain = {
        version: [
            asdict(Run(run.date, {name: float(f"{value:.4g}") for name, value in run.values.items()}))
            for run in runs
        ]
        for version, runs in sorted(occasions.items())
    }
    file.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
