"""`try_acquire_all`: several keys together or none."""

from __future__ import annotations

import threading

import pytest

from tollbar import Limiter, ManualClock, Rate


@pytest.fixture
def limiter(clock: ManualClock) -> Limiter:
    return Limiter(Rate(10, per=10, name="ten"), clock=clock)


def held(limiter, *keys):
    return [limiter.peek(key).remaining for key in keys]


def test_all_or_none(limiter, clock):
    decision = limiter.try_acquire_all(["domain", "a@domain"], 4)
    assert decision
    assert (decision.key, decision.limit, decision.retry_after) == (None, None, 0.0)
    assert decision.remaining == 6
    assert limiter.try_acquire("domain", 5)
    decision = limiter.try_acquire_all(iter(["a@domain", "domain"]), 3)
    assert not decision
    assert (decision.reason, decision.limit, decision.key) == ("rate", "ten", "domain")
    assert decision.retry_after == 2.0
    assert 'key="domain"' in repr(decision)
    assert held(limiter, "domain", "a@domain") == [1, 6]
    clock.advance(2)
    assert limiter.try_acquire_all(["a@domain", "domain"], 3)


def test_who_waits_longest_is_named(limiter):
    limiter.try_acquire("a", 9)
    limiter.try_acquire("b", 10)
    limiter.try_acquire("c", 8)
    decision = limiter.try_acquire_all(["a", "b", "c"], 3)
    assert (decision.key, decision.retry_after) == ("b", 3.0)
    decision = limiter.try_acquire_all(["a", "never seen"], 11)
    assert (decision.reason, decision.retry_after) == ("never", float("inf"))
    assert "never seen" not in limiter


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ([], ValueError),
        (["a", "b", "a"], ValueError),
        ("ab", TypeError),
        (["a", 1], TypeError),
        (None, TypeError),
    ],
)
def test_bad_keys_charge_nothing(limiter, keys, error):
    with pytest.raises(error):
        limiter.try_acquire_all(keys)
    with pytest.raises(ValueError, match="cost"):
        limiter.try_acquire_all(["a"], -1)
    assert len(limiter) == 0


def test_two_orders_in_two_threads(limiter):
    limiter.try_acquire_all(["a", "b"], 0)
    passed = []

    def work(keys):
        passed.extend(bool(limiter.try_acquire_all(keys)) for _ in range(200))

    threads = [threading.Thread(target=work, args=(keys,)) for keys in (["a", "b"], ["b", "a"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 10
    assert held(limiter, "a", "b") == [0, 0]
