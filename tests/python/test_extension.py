"""C code in this process and Python share one limiter: one budget, one line, no charge lost, no deadlock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tollbar import _tollbar

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "examples"))

from extension import building  # noqa: E402


@pytest.fixture(scope="module")
def mailgate(tmp_path_factory):
    """The example, built as its head says."""
    try:
        return building.build(tmp_path_factory.mktemp("mailgate"))
    except building.CannotBuild as reason:
        pytest.skip(f"THE C EXTENSION IS NOT TESTED: {reason}")


def play(scenario, *module, **environment):
    """Play a scenario in a process of its own; the timeout is there only to end a deadlock."""
    done = subprocess.run(
        [sys.executable, "-I", HERE / "extension_scenarios.py", scenario, *module],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


def test_the_table_is_the_headers_and_belongs_to_the_module():
    play("the_table")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a library's own functions come first anyway")
def test_another_copy_of_the_library_that_was_loaded_before_changes_nothing(tmp_path):
    other = tmp_path / "libother.so"
    shutil.copy(_tollbar.__file__, other)
    play("the_table", LD_PRELOAD=str(other))


@pytest.mark.hazard("race-k-tokens")
def test_threads_of_c_and_of_python_together_admit_exactly_the_budget(mailgate):
    play("budget", mailgate)


@pytest.mark.hazard("race-k-tokens")
def test_no_charge_is_lost_between_c_and_python(mailgate):
    play("no_charge_is_lost", mailgate)


@pytest.mark.hazard("c-handles")
def test_a_freed_handle_is_refused(mailgate):
    play("a_freed_handle", mailgate)


def test_a_limiter_that_python_forgot_serves_c(mailgate):
    play("a_limiter_that_python_forgot", mailgate)


def test_c_and_python_wait_in_one_line(mailgate):
    play("both_wait", mailgate)


def test_a_place_is_looked_at_while_its_look_wakes_python():
    play("one_place_looked_at_by_two")


def test_threads_of_c_wake_python_while_python_asks_about_the_same_keys(mailgate):
    play("wakers_and_the_interpreters_lock", mailgate)


@pytest.mark.hazard("python-fork")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_while_c_decides_goes_on_at_once(mailgate):
    play("forks", mailgate)


def test_the_drop_in_is_shared_too(mailgate):
    play("the_drop_in", mailgate)
