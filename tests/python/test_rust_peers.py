"""What the benchmark in Rust prints is read and written down as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES))

import rust_peers  # noqa: E402


def quantiles(median):
    return {
        "median": median,
        "p99": 2 * median,
        "p99_9": 3 * median,
        "p99_99": 4 * median,
        "max": 5 * median,
        "p99_9_by_median": 3.0,
    }


def row(what, keys, order, threads, nanos):
    ours, theirs, ratio = nanos
    told = {"what": what, "keys": keys, "order": order, "threads": threads}
    samples = {"samples_ours": [ours], "samples_theirs": [theirs]}
    return {**told, "ours_ns": ours, "theirs_ns": theirs, "ratio": ratio, **samples}


TOLD = {
    "governor": "0.10.4",
    "tollbar": "0.1.0",
    "cores": 2,
    "repeats": 9,
    "rows": [
        row("decision", 1, "uniform", 1, (16.04, 50.0, 0.321)),
        row("decision", 1, "uniform", 2, (80.0, 150.0, 0.5)),
        row("decision", 1_000_000, "Zipf", 1, (300.0, 1_200.0, 0.25)),
        row("decision", 1_000_000, "Zipf", 2, (90.0, 300.0, 0.3)),
        row("batch of 100", 1_000_000, "uniform", 1, (70.0, 1_000.0, 0.07)),
    ],
    "growth": {
        "keys": 2_000_000,
        "ours": quantiles(100.0),
        "theirs": quantiles(400.0),
        "clock": quantiles(19.0),
    },
    "first_sight": {
        "keys": 100_000,
        "empty": quantiles(150.0),
        "full_of_idle": quantiles(250.0),
        "full_of_debtors": quantiles(1_350.0),
    },
    "bytes": {"keys": 1_000_000, "ours": 66.0, "theirs": 120.0},
}


@pytest.fixture
def measured():
    return rust_peers.parsed(json.dumps(TOLD))


def cells(text, first):
    """The cells of the one line that begins with this."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_every_number_is_read_into_its_place(measured):
    assert (measured.governor, measured.tollbar, measured.cores, measured.repeats) == (
        "0.10.4",
        "0.1.0",
        2,
        9,
    )
    assert measured.rows[2] == rust_peers.Row("decision", 1_000_000, "Zipf", 1, 300.0, 1_200.0, 0.25)
    assert len(measured.rows) == 5
    assert measured.growth.theirs == rust_peers.Quantiles(400.0, 800.0, 1_200.0, 1_600.0, 2_000.0, 3.0)
    assert (measured.growth.ours.median, measured.growth.clock.median) == (100.0, 19.0)
    sights = measured.first_sight
    assert (sights.empty.median, sights.full_of_idle.median, sights.full_of_debtors.median) == (
        150,
        250,
        1_350,
    )
    assert measured.bytes == rust_peers.BytesPerKey(1_000_000, 66.0, 120.0)


def test_what_the_program_no_longer_tells_is_missed():
    with pytest.raises(KeyError, match="theirs"):
        rust_peers.parsed(json.dumps({**TOLD, "bytes": {"keys": 1, "ours": 1.0}}))


def test_threads_stand_side_by_side(measured):
    text = rust_peers.table(measured)
    assert cells(text, "decision") == ["1", "16.0", "50.0", "0.32", "80.0", "150.0", "0.50"]
    assert cells(text, "decision, Zipf") == ["1,000,000", "300.0", "1,200.0", "0.25", "90.0", "300.0", "0.30"]
    assert cells(text, "batch of 100, uniform") == ["1,000,000", "70.0", "1,000.0", "0.07", "", "", ""]


def test_one_core_means_no_columns_of_two_threads(measured):
    alone = replace(measured, rows=tuple(row for row in measured.rows if row.threads == 1))
    text = rust_peers.table(alone)
    assert "2 threads" in rust_peers.table(measured) and "2 threads" not in text
    assert cells(text, "decision") == ["1", "16.0", "50.0", "0.32"]


def test_first_sights_and_bytes_are_written(measured):
    text = rust_peers.table(measured)
    growing = cells(text, "governor, growing to 2,000,000 keys")
    assert growing == ["400", "800", "1,200", "1,600", "2,000", "3.00"]
    assert cells(text, "tollbar, full of 100,000 accounts in debt")[0] == "1,350"
    assert cells(text, "from Rust") == ["1,000,000", "66", "120", "0.55"]


def test_no_bytes_are_made_up_where_the_system_tells_none(measured):
    untold = replace(measured, bytes=rust_peers.BytesPerKey(1_000_000, None, None))
    assert "Linux only" in rust_peers.table(untold) and "from Rust" not in rust_peers.table(untold)


def test_without_cargo_governor_is_left_out_and_named(monkeypatch, capsys):
    monkeypatch.setattr(rust_peers.shutil, "which", lambda _: None)
    assert rust_peers.measure(quick=True) is None
    assert "left out: governor (cargo is not here)" in capsys.readouterr().err


def test_what_does_not_build_is_left_out_with_the_reason(monkeypatch, capsys):
    def fails(command, **_):
        assert command[1] == "build"
        return subprocess.CompletedProcess(command, 101, "", "error: no network\nmore\n")

    monkeypatch.setattr(rust_peers.shutil, "which", lambda _: "cargo")
    monkeypatch.setattr(rust_peers.subprocess, "run", fails)
    assert rust_peers.measure(quick=True) is None
    assert "left out: governor (it does not build: error: no network)" in capsys.readouterr().err


def test_what_is_built_is_run_and_read(monkeypatch):
    commands = []

    def runs(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, json.dumps(TOLD), "")

    monkeypatch.setattr(rust_peers.shutil, "which", lambda _: "cargo")
    monkeypatch.setattr(rust_peers.subprocess, "run", runs)
    assert rust_peers.measure(quick=True) == rust_peers.parsed(json.dumps(TOLD))
    assert [command[1] for command in commands] == ["build", "run"]
    assert commands[1][-2:] == ["--", "--quick"]
    assert rust_peers.MANIFEST.exists() and str(rust_peers.MANIFEST) in commands[0]
