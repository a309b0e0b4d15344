"""The bars of the benchmark: each row's arithmetic, what is marked, and which occasions are kept."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES))

import bars  # noqa: E402
import everything  # noqa: E402
import go_calls  # noqa: E402
import occasions  # noqa: E402
from bars import Bar  # noqa: E402
from call_bars import CALL_BARS  # noqa: E402
from free_threading import FreeThreaded  # noqa: E402
from go_calls import GoCalls  # noqa: E402
from occasions import Run  # noqa: E402
from rust_bars import RUST_BARS  # noqa: E402
from rust_peers import BytesPerKey, FirstSights, Growth, Quantiles, Row, RustMeasured  # noqa: E402
from visits import Keys  # noqa: E402

MILLION = 1_000_000
ALL_BARS = (*bars.PYTHON_BARS, *RUST_BARS, *CALL_BARS)


def calls(median, slow):
    """One repeat of a thousand calls: the last two are slow, and the 99.9th percentile is one of them."""
    return [[median] * 998 + [slow] * 2]


def quantiles(median, slow):
    return Quantiles(median, 0, slow, 0, 0, 0)


def rust():
    counts = (1, 1_000, 100_000, MILLION)
    rows = [
        Row("decision", keys, "uniform", threads, 1, 1, threads * 10 + number)
        for threads in (1, 2)
        for number, keys in enumerate(counts)
    ]
    # A row that must not be taken for a uniform one.
    rows += [Row("decision", keys, "Zipf", threads, 1, 1, -1) for keys in counts for threads in (1, 2)]
    rows += [Row("held handle", 1, "uniform", threads, 1, 1, threads + 30) for threads in (1, 2)]
    rows += [Row("batch of 100", keys, "uniform", 1, 1, 1, keys) for keys in (1_000, MILLION)]
    growth = Growth(2 * MILLION, quantiles(140, 640), quantiles(1, 1), quantiles(40, 0))
    sights = FirstSights(1, quantiles(1, 1), quantiles(1, 1), quantiles(1, 1))
    return RustMeasured("", "", 2, 9, tuple(rows), growth, sights, BytesPerKey(MILLION, 66.0, 117.0))


def measured():
    """All that the bars look at, with a ratio of its own for every row."""
    called = {"tollbar.Limiter.try_acquire": [20], "dict.get": [10], "pure-Python GCRA": [120]}
    called["tollbar.TokenBucket.try_acquire"] = [11]
    awaited = {"tollbar.RateLimiter.acquire": [50], "empty async def": [100]}
    awaited |= {"global asyncio lock": [2_000], "aiolimiter in a dict": [1_000]}
    return everything.Measured(
        rust=rust(),
        calls={"hot": {"Rust": [10], "C, shared library": [12], "C, static library": [11]}},
        go=GoCalls("go1.26", {}, {go_calls.SINGLE: 1.02, go_calls.BATCH: 0.27}),
        called={Keys(1): called},
        awaited={Keys(1): awaited, Keys(1_000): {**awaited, "empty async def": [80]}},
        batches={
            1_000: {"one by one": [10], "in batches": [7]},
            MILLION: {"one by one": [10], "in batches": [4]},
        },
        several={},
        refusals={
            "tollbar.Limiter": {"allowed": [10], "denied": [23]},
            "tollbar.RateLimiter": {"allowed": [10], "denied": [24]},
        },
        threaded={
            ("tollbar.Limiter.try_acquire", "different"): {1: [10], 2: [12]},
            ("tollbar.Limiter.try_acquire", "the same"): {1: [10], 2: [13]},
        },
        free_threaded=FreeThreaded(
            version="3.14.0",
            threads={
                "two threads, a limiter each": [10],
                "two threads, one limiter, different keys": [11.5],
            },
            called={"tollbar.Limiter.try_acquire": [19], "dict.get": [10]},
            awaited={"tollbar.RateLimiter.acquire": [9], "empty async def": [10]},
        ),
        cases={"denial, with except": {"tollbar": [11], "empty async def": [20]}},
        histories={
            100: {"tollbar.sliding_window": [100]},
            10_000: {"tollbar.sliding_window": [110], "plain Python, counted anew": [220_000]},
            MILLION: {"tollbar.sliding_window": [130]},
        },
        latencies={
            "nothing: the two clock readings": calls(40, 400),
            "a first sight, empty table of 10,000": calls(140, 1_000),
            "a first sight, full table of 10,000": calls(290, 2_040),
            "a first sight, growing to 1,000,000 keys": calls(140, 2_540),
        },
        imports={"tollbar": [2], "json": [4]},
        sizes={("tollbar.Limiter.try_acquire", 200_000): 1, ("tollbar.Limiter.try_acquire", MILLION): 70},
    )


def test_every_row_is_the_ratio_it_says():
    told = bars.values(ALL_BARS, "3.11", measured())
    python = [told[bar.name] for bar in bars.PYTHON_BARS]
    assert python == pytest.approx(
        [
            *(2, 1.1, 0.5, 0.625, 1 / 40, 1 / 20, 1 / 6),
            *(0.55, 2.3, 2.4),
            *(2.5, 20, 25),
            *(0.7, 0.4),
            *(1.2, 1.3),
            *(1.15, 1.9, 0.9),
            *(1 / 2_000, 1.3),
            *(0.5, 70),
        ]
    )
    core = [told[bar.name] for bar in RUST_BARS]
    assert core == pytest.approx([10, 11, 12, 13, 20, 21, 22, 23, 31, 32, MILLION, 6, 66])
    assert [told[bar.name] for bar in CALL_BARS] == pytest.approx([1.2, 1.1, 1.02, 0.27])


def test_no_two_rows_have_one_name():
    assert len({bar.name for bar in ALL_BARS}) == len(ALL_BARS)


def test_a_row_is_missing_where_its_side_is_missing_and_no_other_is():
    whole, part = measured(), measured()
    del part.awaited[Keys(1)]["aiolimiter in a dict"]
    part = dataclasses.replace(
        part, rust=None, calls=None, go=None, free_threaded=FreeThreaded(left_out="none here")
    )
    lost = set(bars.values(ALL_BARS, "3.11", whole)) - set(bars.values(ALL_BARS, "3.11", part))
    assert {name for name in lost if not name.startswith("free-threaded")} == {
        "`await limiter.acquire(email)`, 1 account / aiolimiter in a dict",
        *(bar.name for bar in (*RUST_BARS, *CALL_BARS)),
    }
    assert sum(name.startswith("free-threaded") for name in lost) == 3


def test_growth_and_bytes_of_another_extent_are_not_taken_for_theirs():
    few = dataclasses.replace(rust(), growth=dataclasses.replace(rust().growth, keys=50_000))
    few = dataclasses.replace(few, bytes=BytesPerKey(50_000, 66.0, 117.0))
    told = bars.values(RUST_BARS, "3.11", dataclasses.replace(measured(), rust=few))
    assert {bar.name for bar in RUST_BARS} - set(told) == {bar.name for bar in RUST_BARS[-2:]}


def test_a_bar_of_some_interpreters_is_no_row_on_the_others():
    one = Bar("a", "b", {"3.11": 1.2}, lambda _measured: 1.0)
    assert bars.values([one], "3.11", measured()) == {"a / b": 1.0}
    assert bars.values([one], "3.12", measured()) == {}
    assert one.name not in bars.table([one], "3.12", []) and "| a |" not in bars.table([one], "3.12", [])
    limits = {version: bars.PYTHON_BARS[0].limit(version) for version in ("3.11", "3.12", "3.13", "3.14t")}
    assert limits == {"3.11": 2.0, "3.12": 2.2, "3.13": 2.6, "3.14t": 2.0}


def test_the_table_marks_what_is_above_its_bar_and_nothing_else():
    rows = [
        Bar("over", "x", 2, lambda _measured: 0),
        Bar("small", "x", 1 / 35, lambda _measured: 0, as_fraction=True),
        Bar("absent", "x", 3, lambda _measured: 0),
    ]
    runs = [
        Run("2026-01-01", {"over / x": 2.0, "small / x": 1 / 40}),
        Run("2026-02-02", {"over / x": 2.5, "small / x": 1 / 20}),
    ]
    assert bars.table(rows, "3.11", runs).splitlines() == [
        "| what | against | at most | 2026-01-01 | 2026-02-02 |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| over | x | 2 | 2.00 | **2.50** |",
        "| small | x | 1/35 | 1/40.0 | **1/20.0** |",
        "| absent | x | 3 |  |  |",
    ]


def test_the_last_two_occasions_of_each_interpreter_are_kept(tmp_path):
    file = tmp_path / "occasions.json"
    assert occasions.load(file) == {}
    for day, version in (("01", "3.11"), ("02", "3.12"), ("03", "3.11"), ("04", "3.11")):
        run = Run(f"2026-01-{day}", {"a / b": 1.23456, "c / d": 1 / 35})
        occasions.save(occasions.added(occasions.load(file), version, run), file)
    kept = occasions.load(file)
    assert {version: [run.date for run in runs] for version, runs in kept.items()} == {
        "3.11": ["2026-01-03", "2026-01-04"],
        "3.12": ["2026-01-02"],
    }
    assert kept["3.12"][0].values == {"a / b": 1.235, "c / d": 0.02857}
