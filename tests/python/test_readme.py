"""The README's examples run as pasted, and what it says of the project is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs_as_pasted(number, tmp_path):
    script = tmp_path / "example.py"
    script.write_text(EXAMPLES[number])
    done = subprocess.run(
        [sys.executable, "-W", "error", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    if number == 0:
        assert done.stdout.splitlines() == ["250 OK", "250 OK", "451 4.7.1 slow down, retry in 1800 s"]


def test_there_are_examples():
    assert len(EXAMPLES) >= 3


def test_every_file_that_the_documents_name_is_there():
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text()
        for named in re.findall(r"`((?:src|tests|python|benches)/[\w./-]+)`", text):
            assert (ROOT / named).exists(), f"{document} names {named}"


def test_the_bound_that_the_readme_gives_is_the_codes():
    from tollbar import Limiter, ManualClock, Rate

    limiter = Limiter(Rate(5, 5), max_keys=10_000, when_full="evict_least", clock=ManualClock())
    for number in range(20_000):
        limiter.try_acquire(str(number))
    bound = int(re.search(r"looks at more than (\d+) accounts", README)[1])
    assert 16 <= limiter.stats()["most_looks"] <= bound


def test_make_lists_what_the_readme_names():
    makefile = (ROOT / "Makefile").read_text()
    for command in set(re.findall(r"`?make ([a-z-]+)", README)):
        assert re.search(rf"^{command}:", makefile, re.MULTILINE), command


@pytest.mark.parametrize(
    "file",
    ["README.md", "python/tollbar/_tollbar.pyi", "src/limit/rate.rs", "include/tollbar.h", "go/policy.go"],
)
def test_a_rates_bound_names_the_clocks_tick(file):
    # Without the marks that begin a line of a comment.
    text = re.sub(r"\s+(///?|\*)?\s*", " ", (ROOT / file).read_text())
    assert "one tick old (10 ms at most, typically 4 ms or 1 ms)" in text
    assert "by the clock readings" in text
    assert re.search(r"(burst|B|Burst) \+ \(w \+ tick\) / T", text)
    assert re.search(r"[Ll]imit \+ tick / T", text), "and of a strict rate"
