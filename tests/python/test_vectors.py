"""The shared vectors: the same configuration, times and answers in every language."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from tollbar import Limiter, ManualClock, Rate

VECTORS = Path(__file__).parents[1] / "vectors"
sys.path.insert(0, str(VECTORS))

import make_vectors  # noqa: E402

SECOND = 1_000_000_000
HISTORIES = json.loads((VECTORS / "rate.json").read_text(encoding="utf-8"))


def test_what_is_written_is_what_the_generator_makes():
    assert (VECTORS / "rate.json").read_text(encoding="utf-8") == make_vectors.written()


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: json.dumps(history["rate"]))
def test_every_answer_is_the_one_that_is_written_down(history):
    told = dict(history["rate"])
    clock = ManualClock()
    limiter = Limiter(Rate(told.pop("limit"), per=told.pop("per_ns") / SECOND, **told), clock=clock)
    for step in history["steps"]:
        clock.advance_ns(step["advance_ns"])
        answer = getattr(limiter, step["call"])(step["key"], step["cost"])
        assert answer.allowed == step["allowed"], step
        assert answer.reason == step["reason"], step
        never = step["retry_after_ns"] is None
        wait = math.inf if never else step["retry_after_ns"] / SECOND
        assert answer.retry_after == pytest.approx(wait, rel=1e-12), step
        assert answer.remaining == step["remaining"], step
        assert answer.reset_after == pytest.approx(step["reset_after_ns"] / SECOND, rel=1e-12), step
