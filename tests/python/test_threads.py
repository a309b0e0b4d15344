"""Many threads at one limiter: exactly what the bound allows, never one more, and nothing lost."""

from __future__ import annotations

import contextlib
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import account, now
from tollbar import Limiter, Rate, RateLimiter, RateLimitExceeded, TokenBucket

THREADS = 8
TRIES = 25_000


def in_threads(work):
    """Run work(number) in all threads at once; return the results."""
    start = threading.Barrier(THREADS)

    def run(number):
        start.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


@pytest.fixture(autouse=True)
def _switch_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.hazard("race-k-tokens")
@pytest.mark.parametrize("keys", [1, 64])
def test_threads_admit_exactly_the_burst_and_after_idling_exactly_the_burst_again(keys, clock):
    limiter, burst = Limiter(Rate(100, 1), clock=clock), 100
    names = [f"k{i}" for i in range(keys)]

    def work(number):
        acquire = limiter.try_acquire
        return sum(acquire(names[(number + i) % keys]) for i in range(TRIES))

    assert sum(in_threads(work)) == keys * burst
    clock.advance(1)
    assert sum(in_threads(work)) == keys * burst
    stats = limiter.stats()
    assert (stats["allowed"], stats["denied"]) == (2 * keys * burst, 2 * (THREADS * TRIES - keys * burst))


def test_a_batch_without_the_interpreter_lock_and_single_calls_with_it_lose_no_charge(clock):
    burst, batch = 10_000_000, ["a"] * 500_000
    limiter = Limiter(Rate(burst, 3600), clock=clock)
    singly, done = 0, threading.Event()

    def all_at_once():
        try:
            return sum(limiter.try_acquire_many(batch))
        finally:
            done.set()

    with ThreadPoolExecutor(1) as pool:
        at_once = pool.submit(all_at_once)
        while not done.is_set():
            singly += limiter.try_acquire("a")
    passed = singly + at_once.result()
    assert limiter.peek("a").remaining == burst - passed
    assert limiter.stats()["allowed"] == passed


def test_threads_share_a_bucket_and_a_batch(clock):
    bucket, limiter = TokenBucket(1000, 1, clock=clock), Limiter(Rate(1000, 1), clock=clock)
    assert sum(in_threads(lambda _: sum(bucket.try_acquire() for _ in range(TRIES)))) == 1000
    batch = ["a", "b"] * 1500
    assert sum(sum(passed) for passed in in_threads(lambda _: limiter.try_acquire_many(batch))) == 2000


@pytest.mark.hazard("race-reconfigure")
def test_reconfigured_in_use_never_two_mixed_configurations(clock):
    limiter = RateLimiter(10, clock=clock, log_interval=None)
    small, large = account(10), account(1000)
    limiter.try_acquire("a", account=small)
    allowed = {(10, 10 / 3600), (1000, 1000 / 3600)}
    done = threading.Event()

    def work(number):
        if number == 0:
            for i in range(2000):
                assert limiter.reconfigure("a", large if i % 2 else small)
            done.set()
            return set()
        seen = set()
        while not done.is_set():
            limiter.try_acquire("a")
            state = limiter.buckets["a"].get_state()
            assert 0.0 <= state["tokens"] <= state["capacity"]
            seen.add((state["capacity"], state["refill_rate"]))
        return seen

    assert set().union(*in_threads(work)) <= allowed


@pytest.mark.hazard("race-evict")
def test_accounts_come_and_go_under_threads(clock):
    limiter = RateLimiter(10, max_buckets=50, clock=clock, log_interval=None)
    held = now(limiter.get_or_create_bucket("held"))

    def work(number):
        admitted = 0
        for i in range(3000):
            email = f"user{(number * 7 + i) % 200}"
            with contextlib.suppress(RateLimitExceeded):
                now(limiter.acquire(email))
            admitted += limiter.try_acquire("held")
            if i % 100 == 0:
                list(limiter.buckets.items())
                limiter.get_stats()
        return admitted

    assert sum(in_threads(work)) == 10, "a held account is not forgiven"
    assert held.tokens == 0.0
    assert len(limiter.buckets) <= 50 + THREADS + 1
