"""The shared vectors: the same configuration, times and answers in every language."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from tollbar import Closed, InFlight, Jail, Limiter, ManualClock, Rate, Window

VECTORS = Path(__file__).parents[1] / "vectors"
sys.path.insert(0, str(VECTORS))

import make_limits  # noqa: E402
import make_vectors  # noqa: E402

SECOND = 1_000_000_000
HISTORIES = json.loads((VECTORS / "rate.json").read_text(encoding="utf-8"))
TOGETHER = json.loads((VECTORS / "limits.json").read_text(encoding="utf-8"))


def test_what_is_written_is_what_the_generators_make():
    assert (VECTORS / "rate.json").read_text(encoding="utf-8") == make_vectors.written()
    assert (VECTORS / "limits.json").read_text(encoding="utf-8") == make_limits.written()


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


KINDS = {"rate": Rate, "window": Window, "in_flight": InFlight, "jail": Jail, "closed": Closed}


def limit(told):
    told = dict(told)
    make = KINDS[told.pop("kind")]
    seconds = {
        name.removesuffix("_ns"): told.pop(name) / SECOND for name in list(told) if name.endswith("_ns")
    }
    return make(**told, **seconds)


@pytest.mark.parametrize(
    "history", TOGETHER, ids=lambda history: "+".join(told["name"] for told in history["limits"])
)
def test_several_limits_answer_as_is_written_down(history):
    clock = ManualClock()
    limiter = Limiter(*map(limit, history["limits"]), clock=clock)
    places = {}
    for step in history["steps"]:
        clock.advance_ns(step["advance_ns"])
        call = step["call"]
        if call in ("commit", "cancel"):
            place = places[step["reservation"]]
            actuals = step.get("actuals") or None
            ended = place.cancel() if call == "cancel" else place.commit(step["actual"], actuals=actuals)
            assert ended == step["ended"], step
            continue
        if call in ("block", "drain"):
            length = step.get("length_ns", 0) / SECOND
            done = (
                limiter.block(step["key"], length)
                if call == "block"
                else limiter.drain(step["key"], step["to"], limit=step["name"])
            )
            assert done == step["ended"], step
            continue
        costs = step.get("costs") or None
        if call == "reserve":
            lease = step["lease_ns"] / SECOND
            place = limiter.reserve(step["key"], step["cost"], lease, lost=step["lost"], costs=costs)
            places[step["reservation"]], answer = place, place.decision
        elif call == "all":
            answer = limiter.try_acquire_all(["a", "b"], step["cost"], costs=costs)
        else:
            answer = getattr(limiter, call)(step["key"], step["cost"], costs=costs)
        for name in ("allowed", "reason", "limit", "shadowed", "remaining"):
            assert getattr(answer, name) == step[name], step
        never = step["retry_after_ns"] is None
        wait = math.inf if never else step["retry_after_ns"] / SECOND
        assert answer.retry_after == pytest.approx(wait, rel=1e-12), step
