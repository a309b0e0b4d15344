"""What the benchmark compares does limit, each in its own way, and its tables land where they belong."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES))

# tollbar's own extras are not needed for any of these.
import adapters  # noqa: E402
import batches  # noqa: E402
import everything  # noqa: E402
import free_threaded  # noqa: E402
import free_threading  # noqa: E402
import histories  # noqa: E402
import install_peers  # noqa: E402
import latency  # noqa: E402
import notes  # noqa: E402
import ours  # noqa: E402
import peers  # noqa: E402
import pure_python  # noqa: E402
import readme  # noqa: E402
import refusals  # noqa: E402
import several  # noqa: E402
import tasks  # noqa: E402
import threads  # noqa: E402
from measuring import names, ratio, rotated, shown_ratio, shuffled  # noqa: E402
from tollbar.demo.contenders import Contender  # noqa: E402
from visits import Keys, visits, zipf  # noqa: E402

LIMITERS = (
    ours.Limiter,
    ours.HeldBucket,
    ours.PurePython,
    ours.PurePythonAwaited,
    ours.RateLimiter,
    ours.GlobalLock,
    ours.AccountLock,
    *peers.PEERS,
)
FLOORS = (ours.DictGet, ours.EmptyDef, ours.EmptyAsyncDef)
by_name = pytest.mark.parametrize("contender", LIMITERS, ids=lambda one: one.name)


def made(contender, limit, keys):
    try:
        return contender(limit, keys)
    except ImportError as missing:
        pytest.skip(str(missing))


async def answers(adapter, keys):
    given = [await adapters.allows(adapter, key) for key in keys]
    adapter.settle()
    return given


@by_name
def test_the_fourth_of_three_is_refused(contender):
    adapter = made(contender, 3, 10)
    assert asyncio.run(answers(adapter, ["a"] * 4)) == [True, True, True, False]


@by_name
def test_the_measured_loop_spends_the_same_tokens(contender):
    adapter = made(contender, 3, 10)

    async def run_then_ask():
        await adapters.run(adapter, ["a", "a"])
        return await answers(adapter, ["a", "a"])

    assert asyncio.run(run_then_ask()) == [True, False]


@by_name
def test_a_key_is_limited_on_its_own(contender):
    adapter = made(contender, 1, 10)
    other_key_passes = contender.keys_at_most > 1
    assert asyncio.run(answers(adapter, ["a", "a", "b"])) == [True, False, other_key_passes]


@pytest.mark.parametrize("contender", FLOORS, ids=lambda one: one.name)
def test_a_floor_limits_nothing(contender):
    assert asyncio.run(answers(contender(1, 10), ["a", "a"])) == [True, True]


def test_pure_python_gives_tokens_back_at_the_rate(monkeypatch):
    moment = 100.0
    monkeypatch.setattr(pure_python, "monotonic", lambda: moment)
    try_acquire = pure_python.gcra(2, 8)
    assert [try_acquire("a") for _ in range(3)] == [True, True, False]
    moment += 4
    assert [try_acquire("a") for _ in range(2)] == [True, False]
    moment += 1_000
    assert [try_acquire("a") for _ in range(3)] == [True, True, False]


def test_a_peer_that_is_broken_is_named_and_hinders_nobody(monkeypatch):
    class Broken(ours.PurePython):
        name = "broken"

        def __init__(self, limit, keys):
            raise AttributeError("its API has changed")

    monkeypatch.setattr(peers, "PEERS", (Broken, ours.PurePython))
    assert peers.missing() == {Broken: "AttributeError: its API has changed"}


def test_every_peer_is_asked_for_and_nothing_else():
    assert set(install_peers.requirements()) == {peer.distribution for peer in peers.PEERS}


def test_what_cannot_be_installed_is_named_and_does_not_fail(monkeypatch, capsys):
    def pip(command, *, check):
        assert not check
        return subprocess.CompletedProcess(command, returncode=int(command[-1] == "limits"))

    monkeypatch.setattr(install_peers, "is_here", lambda _requirement: False)
    monkeypatch.setattr(subprocess, "run", pip)
    assert install_peers.main() == 0
    assert capsys.readouterr().err == "not installed, so not measured: limits\n"


def test_publishing_replaces_the_block_and_keeps_the_rest(tmp_path):
    page = tmp_path / "README.md"
    marker = f"{readme.BEGIN} by a command -->"
    page.write_text(f"before\n{marker}\nold numbers\n{readme.END}\nafter\n", encoding="utf-8")
    for text in ("first numbers\n", "second numbers\n"):
        readme.publish(text, page)
    written = page.read_text(encoding="utf-8")
    assert written.startswith(f"before\n{marker}\nsecond numbers\n")
    assert written.endswith(f"\n{readme.END}\nafter\n")
    assert "old" not in written and "first" not in written
    assert all(written.count(f"(benches/{picture})") == 1 for picture in readme.PICTURES)


def test_the_readme_has_the_markers_once():
    text = readme.README.read_text(encoding="utf-8")
    assert text.count(readme.BEGIN) == text.count(readme.END) == 1


def test_what_the_numbers_are_made_with():
    assert rotated("abc", 4) == ["b", "c", "a"]
    assert ratio({"a": [2, 9, 4], "b": [1, 3, 1]}, "a", "b") == 3
    assert [shown_ratio(value) for value in (0.123, 12.34, 1234.5)] == ["0.12", "12.3", "1,234"]
    assert latency.quantile(range(1000), 0.5) == 500 and latency.quantile([7], 0.999) == 7
    keys = names(100)
    assert shuffled(keys) != keys and sorted(shuffled(keys)) == sorted(keys)


def test_zipf_visits_the_first_key_most_and_the_last_one_too():
    keys = names(100)
    drawn = zipf(keys, 50_000)
    seen = Counter(drawn)
    # 50,000 / (1 + 1/2 + ... + 1/100) is 9,639; a twentieth is many standard deviations.
    assert seen[keys[0]] == pytest.approx(9_639, rel=0.05)
    assert seen[keys[0]] / seen[keys[9]] == pytest.approx(10, rel=0.15)
    assert set(seen) == set(keys) and drawn == zipf(keys, 50_000)
    # Nobody who visits the popular ones meets them in the order in which they were first seen.
    assert drawn[:100] != keys


def test_uniform_visits_are_to_each_key_once_and_in_another_order():
    keys = names(100)
    assert sorted(visits(keys, Keys(100))) == sorted(keys) and visits(keys, Keys(100)) != keys
    assert [str(keys) for keys in (Keys(1), Keys(1_000, zipf=True))] == ["1 key", "1,000 keys, Zipf"]


def test_threads_split_the_decisions_and_share_a_key_only_when_told_to():
    one, other = threads._shares(threads.DIFFERENT, 5_000, 2)
    assert len(one) == len(other) == 2_500 and not set(one) & set(other)
    (alone,) = threads._shares(threads.DIFFERENT, 5_000, 1)
    assert len(alone) == 5_000 and set(alone) == {*one, *other}
    one, other = threads._shares(threads.SAME, 10, 2)
    assert one == other and len(one) == 5 and len(set(one)) == 1


def test_two_threads_are_compared_with_one_within_a_repeat():
    measured = {("a", threads.SAME): {1: [10, 40, 20], 2: [11, 20, 44]}}
    assert threads.two_to_one(measured, "a", threads.SAME) == 1.1
    assert threads.table(measured).endswith("| a | the same | 20 | 20 | 1.10 |")


@pytest.mark.parametrize(
    ("case", "acquires"), [(tasks.gathered(3, 2), 3 + 3 * 2), (tasks.in_loops(2, 4), 8 + 8)]
)
def test_tasks_acquire_as_often_as_the_time_is_divided_by(case, acquires):
    seen = []

    class Counting:
        async def acquire(self, account_email, account=None, tokens=1):
            seen.append(account_email)

    asyncio.run(case.sample(Contender("counting", lambda _limit, _size: Counting())))
    assert len(seen) == acquires


def test_batches_are_of_all_keys_in_turn(monkeypatch):
    asked = []

    class Recording:
        def try_acquire_many(self, keys):
            asked.append(len(keys))

    batches._batched_ns(Recording(), names(250))
    assert asked == [100, 100, 50]
    measured = {1_000: {batches.SINGLE: [50, 40, 60], batches.BATCH: [25, 30, 15]}}
    assert batches.table(measured).endswith("| 1,000 | 50 | 25 | 0.50 |")


def test_keys_of_several_limits_are_compared_with_keys_of_one():
    measured = several.measure(2, quick=True)
    assert all(len(samples[name]) == 2 for samples in measured.values() for name in several.LIMITS)
    for samples in measured.values():
        samples.update({name: [50, 60] for name in several.LIMITS}, **{several.ONE: [25, 30]})
    assert "| 4 rates | 55 | 2.00 | 55 | 2.00 |" in several.table(measured)


def test_a_refusal_that_is_none_is_not_measured():
    measured = refusals.measure(1, quick=True)
    assert {(name, *samples) for name, samples in measured.items()} == {
        ("tollbar.Limiter", "allowed", "denied"),
        ("tollbar.RateLimiter", "allowed", "denied"),
    }
    with pytest.raises(RuntimeError, match="not denied"):
        refusals._sample_ns(lambda _key: True, "a", 10, allowed=False)


def test_single_calls_are_compared_without_what_the_clock_costs():
    measured = {latency.CLOCK: [[40] * 3], "slow": [[100, 340, 640]], "fast": [[60, 70, 80]]}
    assert latency.against(measured, "slow", 0.5, "fast") == 10
    assert latency.against(measured, "slow", 0.999, "fast") == 20


def test_a_first_sight_that_is_timed_meets_the_table_it_is_named_after():
    timed = latency._timed(10)
    assert len(timed[latency.CROWDED_TABLE]()) == len(timed[latency.EMPTY_TABLE]()) == latency.FULL_TABLE
    assert len(timed[latency.growing(10)]()) == 10


def test_without_a_free_threaded_interpreter_the_rest_goes_on(monkeypatch, capsys):
    monkeypatch.setattr(free_threading, "_is_fresh", lambda: False)
    monkeypatch.setattr(free_threading, "_interpreter", lambda: None)
    measured = free_threading.measure(quick=False)
    assert "left out: free-threaded" in capsys.readouterr().err
    assert "there is no free-threaded CPython here" in free_threading.table(measured)


def test_an_interpreter_with_its_lock_is_not_measured_as_one_without(monkeypatch, capsys):
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True, raising=False)
    assert free_threaded.main([]) == 2
    assert capsys.readouterr().out == ""


def test_the_notes_name_who_is_left_out_at_many_keys(monkeypatch):
    monkeypatch.setattr(notes, "version", lambda _name: "1.0")
    said = notes.conditions(everything.FULL, ["--write"], [peers.Pyrate])
    left_out = said.split("Left out at 1,000,000 keys", 1)[1].split(".", 1)[0]
    assert peers.AsyncioLimiter.name in left_out and peers.TokenBucket.name not in left_out
    # Who is not here at all is named elsewhere.
    assert peers.Pyrate.name not in left_out and "pyrate-limiter" in said
    assert "Left out at" not in notes.conditions(everything.QUICK, ["--quick"], [])


@pytest.mark.parametrize("planner", [histories.RateLimiter, histories.Counted])
def test_both_planners_count_what_was_sent(planner):
    async def answers():
        made = planner()
        made._send_history["a"] = histories.remembered(2)
        account = {"id": "a", "limit_per_minute": 4, "limit_per_hour": 4, "limit_per_day": 4}
        passed = [(await made.check_and_plan(account))[0] is None]
        await made.log_send("a")
        return [*passed, *[(await made.check_and_plan(account))[0] is None for _ in range(2)]]

    assert asyncio.run(answers()) == [True, True, False]


def test_histories_are_measured_where_they_can_be():
    samples = {histories.TOLLBAR: [200.0], histories.COUNTED: [400_000.0]}
    table = histories.table({100: samples, 1_000_000: {histories.TOLLBAR: [210.0]}})
    assert "| plain Python, counted anew | 400,000 | 2,000 |  |  |" in table
