"""Writes the shared test vectors of several limits together, for every language.

    python tests/vectors/make_limits.py

The answers come from a model that keeps every event for good, counts them anew at each question, and finds a
time by trying every moment at which something leaves a limit. Its times are nanoseconds; a closed window is
free a sixteenth of one after its width, which is how finely time is told.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SECOND = 1_000_000_000
TICK = Fraction(1, 16)
Json = dict[str, Any]


@dataclass
class Place:
    """A reservation."""

    number: int
    costs: list[int]
    expiry: int
    returned: bool
    charged: list[bool]
    receipts: list[int]


@dataclass
class Seen:
    """What one limit of a key has seen."""

    sent: list[tuple[int, int]] = field(default_factory=list)
    tat: int = 0
    denials: list[int] = field(default_factory=list)
    until: int = 0
    strikes: int = 0
    quiet_since: int = 0


def capacity(limit: Json) -> int | None:
    if limit["kind"] in ("jail", "closed"):
        return 0 if limit["kind"] == "closed" else None
    most: int = limit.get("burst", limit["limit"])
    return most


class Key:
    """One key under all its limits."""

    def __init__(self, limits: list[Json]) -> None:
        self.limits = limits
        self.seen = [Seen() for _ in limits]
        self.places: list[Place] = []
        self.blocked = 0

    def costs(self, each: int, named: Json | None = None) -> list[int]:
        """What a request costs each limit."""
        return [(named or {}).get(limit["name"], each) for limit in self.limits]

    def settle(self, place: Place, at: int, used: list[int]) -> None:
        self.places.remove(place)
        for number, limit in enumerate(self.limits):
            if not place.charged[number]:
                continue
            seen = self.seen[number]
            seen.sent.append((at, used[number]))
            if limit["kind"] == "rate":
                interval = limit["per_ns"] // limit["limit"]
                more = used[number] - place.costs[number]
                back = max(0, -more) * interval
                seen.tat -= min(back, max(0, place.receipts[number] - at))
                if more > 0:
                    seen.tat = max(seen.tat, at) + more * interval
                seen.tat = min(seen.tat, at + limit["burst"] * interval)

    def expire(self, now: int) -> None:
        for place in sorted(self.places, key=lambda place: (place.expiry, place.number)):
            if place.expiry <= now:
                self.settle(place, place.expiry, [0] * len(self.limits) if place.returned else place.costs)

    def leaving(self, number: int) -> list[tuple[Fraction, int]]:
        """When everything that counts in a limit leaves it."""
        limit, seen = self.limits[number], self.seen[number]
        held = [place for place in self.places if place.charged[number]]
        if limit["kind"] == "in_flight":
            return [(Fraction(place.expiry), place.costs[number]) for place in held]

        def after(stamp: int) -> Fraction:
            if "steps" in limit:
                step = limit["per_ns"] // limit["steps"]
                stamp = (stamp // step + 1) * step
            return stamp + limit["per_ns"] + (TICK if limit.get("edge") == "closed" else 0)

        sent = [(after(stamp), cost) for stamp, cost in seen.sent]
        return sent + [
            (Fraction(place.expiry) if place.returned else after(place.expiry), place.costs[number])
            for place in held
        ]

    def earliest(self, number: int, now: int, cost: int) -> Fraction | None:
        limit, seen = self.limits[number], self.seen[number]
        if limit["kind"] == "jail":
            return Fraction(max(now, seen.until))
        if limit["kind"] == "closed":
            return None
        if cost == 0:
            return Fraction(now)
        if cost > (capacity(limit) or 0):
            return None
        if limit["kind"] == "rate":
            return self.earliest_of_rate(number, now, cost)
        leaving = self.leaving(number)
        moments = sorted({Fraction(now), *(at for at, _ in leaving if at > now)})
        return next(at for at in moments if sum(n for out, n in leaving if out > at) + cost <= limit["limit"])

    def earliest_of_rate(self, number: int, now: int, cost: int) -> Fraction:
        limit = self.limits[number]
        interval = limit["per_ns"] // limit["limit"]
        tat, at = self.seen[number].tat, now

        def passes(tat: int, at: int) -> int:
            return max(at, tat + (cost - limit["burst"]) * interval)

        for place in sorted(self.places, key=lambda place: (place.expiry, place.number)):
            if place.charged[number] and place.returned and passes(tat, at) > place.expiry:
                at = place.expiry
                tat -= min(place.costs[number] * interval, max(0, place.receipts[number] - at))
        return Fraction(passes(tat, at))

    def judge(self, now: int, costs: list[int]) -> Json:
        self.expire(now)
        told: Json = {"allowed": True, "reason": None, "retry_after_ns": 0, "limit": None, "shadowed": False}
        latest, would = Fraction(now), Fraction(now)
        asks = any(costs)
        for number, limit in enumerate(self.limits if asks else []):
            at = self.earliest(number, now, costs[number])
            if at == now:
                continue
            late = Fraction(10**30) if at is None else at
            if limit.get("shadow"):
                told["shadowed"] = True
                if late > would and told["allowed"]:
                    would, told["limit"] = late, limit["name"]
            elif late > latest:
                latest = late
                told |= {"allowed": False, "limit": limit["name"]}
                told["reason"] = limit["kind"]
                if at is None and limit["kind"] != "closed":
                    told["reason"] = "never"
                told["retry_after_ns"] = None if at is None else up(at - now)
        if asks and self.blocked > latest:
            wait = self.blocked - now
            told |= {"allowed": False, "limit": None, "reason": "blocked", "retry_after_ns": wait}
        told["shadowed"] = told["shadowed"] and told["allowed"]
        return told

    def fits(self, number: int, now: int, cost: int) -> bool:
        return self.earliest(number, now, cost) == now

    def remaining(self, now: int) -> int:
        if self.blocked > now:
            return 0
        strict = [number for number, limit in enumerate(self.limits) if not limit.get("shadow")]
        most = min(n for n in (capacity(self.limits[number]) for number in strict) if n is not None)
        return next(n for n in range(most, -1, -1) if n == 0 or all(self.fits(at, now, n) for at in strict))

    def ask(
        self, call: str, now: int, cost: int, place: Json | None = None, named: Json | None = None
    ) -> Json:
        costs = self.costs(cost, named)
        told = self.judge(now, costs)
        charged = [
            not any(costs) or self.fits(number, now, costs[number]) for number in range(len(self.limits))
        ]
        if told["allowed"] and call != "peek":
            receipts = []
            for number, limit in enumerate(self.limits):
                seen = self.seen[number]
                if charged[number] and place is None:
                    seen.sent.append((now, costs[number]))
                if charged[number] and limit["kind"] == "rate" and costs[number]:
                    seen.tat = max(seen.tat, now) + costs[number] * (limit["per_ns"] // limit["limit"])
                receipts.append(seen.tat)
            if place is not None:
                expiry, returned = now + place["lease_ns"], place["lost"] == "returned"
                self.places.append(Place(place["number"], costs, expiry, returned, charged, receipts))
        elif told["reason"] not in (None, "never", "closed") and call != "peek" and self.denied(now):
            told = self.judge(now, costs)
        return {**told, "remaining": self.remaining(now)}

    def drain(self, now: int, to: int, name: str | None) -> bool:
        """Charge what each rate and window, or the one of this name, has beyond that."""
        self.expire(now)
        surplus = []
        for number, limit in enumerate(self.limits):
            meant = name in (None, limit["name"]) and limit["kind"] in ("rate", "window")
            most = (capacity(limit) or 0) if meant else 0
            left = next(n for n in range(most, -1, -1) if n == 0 or self.fits(number, now, n))
            surplus.append(max(0, left - to))
        for limit, seen, more in zip(self.limits, self.seen, surplus, strict=True):
            seen.sent.append((now, more))
            if limit["kind"] == "rate" and more:
                seen.tat = max(seen.tat, now) + more * (limit["per_ns"] // limit["limit"])
        return any(surplus)

    def denied(self, now: int) -> bool:
        """Count a denial; say whether that began a timeout."""
        jails = [at for at, limit in enumerate(self.limits) if limit["kind"] == "jail"]
        if any(self.seen[at].until > now for at in jails):
            return False
        began = False
        for at in jails:
            limit, seen = self.limits[at], self.seen[at]
            forgotten = max(0, now - seen.quiet_since) // limit["duration_ns"]
            seen.strikes = max(0, seen.strikes - forgotten)
            seen.quiet_since = max(seen.quiet_since, now)
            seen.denials.append(now)
            if sum(now - denial <= limit["within_ns"] for denial in seen.denials) >= limit["denials"]:
                seen.strikes += 1
                seen.until = now + limit["duration_ns"] * limit["factor"] ** (seen.strikes - 1)
                seen.quiet_since, seen.denials, began = seen.until, [], True
        return began


def up(nanoseconds: Fraction) -> int:
    """Round up: who waits so long has waited long enough."""
    return -(-nanoseconds.numerator // nanoseconds.denominator)


MINUTE = {"kind": "window", "limit": 6, "per_ns": 60 * SECOND, "name": "minute"}
HOUR = {"kind": "window", "limit": 20, "per_ns": 3_600 * SECOND, "name": "hour", "edge": "closed"}
LANES = {"kind": "in_flight", "limit": 3, "name": "lanes"}
BUCKET = {"kind": "rate", "limit": 10, "per_ns": 100 * SECOND, "burst": 5, "name": "bucket"}
STEPPED = {"kind": "window", "limit": 8, "per_ns": 120 * SECOND, "steps": 12, "name": "stepped"}
CELL = {
    "kind": "jail",
    "denials": 3,
    "within_ns": 30 * SECOND,
    "duration_ns": 90 * SECOND,
    "factor": 2,
    "name": "cell",
}
POLICIES: list[list[Json]] = [
    [MINUTE],
    [{**MINUTE, "edge": "closed"}],
    [STEPPED],
    [MINUTE, HOUR],
    [MINUTE, HOUR, LANES],
    [BUCKET, MINUTE],
    [BUCKET, LANES],
    [MINUTE, CELL],
    [BUCKET, STEPPED, LANES, CELL],
    [BUCKET, {**MINUTE, "limit": 2, "shadow": True}],
]


REQUESTS = {"kind": "window", "limit": 5, "per_ns": 60 * SECOND, "name": "requests"}
TOKENS = {"kind": "window", "limit": 1000, "per_ns": 60 * SECOND, "name": "tokens"}
FLOW = {"kind": "rate", "limit": 500, "per_ns": 50 * SECOND, "burst": 300, "name": "flow"}
SHUT = {"kind": "closed", "name": "shut"}
# Requests that cost their limits differently, blocks, drains, and several keys at once.
BY_NAME: list[list[Json]] = [
    [REQUESTS, TOKENS],
    [{**REQUESTS, "edge": "closed"}, {**TOKENS, "per_ns": 90 * SECOND}, LANES],
    [FLOW, REQUESTS],
    [FLOW, {**TOKENS, "steps": 6}, {**LANES, "limit": 8}],
    [BUCKET, FLOW],
    [SHUT],
    [MINUTE, SHUT],
]


def steps(limits: list[Json], dice: random.Random) -> list[Json]:
    """Make up a history of two keys: bursts, waits to the nanosecond, reservations of every fate."""
    keys = {name: Key(limits) for name in "ab"}
    made: list[Json] = []
    now, wait, number = 0, 0, 0
    open_places: list[tuple[int, str, int, str]] = []
    for _ in range(80):
        advance = dice.choice([0, 0, 0, 1, wait, max(wait - 1, 0), SECOND * dice.randint(1, 25)])
        now += advance
        call = dice.choice(["decide"] * 5 + ["peek", "reserve", "reserve", "reserve", "commit", "cancel"])
        step: Json = {"advance_ns": advance, "call": call}
        if call in ("commit", "cancel"):
            if not open_places:
                call = step["call"] = "peek"
            else:
                place, name, cost, lost = open_places.pop(dice.randrange(len(open_places)))
                actual = dice.choice([None, None, 0, 1, 3]) if call == "commit" else 0
                used = keys[name].costs(cost if actual is None else actual)
                ended = end(keys[name], place, now, used, late=lost == "returned" and call == "commit")
                made.append({**step, "reservation": place, "actual": actual, "ended": ended})
                continue
        name, cost = dice.choice("aab"), dice.choice([0, 1, 1, 1, 2, 3, 6, 9])
        step |= {"key": name, "cost": cost}
        terms = None
        if call == "reserve":
            number += 1
            lost = "sent" if limits[0]["kind"] == "rate" else dice.choice(["sent", "returned"])
            terms = {"number": number, "lease_ns": SECOND * dice.randint(5, 90), "lost": lost}
            step |= {"reservation": number, "lease_ns": terms["lease_ns"], "lost": lost}
        answer = keys[name].ask(call, now, cost, terms)
        if terms and answer["allowed"]:
            open_places.append((number, name, cost, terms["lost"]))
        wait = int(answer["retry_after_ns"] or 0)
        made.append({**step, **answer})
    return made


CALLS = ["decide"] * 5 + ["peek"] * 2 + ["reserve"] * 3 + ["commit"] * 2 + ["cancel"]
CALLS += ["all", "all", "block", "drain"]


def some_costs(names: list[str], dice: random.Random) -> Json:
    """Give up to two limits a cost of their own."""
    large = {"tokens": [0, 1, 50, 120, 333, 400, 1001], "flow": [0, 1, 20, 75, 150, 301]}
    chosen = dice.sample(names, dice.randint(0, min(2, len(names))))
    return {name: dice.choice(large.get(name, [0, 1, 1, 2, 3])) for name in chosen}


def order(call: str, key: Key, now: int, dice: random.Random) -> Json:
    """Block a key, or drain it."""
    if call == "block":
        length = SECOND * dice.choice([0, 1, 5, 20])
        key.blocked = now + length
        return {"length_ns": length, "ended": True}
    to, of = dice.choice([0, 1, 3, 40]), dice.choice([None, *(limit["name"] for limit in key.limits)])
    return {"to": to, "name": of, "ended": key.drain(now, to, of)}


def steps_by_name(limits: list[Json], dice: random.Random) -> list[Json]:
    """Make up a history of two keys whose limits have costs of their own."""
    keys = {name: Key(limits) for name in "ab"}
    names = [limit["name"] for limit in limits]
    made: list[Json] = []
    now, wait, number = 0, 0, 0
    open_places: list[tuple[int, str, int, Json, str]] = []
    for _ in range(90):
        advance = dice.choice([0, 0, 0, 1, wait, max(wait - 1, 0), SECOND * dice.randint(1, 25)])
        now += advance
        call = dice.choice(CALLS)
        call = "peek" if call in ("commit", "cancel") and not open_places else call
        step: Json = {"advance_ns": advance, "call": call}
        if call in ("commit", "cancel"):
            place, name, cost, named, lost = open_places.pop(dice.randrange(len(open_places)))
            actuals = some_costs(names, dice) if call == "commit" else {}
            actual = dice.choice([None, 0, 1, 2] if not actuals else [0, 1, 2]) if call == "commit" else 0
            key = keys[name]
            each = cost if actual is None else actual
            used = key.costs(each, {**named, **actuals}) if call == "commit" else key.costs(0)
            ended = end(key, place, now, used, late=lost == "returned" and call == "commit")
            made.append({**step, "reservation": place, "actual": actual, "actuals": actuals, "ended": ended})
            continue
        name = dice.choice("aab")
        if call in ("block", "drain"):
            made.append({**step, "key": name, **order(call, keys[name], now, dice)})
            continue
        cost, named = dice.choice([0, 1, 1, 1, 2]), some_costs(names, dice)
        # What costs no limit anything costs nothing.
        cost = cost if any(keys[name].costs(cost, named)) else 0
        step |= {"key": name, "cost": cost, "costs": named}
        if call == "all":
            answer = ask_all([keys[one] for one in "ab"], now, cost, named)
        else:
            terms = None
            if call == "reserve":
                number += 1
                rates = any(limit["kind"] == "rate" for limit in limits)
                lost = "sent" if rates else dice.choice(["sent", "returned"])
                terms = {"number": number, "lease_ns": SECOND * dice.randint(5, 90), "lost": lost}
                step |= {"reservation": number, "lease_ns": terms["lease_ns"], "lost": lost}
            answer = keys[name].ask(call, now, cost, terms, named)
            if terms and answer["allowed"]:
                open_places.append((number, name, cost, named, terms["lost"]))
        wait = int(answer["retry_after_ns"] or 0)
        made.append({**step, **answer})
    return made


def ask_all(keys: list[Key], now: int, cost: int, named: Json) -> Json:
    """Charge all keys or none; answer as the key that waits longest, with the least that remains."""
    asked = [key.ask("peek", now, cost, None, named) for key in keys]
    if all(one["allowed"] for one in asked):
        asked = [key.ask("decide", now, cost, None, named) for key in keys]
    forever = 10**30
    waits = [forever if one["retry_after_ns"] is None else one["retry_after_ns"] for one in asked]
    longest = waits.index(max(waits))
    denied = None if asked[longest]["allowed"] else longest
    return {**asked[longest], "remaining": min(one["remaining"] for one in asked), "denied_by": denied}


def end(key: Key, number: int, now: int, used: list[int], *, late: bool) -> bool:
    """End a reservation. One that was returned when its lease was over, and used all the same, is charged."""
    key.expire(now)
    place = next((place for place in key.places if place.number == number), None)
    if place is not None:
        key.settle(place, now, used)
        return True
    if late:
        nothing = [0] * len(key.limits)
        place = Place(
            number, nothing, now, returned=False, charged=[True] * len(key.limits), receipts=nothing
        )
        key.places.append(place)
        key.settle(place, now, used)
    return False


def vectors() -> list[Json]:
    made = [
        {"limits": limits, "steps": steps(limits, random.Random(at))} for at, limits in enumerate(POLICIES)
    ]
    return made + [
        {"limits": limits, "steps": steps_by_name(limits, random.Random(100 + at))}
        for at, limits in enumerate(BY_NAME)
    ]


def written() -> str:
    """Write a step a line, so that a difference shows where it is."""
    histories = []
    for vector in vectors():
        lines = ",\n  ".join(json.dumps(step) for step in vector["steps"])
        histories.append(f' {{"limits": {json.dumps(vector["limits"])}, "steps": [\n  {lines}\n ]}}')
    return "[\n" + ",\n".join(histories) + "\n]\n"


if __name__ == "__main__":
    (HERE / "limits.json").write_text(written(), encoding="utf-8")
