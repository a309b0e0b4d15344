"""Forks, subinterpreters, interpreter exit: each tried in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

# `TOLLBAR_FORKS=500` for the long form.
FORKS = int(os.environ.get("TOLLBAR_FORKS", "20"))


def run(
    code: str, *, seconds: float = 60.0, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter; the timeout is there only to end a hang."""
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, **(environ or {})},
        check=False,
    )


@pytest.mark.hazard("python-fork")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_while_threads_acquire_goes_on_at_once():
    done = run(
        """
        import os, threading
        from tollbar import Limiter, Rate, RateLimiter

        limiter, mail = Limiter(Rate(10, 3600), max_keys=5000), RateLimiter(10, log_interval=None)
        stop = threading.Event()
        batch = [f"k{i}" for i in range(4000)]

        def acquire(number):
            i = 0
            while not stop.is_set():
                i += 1
                limiter.try_acquire(f"k{i * number}")
                mail.try_acquire(f"m{i % 100}")
                if i % 50 == 0:
                    limiter.try_acquire_many(batch)

        threads = [threading.Thread(target=acquire, args=(n,), daemon=True) for n in range(1, 5)]
        for thread in threads:
            thread.start()
        for round in range(int(os.environ["FORKS"])):
            child = os.fork()
            if child == 0:
                for key in batch:
                    limiter.try_acquire(key)
                limiter.try_acquire_many(batch)
                limiter.try_acquire("new")
                ok = mail.try_acquire(f"child{round}") and len(limiter) <= 5000
                os._exit(0 if ok else 1)
            _, status = os.waitpid(child, 0)
            assert status == 0, status
        stop.set()
        for thread in threads:
            thread.join()
        print("done")
    """,
        seconds=60.0 + FORKS,
        environ={"FORKS": str(FORKS)},
    )
    assert (done.stdout.strip(), done.returncode) == ("done", 0), done.stderr


@pytest.mark.hazard("python-subinterpreter")
def test_a_subinterpreter_gets_an_import_error():
    done = run("""
        import tollbar
        code = '''
        try:
            import tollbar
        except ImportError:
            pass
        else:
            raise SystemExit("imported")
        '''
        import textwrap
        code = textwrap.dedent(code)
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        try:
            created = interpreters.create("legacy")
        except (TypeError, ValueError):
            created = interpreters.create()
        failure = interpreters.run_string(created, code)
        assert failure is None, failure
        interpreters.destroy(created)
        print("refused")
    """)
    assert (done.stdout.strip(), done.returncode) == ("refused", 0), done.stderr


@pytest.mark.hazard("python-exit")
def test_the_interpreter_exits_cleanly_with_results_that_nobody_awaited():
    done = run("""
        import tollbar
        limiter = tollbar.RateLimiter(1, log_interval=None)
        kept = [limiter.acquire("a") for _ in range(3)] + [limiter.get_or_create_bucket("b")]
        bucket = limiter.buckets["b"]
        view = iter(limiter.buckets)
    """)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr


def test_importing_again_gives_a_working_module():
    done = run("""
        import sys, tollbar
        first = tollbar.RateLimiter(1)
        for name in [name for name in sys.modules if name.startswith("tollbar")]:
            del sys.modules[name]
        import tollbar as again
        assert again.RateLimiter(1).try_acquire("a") and first.try_acquire("a")
        print(again.__version__ == tollbar.__version__)
    """)
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr


def test_a_debug_build_says_so():
    done = run("""
        import importlib, sys, types, warnings
        import tollbar
        native = sys.modules["tollbar._tollbar"]
        pretend = types.ModuleType("tollbar._tollbar")
        pretend.__dict__.update({**vars(native), "build_profile": "debug"})
        sys.modules["tollbar._tollbar"] = pretend
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            importlib.reload(tollbar)
        assert [warning.category for warning in caught] == [RuntimeWarning], caught
        print(tollbar.build_profile)
    """)
    assert (done.stdout.strip(), done.returncode) == ("debug", 0), done.stderr


@pytest.mark.hazard("python-waiters")
def test_an_exit_hook_may_wait():
    done = run("""
        import atexit
        atexit.register(lambda: print(limiter.acquire_blocking("a"), asyncio.run(task())))
        import asyncio
        from tollbar import Limiter, Rate

        limiter = Limiter(Rate(100, per=1, burst=1))
        limiter.try_acquire("a")

        async def task():
            return await asyncio.gather(*(limiter.acquire("a") for _ in range(3)))
    """)
    assert (done.returncode, done.stdout) == (0, "True [True, True, True]\n"), done.stderr


@pytest.mark.hazard("python-waiters")
def test_a_process_ends_while_threads_and_tasks_wait():
    done = run("""
        import asyncio, threading
        from tollbar import Limiter, Rate

        limiter = Limiter(Rate(1, per=10**6))
        limiter.try_acquire("a")
        parked = threading.Barrier(21)

        def wait():
            parked.wait()
            limiter.acquire_blocking("a")

        threads = [threading.Thread(target=wait, daemon=True) for _ in range(20)]
        for thread in threads:
            thread.start()
        parked.wait()
        loop = asyncio.new_event_loop()
        task = loop.create_task(limiter.acquire("a"))
        loop.run_until_complete(asyncio.sleep(0))
        print(task.done(), flush=True)
    """)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


@pytest.mark.hazard("python-fork")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize(
    "wait", ['limiter.acquire_blocking, "a"', 'limiter.acquire_all_blocking, ["b", "a"]']
)
def test_nobody_waits_in_a_child_that_was_forked_off(wait):
    done = run(f"""
        import os, threading
        from tollbar import InFlight, Limiter

        limiter = Limiter(InFlight(1))
        held = limiter.reserve("a")
        def wait(call, keys, **timeout):
            return call(keys, **timeout)

        waiting = threading.Thread(target=wait, args=({wait}))
        waiting.start()
        children = []
        for _ in range(20):
            child = os.fork()
            if child == 0:
                held.cancel()
                os._exit(0 if wait({wait}, timeout=5) and limiter.try_acquire("a") else 1)
            children.append(os.waitpid(child, 0)[1])
        held.commit()
        waiting.join()
        print(max(children), limiter.try_acquire("a"))
    """)
    assert (done.returncode, done.stdout) == (0, "0 True\n"), done.stderr
