"""Turn the shared vectors into C tables, so that no JSON library is needed: `make_vectors.py FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
REASONS = ["rate", "window", "in_flight", "jail", "never", "full", "closed", "blocked"]
CALLS = ["peek", "decide", "reserve", "commit", "cancel", "all", "block", "drain"]
KINDS = ["rate", "window", "in_flight", "jail", "closed"]
# The most limits that a step gives a cost of their own.
MOST_COSTS = 2
ABSENT = -1


def number(value: float | bool | None) -> str:
    """Write a whole number as C does; None is a duration without end."""
    if value is None:
        return "TOLLBAR_NEVER"
    return f"UINT64_C({int(value)})"


def text(value: str | None) -> str:
    """Write a text byte by byte, so that no character of it means anything to a compiler; None is empty."""
    return '"' + "".join(f"\\{byte:03o}" for byte in (value or "").encode()) + '"'


def limit(told: dict[str, Any]) -> str:
    """One limit: every field that a kind has, 0 for those it has not."""
    known = {"kind", "name", "limit", "per_ns", "burst", "strict", "steps", "edge", "shadow", "denials"}
    unknown = set(told) - known - {"within_ns", "duration_ns", "factor"}
    if unknown:
        raise ValueError(f"fields that the C test does not read: {sorted(unknown)}")
    if told.get("edge", "half_open") not in {"half_open", "closed"}:
        raise ValueError(f"edge must be half_open or closed, not {told['edge']}")
    numbers = [told.get(name, 0) for name in ("limit", "per_ns", "burst", "steps")]
    numbers += [told.get(name, 0) for name in ("denials", "within_ns", "duration_ns")]
    flags = [bool(told.get("strict")), told.get("edge") == "closed", bool(told.get("shadow"))]
    fields = [
        str(KINDS.index(told.get("kind", "rate"))),
        text(told.get("name")),
        *map(number, numbers),
        *(str(int(flag)) for flag in flags),
        repr(float(told.get("factor", 0))),
    ]
    return "{" + ", ".join(fields) + "}"


def costs(named: dict[str, int]) -> str:
    """How many limits have a cost of their own, and these."""
    if len(named) > MOST_COSTS:
        raise ValueError(f"more costs than the C test has room for: {named}")
    each = [f"{{{text(name)}, {len(name.encode())}, {number(cost)}}}" for name, cost in named.items()]
    each += ["{NULL, 0, 0}"] * (MOST_COSTS - len(each))
    return f"{len(named)}, {{{', '.join(each)}}}"


def step(told: dict[str, Any]) -> str:
    """One call and what must come of it."""
    known = {"advance_ns", "call", "key", "cost", "allowed", "reason", "retry_after_ns", "remaining"}
    known |= {"reset_after_ns", "limit", "shadowed", "reservation", "lease_ns", "lost", "actual", "ended"}
    known |= {"costs", "actuals", "length_ns", "to", "name", "denied_by"}
    if set(told) - known:
        raise ValueError(f"fields that the C test does not read: {sorted(set(told) - known)}")
    reason = told.get("reason")
    key = told.get("key", "")
    fields = [
        str(CALLS.index(told["call"])),
        number(told["advance_ns"]),
        text(key),
        str(len(key.encode())),
        number(told.get("cost", 0)),
        number(told.get("reservation", 0)),
        number(told.get("lease_ns", 0)),
        str(int(told.get("lost") == "returned")),
        str(ABSENT if told.get("actual") is None else told["actual"]),
        str(int(told.get("ended", False))),
        str(int(told.get("allowed", False))),
        str(REASONS.index(reason) + 1 if reason else 0),
        number(told.get("retry_after_ns", 0)),
        number(told.get("remaining", 0)),
        str(told.get("reset_after_ns", ABSENT)),
        text(told.get("limit")),
        str(int(told.get("shadowed", False))),
        costs(told.get("costs") or told.get("actuals") or {}),
        number(told.get("length_ns", told.get("to", 0))),
        "NULL" if told.get("name") is None else text(told["name"]),
        str(ABSENT if told.get("denied_by") is None else told["denied_by"]),
    ]
    return "{" + ", ".join(fields) + "}"


def tables() -> str:
    """All of both files: limits, steps, and which of them make a history."""
    rates = json.loads((VECTORS / "rate.json").read_text(encoding="utf-8"))
    together = json.loads((VECTORS / "limits.json").read_text(encoding="utf-8"))
    histories = [([one["rate"]], one["steps"]) for one in rates]
    histories += [(one["limits"], one["steps"]) for one in together]
    limits = [limit(told) for of, _ in histories for told in of]
    steps = [step(told) for _, of in histories for told in of]
    each = [f"{{{len(of_limits)}, {len(of_steps)}}}" for of_limits, of_steps in histories]
    parts = [
        "/* The shared vectors as C tables; made by tests/c/make_vectors.py. */",
        "static const struct limit all_limits[] = {\n" + ",\n".join(limits) + "};",
        "static const struct step all_steps[] = {\n" + ",\n".join(steps) + "};",
        "static const struct history all_histories[] = {\n" + ",\n".join(each) + "};",
        f"#define HISTORIES {len(histories)}",
        f"#define STEPS {len(steps)}",
    ]
    return "\n".join(parts) + "\n"


def main(folder: Path) -> None:
    (folder / "vectors_tables.h").write_text(tables(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
