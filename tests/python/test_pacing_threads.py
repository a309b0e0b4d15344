"""The pacing drop-in for threads, in forks and at the end of the interpreter."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading

import pytest

from test_processes import run as run_process
from tollbar.pacing import RateLimiterTimeout, ThreadSafeRateLimiter
from virtual import stats, use


def test_a_turn_that_nobody_enters_is_nothing_and_one_that_nobody_leaves_ends(clock):
    limiter = ThreadSafeRateLimiter(2, clock=clock)
    limiter.acquire()
    assert stats(limiter, "granted") == (0,)
    turn = limiter.acquire()
    turn.__enter__()
    with pytest.raises(RuntimeError, match="entered once"):
        turn.__enter__()
    assert stats(limiter, "in_flight") == (1,)
    del turn
    gc.collect()
    assert stats(limiter, "in_flight", "in_use") == (0, 1)
    with pytest.raises(RuntimeError, match="does not wait"):
        limiter.acquire()._look()


def test_threads_wait_in_order_and_one_after_another(clock):
    limiter, log, threads = ThreadSafeRateLimiter(1, clock=clock), [], []

    def work(number):
        with limiter.acquire():
            log.append(number)

    use(limiter)
    for number in range(6):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        while stats(limiter, "waiting") != (number + 1,):
            pass
    for served in range(6):
        assert log == list(range(served))
        clock.advance(1.001)
        limiter.record_latency(1)  # the head is called, and need not find out by itself
        threads[served].join()
    assert stats(limiter, "granted", "waiting", "in_use") == (7, 0, 1)


def test_a_parked_thread_finds_out_by_itself_that_the_clock_was_moved(clock):
    limiter = ThreadSafeRateLimiter(1, clock=clock)
    use(limiter)

    def work():
        with limiter.acquire():
            pass

    thread = threading.Thread(target=work)
    thread.start()
    while stats(limiter, "waiting") != (1,):
        pass
    clock.advance(1.001)
    thread.join()
    assert stats(limiter, "granted") == (2,)


@pytest.mark.hazard("python-waiters")
@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no such signals here")
def test_an_interrupt_ends_a_blocking_wait_and_takes_no_permit(clock):
    limiter = ThreadSafeRateLimiter(1, clock=clock)
    use(limiter)
    main = threading.get_ident()

    def interrupt():
        while stats(limiter, "waiting") != (1,):
            pass
        signal.pthread_kill(main, signal.SIGINT)

    # The signal is ignored from the start in a background job.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt), limiter.acquire():
            raise AssertionError("no")
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert stats(limiter, "waiting", "granted", "in_flight") == (0, 1, 0)
    clock.advance(1.001)
    use(limiter)


@pytest.mark.hazard("race-k-tokens")
@pytest.mark.parametrize("permits", [1, 7, 500])
def test_threads_get_exactly_as_many_permits_as_there_are(clock, permits):
    limiter, granted = ThreadSafeRateLimiter(permits, clock=clock), []
    start, before = threading.Barrier(8), sys.getswitchinterval()

    def work():
        start.wait()
        for _ in range(200):
            with contextlib.suppress(RateLimiterTimeout), limiter.acquire(timeout_ms=1):
                granted.append(1)

    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert len(granted) == permits
    assert stats(limiter, "granted", "timed_out", "in_flight") == (permits, 1_600 - permits, 0)


@pytest.mark.hazard("python-fork")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_while_threads_wait_goes_on_without_them():
    done = run_process("""
        import os, threading
        from tollbar import ManualClock
        from tollbar.pacing import ThreadSafeRateLimiter

        clock = ManualClock()
        limiter = ThreadSafeRateLimiter(2, clock=clock)
        lasts = threading.Event()

        def hold():
            with limiter.acquire():
                lasts.wait()

        def wait():
            with limiter.acquire():
                pass

        threads = [threading.Thread(target=hold) for _ in range(2)]
        threads += [threading.Thread(target=wait) for _ in range(2)]
        for thread in threads:
            thread.start()
        while (limiter.stats()["waiting"], limiter.stats()["in_flight"]) != (2, 2):
            pass
        child = os.fork()
        if child == 0:
            state = limiter.stats()
            assert (state["waiting"], state["in_flight"], state["in_use"]) == (0, 0, 2), state
            clock.advance(1.001)
            with limiter.acquire(1):
                pass
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        lasts.set()
        while limiter.stats()["waiting"]:
            clock.advance(1)
        for thread in threads:
            thread.join()
        print(limiter.stats()["granted"])
    """)
    assert (done.stdout.strip(), done.returncode) == ("4", 0), done.stderr


@pytest.mark.hazard("python-exit")
def test_the_interpreter_exits_while_tasks_and_threads_wait():
    done = run_process("""
        import asyncio, threading
        from tollbar import ManualClock
        from tollbar.pacing import RateLimiter, ThreadSafeRateLimiter

        blocking, limiter = ThreadSafeRateLimiter(1, clock=ManualClock()), RateLimiter(1, clock=ManualClock())

        def wait():
            for _ in range(2):
                blocking.acquire().__enter__()

        threading.Thread(target=wait, daemon=True).start()
        while blocking.stats()["waiting"] == 0 and blocking.stats()["granted"] == 0:
            pass

        async def twice():
            async with limiter.acquire():
                pass
            async with limiter.acquire():
                pass

        loop = asyncio.new_event_loop()
        task = loop.create_task(twice())
        loop.run_until_complete(asyncio.sleep(0))
        print(limiter.stats()["waiting"])
    """)
    assert (done.stdout.strip(), done.returncode) == ("1", 0), done.stderr
