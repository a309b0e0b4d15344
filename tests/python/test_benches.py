"""What the benchmark compares does limit, each in its own way, and its tables land where they belong."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES))

# tollbar's own extras are not needed for any of these.
import adapters  # noqa: E402
import install_peers  # noqa: E402
import latency  # noqa: E402
import ours  # noqa: E402
import peers  # noqa: E402
import pure_python  # noqa: E402
import side_by_side  # noqa: E402
from measuring import names, ratio, rotated, shown_ratio, shuffled  # noqa: E402

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
    readme = tmp_path / "README.md"
    marker = f"{side_by_side.BEGIN} by a command -->"
    readme.write_text(f"before\n{marker}\nold numbers\n{side_by_side.END}\nafter\n", encoding="utf-8")
    for text in ("first numbers\n", "second numbers\n"):
        side_by_side.publish(text, readme)
    written = readme.read_text(encoding="utf-8")
    assert written.startswith(f"before\n{marker}\nsecond numbers\n")
    assert written.endswith(f"\n{side_by_side.END}\nafter\n")
    assert "old" not in written and "first" not in written
    assert all(written.count(f"(benches/{picture})") == 1 for picture in side_by_side.PICTURES)


def test_the_readme_has_the_markers_once():
    text = side_by_side.README.read_text(encoding="utf-8")
    assert text.count(side_by_side.BEGIN) == text.count(side_by_side.END) == 1


def test_what_the_numbers_are_made_with():
    assert rotated("abc", 4) == ["b", "c", "a"]
    assert ratio({"a": [2, 9, 4], "b": [1, 3, 1]}, "a", "b") == 3
    assert [shown_ratio(value) for value in (0.123, 12.34, 1234.5)] == ["0.12", "12.3", "1,234"]
    assert latency.quantile(range(1000), 0.5) == 500 and latency.quantile([7], 0.999) == 7
    keys = names(100)
    assert shuffled(keys) != keys and sorted(shuffled(keys)) == sorted(keys)
