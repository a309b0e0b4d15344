"""What the benchmarks of calls from C and Go tell is compared within each run and written down as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES))

import calls  # noqa: E402
import go_calls  # noqa: E402

SIDES = {calls.RUST: 10.0, calls.SHARED: 12.0, calls.STATIC: 11.0}


@pytest.fixture
def measured(monkeypatch):
    """Three runs of every side; the machine is twice as slow at the second."""
    runs = []

    def run(command, **_):
        runs.append(command)
        slow = 2 if 3 <= len(runs) - 1 < 6 else 1
        told = dict.fromkeys((*calls.CASES, "loop"), SIDES[command[0]] * slow)
        if command[0] == calls.RUST:
            del told["empty"]
        return subprocess.CompletedProcess(command, 0, json.dumps(told), "")

    monkeypatch.setattr(calls, "programs", lambda: {side: side for side in SIDES})
    monkeypatch.setattr(calls.subprocess, "run", run)
    told = calls.measure(3, quick=True)
    assert len(runs) == 9
    return told


def test_sides_are_compared_within_a_run(measured):
    assert measured["hot"] == {side: [nanos, 2 * nanos, nanos] for side, nanos in SIDES.items()}
    assert calls.over_rust(measured, calls.HOT, calls.SHARED) == pytest.approx(1.2)
    assert calls.over_rust(measured, calls.HANDLE, calls.STATIC) == pytest.approx(1.1)
    assert "loop" not in measured


def test_the_table_has_a_line_for_each_case(measured):
    lines = calls.table(measured).splitlines()
    assert lines[2] == "| decision, 1 key | 10.0 | 12.0 | 1.20 | 11.0 | 1.10 |"
    assert lines[-1] == "| a call that does nothing |  | 12.0 |  | 11.0 |  |"
    assert len(lines) == 2 + len(calls.CASES)


def test_without_a_compiler_the_calls_are_left_out_and_named(monkeypatch, capsys):
    monkeypatch.setattr(calls.shutil, "which", lambda _: None)
    assert calls.measure(1, quick=True) is None
    assert "left out: calls from C (cargo is not here)" in capsys.readouterr().err


def test_what_does_not_build_is_left_out_with_the_reason(monkeypatch, capsys):
    def fails(command, **_):
        return subprocess.CompletedProcess(command, 101, "", "error: no network\n")

    monkeypatch.setattr(calls.shutil, "which", lambda tool: tool)
    monkeypatch.setattr(calls.subprocess, "run", fails)
    assert calls.measure(1, quick=True) is None
    assert "left out: calls from C (cargo cannot build it: error: no network)" in capsys.readouterr().err


GO = {
    "go": "go1.26.8",
    "ns_per_decision": {
        "loop": 1.0,
        "loop in C": 0.5,
        "empty call into C": 26.04,
        "TryAcquire, one key": 63.0,
    },
    "ratios": [{"name": go_calls.SINGLE, "ratio": 1.08, "bar": 1.15, "kept": True}],
}


def test_what_go_prints_is_read_and_written_without_its_loops():
    told = go_calls.parsed(f"building the library, profile release\n{json.dumps(GO)}")
    assert told.ratios == {go_calls.SINGLE: 1.08}
    lines = go_calls.table(told).splitlines()
    assert lines[:4] == [
        "| a call, ns | go1.26.8 |",
        "| --- | ---: |",
        "| empty call into C | 26.0 |",
        "| TryAcquire, one key | 63.0 |",
    ]
    assert lines[-1] == f"| {go_calls.SINGLE} | 1.08 |"


def test_without_go_its_calls_are_left_out_and_named(monkeypatch, capsys):
    monkeypatch.setattr(go_calls.shutil, "which", lambda tool: None if tool == "go" else tool)
    assert go_calls.measure(quick=True) is None
    assert "left out: calls from Go (go is not here)" in capsys.readouterr().err
