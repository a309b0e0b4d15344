"""The proxy under clients that misbehave: a short run is exact, logs no error, and leaves nothing open."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

for needed in ("aiosmtpd", "aiosmtplib"):
    pytest.importorskip(needed, reason=f"the demo's extras are not installed: {needed}")

from examples.proxy import accounts, clients  # noqa: E402
from examples.proxy.load import Run  # noqa: E402

MIB = 1 << 20


def test_a_short_run_is_exact_and_leaves_nothing_behind(tmp_path):
    told, picture = tmp_path / "told.json", tmp_path / "proxy.png"
    command = [sys.executable, "-m", "examples.proxy", "--seconds", "4", "--json", told]
    if find_spec("matplotlib"):
        command += ["--plot", picture]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not find_spec("matplotlib") or picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    run = json.loads(told.read_text())
    behaviours = {client.__name__ for client in (*clients.CROWD, clients.falls_silent)}
    assert behaviours <= set(run["clients"])
    assert any(flood.__name__ in run["clients"] for flood in clients.FLOODS)
    assert run["accounts"] > 0
    assert run["inexact_accounts"] == {}
    assert run["unexpected_answers"] == []
    assert run["received"] == run["admitted"] > 0
    assert run["denied"] >= run["accounts"]
    assert (run["errors_logged"], run["error_lines"]) == (0, [])
    assert run["warnings_logged"]["tollbar"] == run["accounts"], "one line an account and minute"
    if Path("/proc/self/fd").exists():
        files = run["open_files"]
        assert files["most"] > files["before"] == files["after"] > 0
        # Some hundred connections: had each kept 100 KiB, it would be more.
        assert run["growth_bytes"] < 16 * MIB
    assert run["tasks"]["before"] == run["tasks"]["after"]


def test_a_run_that_counted_otherwise_says_so():
    run = Run(1.0)
    run.finished += [accounts.name(0), accounts.name(1), accounts.name(2)]
    run.received.update({accounts.name(0): 3, accounts.name(1): 6, "limit1-silent@example.org": 1})
    assert run.inexact() == {accounts.name(1): (6, 5), accounts.name(2): (0, 10)}


def test_the_limit_stands_in_the_name():
    assert [accounts.account(accounts.name(number)).limit for number in range(5)] == [3, 5, 10, 20, 3]
    assert accounts.account(accounts.name(7)).get_rate_limiting_config().messages_per_hour == 20
    for stranger in (None, "", "a@example.org", "limitx-1@example.org", "limit5-1@example.com"):
        assert accounts.account(stranger) is None


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--plot", "no/such/place.png"]])
def test_the_command_line_refuses_nonsense(arguments):
    command = [sys.executable, "-m", "examples.proxy", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "error: argument" in done.stderr
