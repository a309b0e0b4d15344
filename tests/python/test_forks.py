"""Limiters in processes that were forked off or spawned: each has its own budget, and that is said once."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

SAID = "This process was forked from one that had made its rate limiters already"
# What a script begins with: a limiter of each kind, and what the logger was told in a child so far.
OPENING = f"""
import asyncio, logging, os
from tollbar import Limiter, Rate, RateLimiter, TokenBucket
from tollbar.access import ClientAccess
from tollbar.pacing import RateLimiter as Pacing, ThreadSafeRateLimiter as ThreadPacing
from tollbar.sliding_window import RateLimiter as SlidingWindow

lines = []

class Keep(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())

logging.getLogger("tollbar").addHandler(Keep())

limiter, mail = Limiter(Rate(100, per=10**6)), RateLimiter(100, log_interval=None)
bucket, access = TokenBucket(100, 1e-6), ClientAccess(100, 10**6)
window, pacing, thread_pacing = SlidingWindow(), Pacing(100), ThreadPacing(100)
for key in "ab":
    limiter.try_acquire(key)
    mail.try_acquire(key)
kept, of_mail = limiter.try_acquire, mail.buckets["a"]

def said_in_a_child(action):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        action()
        assert all(line.startswith({SAID!r}) for line in lines), lines
        os._exit(len(lines))
    finally:
        os._exit(99)
"""


def run(code: str, *more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OPENING + textwrap.dedent(code), *more],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


USES = """
def turn():
    with thread_pacing.acquire():
        pass

async def task_turn():
    async with pacing.acquire():
        pass

async def slot():
    async with limiter.slot("a"):
        pass

async def wait():
    await limiter.acquire("a")

uses = {
    "known": lambda: limiter.try_acquire("a"),
    "new": lambda: limiter.try_acquire("new"),
    "by name": lambda: limiter.try_acquire(key="a"),
    "bound before": lambda: kept("a"),
    "denied": lambda: limiter.try_acquire("a", 1000),
    "decide": lambda: limiter.decide("a"),
    "reserve": lambda: limiter.reserve("a").cancel(),
    "many": lambda: limiter.try_acquire_many(["a", "b"]),
    "many, any iterable": lambda: limiter.try_acquire_many(key for key in "ab"),
    "all": lambda: limiter.try_acquire_all(["a", "b"]),
    "wait": lambda: asyncio.run(wait()),
    "block": lambda: limiter.acquire_blocking("a"),
    "block for all": lambda: limiter.acquire_all_blocking(["a", "b"]),
    "slot": lambda: asyncio.run(slot()),
    "mail": lambda: mail.try_acquire("a"),
    "mail, awaited": lambda: mail.acquire("a"),
    "mail, asked": lambda: mail.check_rate_limit("a"),
    "mail, bucket": lambda: mail.get_or_create_bucket("a"),
    "mail, held bucket": lambda: of_mail.try_acquire(),
    "mail, bucket in the view": lambda: mail.buckets["a"].try_acquire(),
    "bucket": lambda: bucket.try_acquire(),
    "bucket, awaited": lambda: bucket.acquire(),
    "access": lambda: access.is_allowed("a"),
    "access in camel case": lambda: access.isAllowed("a"),
    "window": lambda: window.check_and_plan({"id": "a", "limit_per_hour": 5}),
    "pacing": lambda: asyncio.run(task_turn()),
    "pacing threads": turn,
}
"""


@pytest.mark.hazard("python-servers")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_whichever_decision_comes_first_in_a_child_it_is_said_once():
    told = run(f"""{USES}
wrong = {{}}
for name, use in uses.items():
    def often():
        use()
        assert len(lines) == 1, (name, lines)
        for other in uses.values():
            other()
    said = said_in_a_child(often)
    if said != 1:
        wrong[name] = said
print(wrong, len(uses) > 20, lines)
""")
    assert told == "{} True []\n"


@pytest.mark.hazard("python-servers")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_it_is_said_of_limiters_from_before_the_fork_alone_and_in_each_process():
    told = run("""
        def nothing():
            pass

        def own():
            mine = Limiter(Rate(1, per=10**6))
            yours = RateLimiter(100)
            assert mine.try_acquire("a") and not mine.try_acquire("a")
            assert yours.try_acquire("a") and yours.buckets["a"].try_acquire()
            assert mine.decide("b").allowed

        def own_first():
            own()
            assert lines == []
            limiter.try_acquire("a")

        def after_a_fork_of_a_fork():
            limiter.try_acquire("a")
            assert said_in_a_child(lambda: (lines.clear(), limiter.try_acquire("a"))) == 1
            assert said_in_a_child(lambda: lines.clear()) == 0

        print([said_in_a_child(action) for action in (nothing, own, own_first, after_a_fork_of_a_fork)])
        own()
        limiter.try_acquire("a")
        print(lines)
    """)
    assert told == "[0, 0, 1, 1]\n[]\n"


@pytest.mark.hazard("python-servers")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_logger_that_raises_or_asks_the_limiter_again_does_not_matter():
    told = run("""
        class Asks(logging.Handler):
            def emit(self, record):
                assert limiter.try_acquire("a")
                raise RuntimeError("the log is full")

        logging.getLogger("tollbar").addHandler(Asks())
        def decide():
            assert limiter.try_acquire("a") is True
            assert mail.try_acquire("a") is True
        print(said_in_a_child(decide))
    """)
    assert told == "1\n"


@pytest.mark.hazard("python-servers")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_each_process_of_multiprocessing_admits_its_own_burst(method, tmp_path):
    if method == "fork" and not hasattr(os, "fork"):
        pytest.skip("no fork here")
    script = tmp_path / "pool.py"
    script.write_text(
        textwrap.dedent("""
        import multiprocessing, os, pickle, sys
        from tollbar import Limiter, Rate

        limiter = Limiter(Rate(5, per=10**6))

        def ask(barrier, answers):
            barrier.wait(60)
            answers.put((os.getpid(), sum(limiter.try_acquire("a") for _ in range(50))))

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            assert limiter.try_acquire("a", 2)
            barrier, answers = context.Barrier(3), context.Queue()
            children = [context.Process(target=ask, args=(barrier, answers)) for _ in range(3)]
            for child in children:
                child.start()
            told = dict(answers.get(timeout=60) for _ in children)
            for child in children:
                child.join(60)
                assert child.exitcode == 0
            assert set(told) == {child.pid for child in children}
            try:
                pickle.dumps(limiter)
            except TypeError:
                print(sorted(told.values()), limiter.try_acquire("a", 3), limiter.try_acquire("a"))
        """)
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), method],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    # A forked child goes on with the copy, of which two were taken; a spawned one starts with its own.
    each = 3 if method == "fork" else 5
    assert (done.returncode, done.stdout) == (0, f"{[each] * 3} True False\n"), done.stderr
    assert done.stderr.count(SAID) == (3 if method == "fork" else 0)


@pytest.mark.hazard("python-servers")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_no_batch_starts_unlocked_before_the_second_of_two_forks():
    # `late`, registered before tollbar's hook, runs after it: the second thread is between hook and fork.
    code = """
        import os, sys, threading, time

        at_fork, go, here = threading.Event(), threading.Event(), threading.local()

        def late():
            if getattr(here, "waits", False):
                at_fork.set()
                assert go.wait(60)

        os.register_at_fork(before=late)
        from tollbar import Limiter, Rate

        limiter = Limiter(Rate(10, per=3600))
        keys = [f"k{number:09d}@example.org" for number in range(300_000)]

        def ends_well(child):
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

        def fork_late():
            here.waits = True
            child = os.fork()
            if not child:
                os._exit(not all(limiter.try_acquire(f"child{number}") for number in range(20_000)))
            ended.append(ends_well(child))

        ended, beats, over = [], 0, False

        def beat():
            global beats
            while not over:
                beats += 1
                time.sleep(0)

        second, beating = threading.Thread(target=fork_late), threading.Thread(target=beat)
        second.start()
        assert at_fork.wait(60)
        child = os.fork()
        if not child:
            os._exit(0)
        assert ends_well(child)
        # From here on a thread lets go of the interpreter by its own will alone, or never.
        sys.setswitchinterval(1000)
        beating.start()
        told = []

        def ask():
            told.append((beats, sum(limiter.try_acquire_many(keys)), beats))

        batch = threading.Thread(target=ask)
        batch.start()
        batch.join()
        over = True
        beating.join()
        go.set()
        second.join()
        ((before, allowed, after),) = told
        has_lock = getattr(sys, "_is_gil_enabled", lambda: True)()
        print(ended, allowed, before == after or not has_lock)
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[True] 300000 True\n"), done.stderr
