"""The package as users get it, into empty environments: `pip install .`, a release wheel, the sdist."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "target" / "packaging-dist"

# What anybody would try first, run away from the sources.
SMOKE = """
import asyncio, importlib.metadata, importlib.resources, tollbar
from tollbar import RateLimiter, RateLimitExceeded, TokenBucket

async def main():
    limiter = RateLimiter(2)
    assert await limiter.acquire("someone@example.org") and await limiter.acquire("someone@example.org")
    try:
        await limiter.acquire("someone@example.org")
    except RateLimitExceeded as denied:
        assert denied.retry_after > 1000
    else:
        raise AssertionError("not denied")

asyncio.run(main())
assert TokenBucket(1, 1).try_acquire()
assert tollbar.build_profile == "release"
assert importlib.metadata.version("tollbar") == tollbar.__version__
files = {file.name for file in importlib.resources.files("tollbar").iterdir()}
assert {"py.typed", "_tollbar.pyi"} <= files, files
print("works:", tollbar.__version__, "for", importlib.metadata.metadata("tollbar")["Requires-Python"])
"""


def run(command: list[str | Path], cwd: Path = ROOT) -> None:
    environment = {**os.environ, "CARGO_TARGET_DIR": str(ROOT / "target" / "packaging")}
    subprocess.run(command, cwd=cwd, env=environment, check=True)


def try_in_an_empty_environment(what: str, *install: str | Path) -> None:
    print(f"--- {what}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        run([python, "-m", "pip", "install", "--quiet", "--no-cache-dir", *install])
        run([python, "-I", "-c", SMOKE], cwd=Path(folder))


def main() -> None:
    shutil.rmtree(DIST, ignore_errors=True)
    try_in_an_empty_environment("pip install .", ".")
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        run([python, "-m", "pip", "install", "--quiet", "maturin"])
        maturin = [python, "-m", "maturin"]
        run([*maturin, "build", "--quiet", "--release", "--interpreter", sys.executable, "--out", DIST])
        run([*maturin, "sdist", "--out", DIST])
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    try_in_an_empty_environment(f"release wheel {wheel.name}, {wheel.stat().st_size // 1024} KiB", wheel)
    try_in_an_empty_environment(f"sdist {sdist.name}, {sdist.stat().st_size // 1024} KiB", sdist)


if __name__ == "__main__":
    main()
