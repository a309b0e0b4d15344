"""The dispatcher's limiter answers as the original does, and plans exactly: random schedules."""

from __future__ import annotations

import os
from collections import deque

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import now as answer
from original_windows import Dispatcher
from tollbar import ManualClock
from tollbar.sliding_window import RateLimiter

# For each of the two tests; a share of it where another interpreter does all of it.
SCHEDULES = 3_000 * int(os.environ.get("TOLLBAR_PERCENT", "100")) // 100
START = 1_700_000_000
EVERY_SCHEDULE = settings(
    max_examples=SCHEDULES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)

LIMITS = st.one_of(
    st.none(), st.integers(-1, 6), st.integers(0, 6).map(str), st.integers(0, 6).map(lambda n: f" {n} ")
)
ACCOUNTS = st.fixed_dictionaries(
    {},
    optional={
        "limit_per_minute": LIMITS,
        "limit_per_hour": LIMITS,
        "limit_per_day": LIMITS,
        "limit_behavior": st.sampled_from(["defer", "reject"]),
    },
)
# Mostly seconds, sometimes the rest of a window, seldom a step back.
PAUSES = st.one_of(
    st.just(0),
    st.integers(0, 70),
    st.integers(0, 70),
    st.integers(0, 4_000),
    st.integers(80_000, 90_000),
    st.integers(-100, -1),
)
STEPS = st.tuples(
    PAUSES,
    st.integers(0, 1),
    st.sampled_from(["check"] * 6 + ["log"] * 5 + ["release", "purge", "clear", "assign", "fly", "forget"]),
    st.lists(st.integers(-90_000, 100), max_size=6),
)


def both(limiter, model, now, step, account, seconds):  # noqa: PLR0917
    """Do the same to both, and say what each has to say about it."""
    name = account["id"]
    if step == "check":
        return answer(limiter.check_and_plan(account)), model.check(account, now)
    if step == "log":
        return answer(limiter.log_send(name)), model.log(name, now)
    if step == "release":
        model.release(name)
        return answer(limiter.release_slot(name)), None
    if step == "purge":
        return answer(limiter.purge_for_account(name)), model.purge(name)
    if step == "assign":
        stamps = sorted(now + second for second in seconds)
        limiter._send_history[name] = deque(stamps)
        model.sent[name] = stamps
    elif step == "fly":
        limiter._in_flight = {name: len(seconds)}
        model.in_flight = {name: len(seconds)}
    elif step == "forget":
        return limiter._send_history.pop(name, None), model.sent.pop(name, None)
    else:
        limiter.clear(), model.clear()
    return None, None


@pytest.mark.hazard("clock-back")
@EVERY_SCHEDULE
@given(
    accounts=st.lists(ACCOUNTS, min_size=2, max_size=2),
    steps=st.lists(STEPS, min_size=1, max_size=30),
    log_unlimited=st.booleans(),
)
def test_it_answers_as_the_original(accounts, steps, log_unlimited):
    clock = ManualClock(unix=START)
    limiter = RateLimiter(clock=clock, log_unlimited=log_unlimited)
    model = Dispatcher(trims_at_log=True, log_unlimited=log_unlimited)
    for pause, which, step, seconds in steps:
        clock.advance(pause)
        account = {"id": f"account{which}", **accounts[which]}
        ours, theirs = both(limiter, model, int(clock.unix()), step, account, seconds)
        assert ours == (deque(theirs) if isinstance(theirs, list) else theirs)
        for stamps in model.sent.values():
            stamps.sort()  # ours are, after a step back of the clock; the original's sums do not differ
        assert limiter._send_history == model.sent
        assert limiter._in_flight == model.in_flight


@EVERY_SCHEDULE
@given(
    limits=st.tuples(st.integers(1, 5), st.integers(1, 8), st.integers(1, 12)),
    ages=st.lists(st.one_of(st.integers(0, 80), st.integers(0, 4_000), st.integers(0, 90_000)), max_size=14),
)
def test_an_exact_plan_is_the_first_second_that_passes(limits, ages):
    account = dict(zip(("limit_per_minute", "limit_per_hour", "limit_per_day"), limits, strict=True))
    account["id"] = "a"
    clock = ManualClock(unix=START)
    limiter = RateLimiter(plan="exact", clock=clock)
    limiter._send_history["a"] = [START - age for age in ages]
    until, _ = answer(limiter.check_and_plan(account))
    if until is None:
        return
    clock.advance(until - 1 - START)
    assert answer(limiter.check_and_plan(account)) == (until, False)
    clock.advance(1)
    assert answer(limiter.check_and_plan(account)) == (None, False)
