"""The client's demo: the exchange judges right, nonces rise, nobody overtakes, a short run balances."""

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
import threading
from http import HTTPStatus
from pathlib import Path

import pytest

import virtual_time

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "examples"))

from exchange import in_order, references, rules  # noqa: E402
from exchange.nonces import Nonces  # noqa: E402

OK, BAD_NONCE = HTTPStatus.OK, HTTPStatus.BAD_REQUEST
REJECTED, BLOCKED = HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.FORBIDDEN


def test_the_exchange_admits_twenty_in_any_second_and_blocks_at_the_tenth_429():
    account = rules.Account()
    answers = [account.judge(nonce, 5_000 + nonce) for nonce in range(1, 23)]
    assert answers == [OK] * 20 + [REJECTED] * 2
    # The first was stamped 5001: a place is free when more than a second has passed.
    assert account.judge(30, 6_001) is REJECTED
    assert account.judge(31, 6_002) is OK
    assert account.judge(32, 6_002) is REJECTED
    assert [account.judge(33, 6_002) for _ in range(6)] == [REJECTED] * 6
    assert account.blocked
    assert account.judge(34, 999_999) is BLOCKED


def test_a_nonce_that_does_not_rise_uses_its_place_up():
    account = rules.Account()
    assert [account.judge(nonce, 0) for nonce in (5, 5, 4, 6)] == [OK, BAD_NONCE, BAD_NONCE, OK]
    assert len(account.admitted_ms) == 4


@pytest.mark.parametrize("wrong", ["", "5", "5:1", "-1:5", "a:b", "0:1001", "nan:1", "0:inf"])
def test_legs_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match="legs: must"):
        rules.Legs.parse(wrong)
    assert str(rules.Legs.parse("0:50")) == "0:50"


def test_nonces_rise_strictly_whoever_draws_them(monkeypatch):
    nonces = Nonces()
    drawn = {"a": [], "b": []}
    lock = threading.Lock()

    def draw(key):
        for _ in range(2_000):
            with lock:
                drawn[key].append(nonces.draw(key))

    threads = [threading.Thread(target=draw, args=(key,)) for key in "aabb"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monkeypatch.setattr("exchange.nonces.time.time_ns", lambda: 1)  # a clock that was set back
    for key, found in drawn.items():
        found.append(nonces.draw(key))
        assert all(one < other for one, other in itertools.pairwise(found))


class Passes:
    """A limiter that lets everything pass, and tells which time-out it was given."""

    def __init__(self):
        self.asked = []
        self.rejected = []

    def acquire(self, timeout_ms=0):
        self.asked.append(timeout_ms)
        return contextlib.nullcontext()

    def record_rejected(self, retry_after):
        self.rejected.append(retry_after)


@pytest.fixture
def loops_time(monkeypatch):
    """The loop's time is the clock of whoever reads one."""

    class Time:
        @staticmethod
        def monotonic():
            return asyncio.get_running_loop().time()

    monkeypatch.setattr(in_order, "time", Time)
    monkeypatch.setattr(references, "time", Time)


def sends(pacer, answers_after):
    """When so many requests are sent, each answered after its time, all asked for at once."""
    times = []

    async def send(seconds):
        async with pacer.acquire():
            times.append(round(asyncio.get_running_loop().time() - 1_000, 3))
            await asyncio.sleep(seconds)

    async def scenario():
        await asyncio.gather(*(send(seconds) for seconds in answers_after))

    virtual_time.run(scenario())
    return times


@pytest.mark.usefixtures("loops_time")
def test_a_request_goes_when_the_one_before_it_was_answered_or_must_have_arrived():
    gap = 0.05
    assert sends(in_order.InOrder(Passes(), gap), [0.01, 0.2, 0.02, 0.3]) == [0.0, 0.01, 0.06, 0.08]


@pytest.mark.usefixtures("loops_time")
def test_the_time_out_runs_while_the_request_before_is_waited_for():
    limiter = Passes()
    pacer = in_order.InOrder(limiter, 0.5)

    async def send(timeout_ms):
        async with pacer.acquire(timeout_ms):
            await asyncio.sleep(10.0)

    async def scenario():
        asked = [asyncio.create_task(send(timeout_ms)) for timeout_ms in (0, 700, 600)]
        with pytest.raises(TimeoutError, match="took too long"):
            await asked[2]
        await asyncio.wait(asked)

    virtual_time.run(scenario())
    assert limiter.asked == [0, pytest.approx(200)]
    pacer.record_rejected(3.0)
    assert limiter.rejected == [3.0]


def test_threads_go_in_order_too():
    limiter = Passes()
    pacer = in_order.ThreadInOrder(limiter, 1_000.0)
    order = []
    with pacer.acquire():
        order.append("first")
        second = threading.Thread(target=lambda: pacer.acquire().__enter__() or order.append("second"))
        second.start()
        order.append("answered")
    second.join(60.0)
    assert order == ["first", "answered", "second"]
    pacer.record_rejected(None)
    assert limiter.rejected == [None]


@pytest.mark.usefixtures("loops_time")
def test_the_references_pace_as_they_say():
    fixed = sends(references.FixedInterval(), [0.0] * 41)
    assert all(later - sooner >= 0.05 for sooner, later in itertools.pairwise(fixed))
    assert all(later - sooner > 1.0 for sooner, later in zip(fixed, fixed[20:], strict=False))
    buffered = sends(references.AdaptiveBuffer(), [0.0] * 41)
    assert buffered[:21] == [0.0] * 20 + [pytest.approx(1.03, abs=0.011)]
    slow = references.AdaptiveBuffer()
    sends(slow, [1.0])
    assert slow.buffer == 0.050


def test_a_short_run_balances_and_no_key_is_blocked(tmp_path):
    for needed in ("aiohttp", "tenacity", "rich", "matplotlib"):
        pytest.importorskip(needed, reason=f"the demo's extras are not installed: {needed}")
    told, picture = tmp_path / "told.json", tmp_path / "demo.png"
    command = [sys.executable, "-m", "examples.exchange", "--seconds", "1.2", "--legs", "0:5"]
    command += ["--json", told, "--plot", picture]
    names = ["adaptive buffer", "tollbar, asyncio", "tollbar, threads"]
    command += [part for name in names for part in ("--only", name)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    runs = json.loads(told.read_text())["runs"]
    assert [run["name"] for run in runs] == names
    for run in runs:
        assert run["balanced"], run
        assert run["accepted"] == run["done"] + run["buried"] + run["handed_back"], run
        assert 0 < run["done"] <= run["served"], run
        assert run["bad_nonces"] + run["rejected"] <= run["retries"] + run["buried"] + run["handed_back"], run
        assert run["blocked_keys"] == 0, run


@pytest.mark.parametrize("arguments", [["--legs", "9"], ["--plot", "no/such/place.png"]])
def test_the_command_line_refuses_nonsense(arguments):
    for needed in ("aiohttp", "tenacity", "rich", "matplotlib"):
        pytest.importorskip(needed, reason=f"the demo's extras are not installed: {needed}")
    command = [sys.executable, "-m", "examples.exchange", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "error: argument" in done.stderr


@pytest.mark.parametrize("life", ["0.01", "600"])
def test_the_server_ends_with_its_life_or_its_standard_input(life):
    pytest.importorskip("aiohttp", reason="the demo's extras are not installed: aiohttp")
    command = [sys.executable, "-m", "examples.exchange.server", "--life", life]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert b"port" in server.stdout.readline()
        if life == "600":
            server.stdin.close()
        assert server.wait(60) == 0
