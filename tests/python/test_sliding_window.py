"""The dispatcher's limiter: plans, options, live mappings, and what has broken others."""

from __future__ import annotations

import asyncio
import copy
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from collections import OrderedDict, deque
from types import MappingProxyType

import pytest

from conftest import now as answer
from original_windows import DAY, HOUR, MINUTE
from tollbar import ManualClock, sliding_window
from tollbar.sliding_window import WINDOW_DAY, WINDOW_HOUR, WINDOW_MINUTE, RateLimiter

START = 1_700_000_000


@pytest.fixture
def clock():
    return ManualClock(unix=START)


@pytest.fixture
def limiter(clock):
    return RateLimiter(clock=clock)


def check(limiter, **account):
    return answer(limiter.check_and_plan({"id": "a", **account}))


def log(limiter, times=1):
    for _ in range(times):
        assert answer(limiter.log_send("a")) is None


def test_the_example_runs_as_pasted(tmp_path):
    script = tmp_path / "example.py"
    script.write_text(textwrap.dedent(sliding_window.__doc__.split("\n\n", 2)[2]))
    command = [sys.executable, "-W", "error", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("['sent', 'sent', 'deferred']\n", "")


def test_iterating_passes_over_what_has_gone(limiter):
    limiter._send_history, limiter._in_flight = {"a": [1], "b": [2]}, {"a": 1, "b": 2}
    for view in (limiter._send_history.items(), limiter._in_flight.values()):
        seen = iter(view)
        next(seen)
        limiter.clear()
        assert list(seen) == []
        limiter._in_flight = {"a": 1, "b": 2}


def test_the_windows_are_seconds():
    assert (WINDOW_MINUTE, WINDOW_HOUR, WINDOW_DAY) == (MINUTE, HOUR, DAY) == (60, 3600, 86400)


def test_a_plan_is_the_boundary_of_the_first_limit_that_is_reached(limiter):
    log(limiter, 2)
    assert check(limiter, limit_per_minute=2) == ((START // 60 + 1) * 60, False)
    assert check(limiter, limit_per_minute=3, limit_per_hour=2) == ((START // 3600 + 1) * 3600, False)
    assert check(limiter, limit_per_hour=3, limit_per_day="2") == ((START // 86400 + 1) * 86400, False)
    assert check(limiter, limit_per_day=2, limit_behavior="reject") == ((START // 86400 + 1) * 86400, True)
    assert limiter._in_flight == {}


def test_by_the_systems_clock_it_is_now():
    limiter = RateLimiter()
    before = int(time.time())
    log(limiter)
    until, _ = check(limiter, limit_per_minute=1)
    after = int(time.time())
    assert before <= limiter._send_history["a"][0] <= after
    assert before < until <= after + 60 and until % 60 == 0


def test_where_those_in_flight_take_all_the_next_second_is_told(clock):
    limiter = RateLimiter(plan="exact", clock=clock)
    assert check(limiter, limit_per_hour=1) == (None, False)
    assert check(limiter, limit_per_hour=1) == (START + 1, False)
    log(limiter)
    assert check(limiter, limit_per_hour=1) == (START + 3600, False)


def test_without_limits_there_is_no_history(clock):
    limiter = RateLimiter(clock=clock)
    for limits in ({}, {"limit_per_day": 0}, {"limit_per_hour": -3}, {"limit_per_minute": "0"}):
        assert check(limiter, **limits) == (None, False)
        log(limiter)
    assert limiter._send_history == {} and limiter._in_flight == {}
    assert check(limiter, limit_per_day=1) == (None, False)
    assert check(limiter) == (None, False)
    log(limiter)  # what was reserved under a limit counts
    assert limiter._send_history == {"a": [START]}


def test_on_request_the_unlimited_have_a_history(clock):
    limiter = RateLimiter(clock=clock, log_unlimited=True)
    assert check(limiter) == (None, False)
    log(limiter)
    assert check(limiter, limit_per_day=1)[0] is not None


def test_history_is_bounded_without_checks(limiter, clock):
    for _ in range(5):
        log(limiter, 3)
        clock.advance(DAY // 2)
    assert len(limiter._send_history["a"]) == 6
    assert answer(limiter.purge_for_account("a")) == 6
    assert answer(limiter.purge_for_account("a")) == 0
    log(limiter)
    assert len(limiter._send_history["a"]) == 1


def test_idle_accounts_are_forgotten(limiter, clock):
    for number in range(20_000):
        answer(limiter.log_send(f"account{number}"))
    clock.advance(DAY)
    for number in range(20_000):
        answer(limiter.log_send(f"newcomer{number}"))
    assert 20_000 <= len(limiter._send_history) < 40_000
    assert sum(name.startswith("newcomer") for name in limiter._send_history) == 20_000


def test_a_reservation_is_for_ever_unless_there_is_a_lease(limiter, clock):
    leased = RateLimiter(clock=clock, lease=30)
    for one in (limiter, leased):
        assert check(one, limit_per_day=1) == (None, False)
    clock.advance(29)
    assert check(leased, limit_per_day=1)[0] is not None
    clock.advance(1)
    assert check(leased, limit_per_day=1) == (None, False)
    clock.advance(10 * DAY)
    assert check(limiter, limit_per_day=1)[0] is not None
    assert (limiter._in_flight, leased._in_flight) == ({"a": 1}, {"a": 0})


@pytest.mark.hazard("incident-expiry-race")
def test_no_reservation_is_ended_twice(clock):
    limiter = RateLimiter(clock=clock, lease=10)
    assert check(limiter, limit_per_day=5) == (None, False)
    clock.advance(10)
    answer(limiter.release_slot("a"))  # too late
    answer(limiter.release_slot("never seen"))
    assert limiter._in_flight == {"a": 0}
    limiter._in_flight["a"] = 2
    clock.advance(5)
    assert check(limiter, limit_per_day=5) == (None, False)
    clock.advance(5)
    assert limiter._in_flight["a"] == 1


def test_the_mappings_do_what_dicts_do(limiter):
    history, flying = limiter._send_history, limiter._in_flight
    history["a"] = deque([START + 3, START, START])
    assert history["a"] == [START, START, START + 3] == list(history["a"])
    assert history["a"] == deque([START, START, START + 3]) and history["a"] != []
    assert (len(history["a"]), history["a"][0], history["a"][-1]) == (3, START, START + 3)
    assert history["a"][1:] == [START, START + 3] and START in history["a"]
    with pytest.raises(IndexError):
        history["a"][3]
    history["a"].append(START - 1)
    assert history["a"].popleft() == START - 1
    history["a"].append(START - 0.5)
    history["a"].extend([START + 9])
    assert history["a"].pop() == START + 9
    history["a"][0] = START + 4
    assert history["a"] == [START, START, START + 3, START + 4]
    history.setdefault("b", deque()).append(START)
    assert dict(history) == {"a": [START, START, START + 3, START + 4], "b": [START]} == history
    assert history.get("b") == [START] and history.get("c") is None and history.get(3) is None
    assert "\ud800" not in history and len(history) == 2 and set(history) == {"a", "b"}
    assert repr(history["b"]) == f"Sends([{START}])" and repr(flying) == "InFlight({})"
    assert [list(sends) for sends in history.values()] == [list(sends) for _, sends in history.items()]
    kept = history.copy()
    assert history.pop("b") == deque([START]) and "b" not in history
    assert kept["b"] == deque([START])
    del history["a"]
    with pytest.raises(KeyError):
        history["a"]
    with pytest.raises(KeyError):
        del history["a"]
    flying["a"] = 3
    flying["a"] -= 1
    assert flying == {"a": 2} and limiter._in_flight.popitem() == ("a", 2) and not flying
    for wrong in (-1, 1.5):
        with pytest.raises(ValueError, match="in-flight"):
            flying["a"] = wrong


def test_whole_mappings_can_be_assigned(limiter):
    log(limiter)
    limiter._in_flight = {"a": 1, "b": 2}
    limiter._send_history = {"b": deque([START]), "c": []}
    assert limiter._send_history == {"b": [START], "c": []}
    limiter._send_history = limiter._send_history
    assert limiter._send_history == {"b": [START], "c": []} and limiter._in_flight == {"a": 1, "b": 2}
    limiter._send_history.clear()
    assert limiter._send_history == {} and limiter._in_flight == {"a": 1, "b": 2}
    limiter._in_flight.clear()
    assert limiter._in_flight == {}


@pytest.mark.hazard("cost-invalid")
@pytest.mark.parametrize("name", ["limit_per_minute", "limit_per_hour", "limit_per_day"])
@pytest.mark.parametrize("limit", ["ten", "", "1.5", float("nan"), float("inf"), [], b"\xff"])
def test_a_limit_that_is_none_is_refused_by_name(limiter, name, limit):
    kind = TypeError if limit == [] else ValueError
    with pytest.raises(kind, match=name):
        check(limiter, **{name: limit})
    assert limiter._in_flight == {} and limiter._send_history == {}


@pytest.mark.parametrize("limit", [2**63, 2**64, 2**70, str(2**70), True, 1.9, "1_0"])
def test_a_limit_may_be_whatever_int_takes(limiter, limit):
    log(limiter, 12)
    refused = check(limiter, limit_per_day=limit)[0] is not None
    assert refused == (int(limit) <= 12)
    assert check(limiter, limit_per_day=-(2**70)) == (None, False)


@pytest.mark.hazard("keys-refused")
def test_an_account_without_a_name_is_refused(limiter):
    with pytest.raises(KeyError, match="id"):
        answer(limiter.check_and_plan({"limit_per_day": 1}))
    for wrong in (None, 3, b"a"):
        with pytest.raises(TypeError):
            answer(limiter.check_and_plan({"id": wrong}))
        with pytest.raises(TypeError):
            limiter.log_send(wrong)
    with pytest.raises(UnicodeEncodeError):
        answer(limiter.check_and_plan({"id": "\ud800", "limit_per_day": 1}))
    with pytest.raises(ValueError, match="key"):
        answer(limiter.check_and_plan({"id": "a" * (1 << 20) + "a", "limit_per_day": 1}))
    assert limiter._in_flight == {}


@pytest.mark.hazard("keys-distinct")
def test_names_are_never_mixed_up(limiter):
    names = ["", "a", "a\0b", "a\n", "A", "\u00e4", "a\u0308", "x" * 300, "x" * 301, "{}", "*"]
    for name in names:
        assert answer(limiter.check_and_plan({"id": name, "limit_per_day": 1})) == (None, False)
    assert limiter._in_flight == dict.fromkeys(names, 1)


@pytest.mark.parametrize("mapping", [OrderedDict, MappingProxyType, type("Sub", (dict,), {})])
def test_any_mapping_is_an_account(limiter, mapping):
    account = mapping({"id": "a", "limit_per_day": 1, "limit_behavior": "reject"})
    assert answer(limiter.check_and_plan(account)) == (None, False)
    assert answer(limiter.check_and_plan(account))[1] is True


@pytest.mark.hazard("construction-values")
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"plan": "soon"}, ValueError),
        ({"lease": 0}, ValueError),
        ({"lease": -1}, ValueError),
        ({"lease": float("nan")}, ValueError),
        ({"lease": 4e9}, ValueError),
        ({"lease": "5"}, TypeError),
        ({"lease": True}, TypeError),
        ({"log_unlimited": 1}, TypeError),
        ({"clock": time.time}, TypeError),
    ],
)
def test_options_that_are_none_are_refused_by_name(options, error):
    with pytest.raises(error, match=next(iter(options))):
        RateLimiter(**options)


def test_it_keeps_the_sender_and_has_no_copies():
    sender = object()
    limiter = RateLimiter(sender)
    assert limiter.smtp_sender is sender and RateLimiter(smtp_sender=sender).smtp_sender is sender
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            duplicate(limiter)


@pytest.mark.hazard("python-loops")
def test_answers_work_wherever_coroutines_do(limiter):
    account = {"id": "a", "limit_per_day": 6}

    async def everywhere():
        gathered = await asyncio.gather(*(limiter.check_and_plan(account) for _ in range(2)))
        waited = await asyncio.wait_for(limiter.check_and_plan(account), 5)
        task = await asyncio.create_task(limiter.check_and_plan(account))
        answer = limiter.log_send("a")
        assert await answer is None and await answer is None  # logged by the call, and once
        await limiter.release_slot("a")
        assert await limiter.purge_for_account("a") == 1
        return [*gathered, waited, task]

    for _ in range(3):
        assert asyncio.run(everywhere()) == [(None, False)] * 4


def test_an_answer_arrives_whole_by_every_way(limiter):
    account = {"id": "a", "limit_per_day": 1}

    def delegating(awaitable):
        return (yield from awaitable)

    async def awaiting(awaitable):
        return await awaitable

    def stopped(step, *arguments):
        with pytest.raises(StopIteration) as stop:
            step(*arguments)
        return stop.value

    until = (START // DAY + 1) * DAY
    for expected in ((None, False), (until, False), None, 1, 0):
        if isinstance(expected, int):
            answers = limiter.purge_for_account("a")
        else:
            answers = limiter.check_and_plan(account) if expected else limiter.log_send("a")
        held = [stopped(next, answers), stopped(next, answers), stopped(answers.send, None)]
        held += [stopped(how(answers).send, None) for how in (delegating, awaiting)]
        assert [stop.value for stop in held] == [expected] * 5
        assert len(set(map(id, held))) == 5, "whoever keeps an exception has it to himself"
        assert list(answers) == [] and answers.close() is None
        with pytest.raises(LookupError):
            answers.throw(LookupError("thrown"))


@pytest.mark.hazard("race-k-tokens")
def test_many_threads_reserve_exactly_what_is_left(limiter):
    log(limiter, 300)
    account, passed, together = (
        {"id": "a", "limit_per_hour": 1_000, "limit_per_day": 5_000},
        [],
        threading.Barrier(8),
    )

    def ask():
        together.wait()
        answers = [answer(limiter.check_and_plan(account)) for _ in range(500)]
        passed.append(sum(until is None for until, _ in answers))
        for _ in range(passed[-1]):
            answer(limiter.log_send("a"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 700
    assert limiter._in_flight == {"a": 0} and len(limiter._send_history["a"]) == 1_000


@pytest.mark.hazard("clock-back")
@pytest.mark.parametrize("step", [1, 3600, 40_000])
def test_a_clock_set_back_lets_nobody_through(limiter, clock, step):
    log(limiter, 3)
    clock.advance(-step)
    assert check(limiter, limit_per_minute=3)[0] is not None
    log(limiter)
    assert limiter._send_history["a"] == [START - step, START, START, START]
    clock.advance(step + 59)
    assert check(limiter, limit_per_minute=3)[0] is not None
    clock.advance(1)
    assert check(limiter, limit_per_minute=3) == (None, False)


@pytest.mark.hazard("clock-forward")
def test_a_clock_set_forward_only_lets_windows_pass(limiter, clock):
    log(limiter, 3)
    clock.advance(100 * 365 * DAY)
    for _ in range(3):
        assert check(limiter, limit_per_minute=3) == (None, False)
    assert check(limiter, limit_per_minute=3)[0] is not None
