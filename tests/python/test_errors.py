"""What a refused call says: which argument, which value, and what to write instead."""

from __future__ import annotations

import asyncio
import copy
import math
import pickle

import pytest

import tollbar
from tollbar import (
    AcquireTimeout,
    InFlight,
    Jail,
    Limiter,
    NeverFits,
    Rate,
    RateLimiter,
    Window,
    access,
    sliding_window,
)
from virtual import run

KEY_METHODS = [
    "try_acquire",
    "decide",
    "peek",
    "plan",
    "reserve",
    "acquire",
    "acquire_blocking",
    "slot",
    "release",
    "penalize",
    "reset",
    "reconfigure",
    "__contains__",
]


@pytest.mark.parametrize("key", [5, None, b"a", ["a"]])
@pytest.mark.parametrize("method", KEY_METHODS)
def test_a_key_that_is_no_text_is_named(clock, method, key):
    limiter = Limiter(Rate(1, per=1), clock=clock)
    with pytest.raises(TypeError) as error:
        getattr(limiter, method)(key)
    assert str(error.value) == f"key must be str, not {type(key).__name__}"
    assert len(limiter) == 0


@pytest.mark.parametrize("method", KEY_METHODS)
def test_a_key_that_is_too_long_is_named(clock, method):
    limiter = Limiter(Rate(1, per=1), clock=clock)
    with pytest.raises(ValueError, match="key must be at most 1048576 bytes, not 1048577"):
        result = getattr(limiter, method)("a" * (2**20 + 1))
        if method == "acquire":
            run(clock, result)
        if method == "slot":
            result.__enter__()
    assert len(limiter) == 0


def test_accounts_and_clients_are_named_as_their_arguments_are():
    limiter = RateLimiter()
    for method in ("acquire", "try_acquire", "check_rate_limit", "get_or_create_bucket", "reconfigure"):
        with pytest.raises(TypeError, match="^account_email must be str, not int"):
            getattr(limiter, method)(5)
    clients = access.ClientAccess(1, 1)
    for method in ("is_allowed", "isAllowed", "release", "jailed_until", "forget", "__contains__"):
        with pytest.raises(TypeError, match="^client_id must be str, not bytes"):
            getattr(clients, method)(b"a")
    windows = sliding_window.RateLimiter()
    for method in ("log_send", "release_slot", "purge_for_account"):
        with pytest.raises(TypeError, match="^account_id must be str, not NoneType"):
            getattr(windows, method)(None)


@pytest.mark.parametrize("policies", [None, {}])
@pytest.mark.parametrize("batch", ["try_acquire_many", "try_acquire_all"])
def test_a_batch_names_the_place_of_a_bad_key(clock, batch, policies):
    limiter = Limiter(Rate(1, per=1), policies=policies, clock=clock)
    ask = getattr(limiter, batch)
    for keys in (["a", "b", 5], iter(["a", "b", 5]), ("a", "b", 5), ["a", "b", 5] + ["c"] * 2_000):
        with pytest.raises(TypeError, match=r"^keys\[2\] must be str, not int$"):
            ask(keys)
    with pytest.raises(TypeError, match="^keys must be an iterable of str, not int$"):
        ask(5)
    with pytest.raises(TypeError, match="^keys must be an iterable of str, not a single str$"):
        ask("abc")
    if policies is None:
        long = "b" * (2**20 + 1)
        for keys in (["a", long], iter(["a", long])):
            with pytest.raises(ValueError, match=r"^keys\[1\] must be at most 1048576 bytes, not 1048577$"):
                ask(keys)
    assert len(limiter) == 0


def test_what_iterating_raises_is_not_hidden(clock):
    class Broken:
        def __iter__(self):
            raise TypeError("of its own")

    with pytest.raises(TypeError, match="of its own"):
        Limiter(Rate(1, per=1), clock=clock).try_acquire_many(Broken())


@pytest.mark.parametrize(
    ("arguments", "options", "instead"),
    [
        ((0.5, 1), {}, "Rate(1, per=2)"),
        ((0.1, 60), {}, "Rate(1, per=600)"),
        ((2.5, 1), {}, "Rate(5, per=2, burst=3)"),
        ((2.5, 1), {"burst": 1}, "Rate(5, per=2, burst=1)"),
        ((0.25, 0.5), {}, "Rate(1, per=2)"),
        ((100 / 3, 1), {}, "Rate(100, per=3, burst=34)"),
        ((12.5, 1), {"strict": True}, "Rate(25, per=2, strict=True)"),
    ],
)
def test_a_rate_of_a_fraction_names_the_same_rate_in_whole_numbers(arguments, options, instead):
    with pytest.raises(ValueError, match="limit must be a whole number, not") as error:
        Rate(*arguments, **options)
    assert str(error.value).endswith(f": write {instead}")
    written = eval(instead, vars(tollbar))  # noqa: S307 - our own text
    assert written.limit / written.per == pytest.approx(arguments[0] / arguments[1])


@pytest.mark.parametrize("limit", [math.nan, math.inf, -0.5, 1e-300, 1e300, 1.5e-9])
def test_a_fraction_that_no_rate_can_be_is_refused_plainly(limit):
    with pytest.raises(
        ValueError, match=r"limit must be (a whole number|at least 0|below 2\*\*64), not"
    ) as error:
        Rate(limit, per=1)
    assert "write" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "options", "unit", "instead"),
    [
        ((125_000_000, 1), {}, 1000, "Rate(125000, per=1)"),
        ((12_500_000, 1), {"burst": 65_536}, 1000, "Rate(12500, per=1, burst=66)"),
        ((1_250_000_000, 10), {}, 1000, "Rate(1250000, per=10)"),
        ((10_000_001, 1), {}, 1000, "Rate(10000, per=1)"),
        ((20_000_000_000, 1), {"burst": 1_000_000}, 1_000_000, "Rate(20000, per=1, burst=1)"),
        ((125_000_000, 1), {"strict": True}, 1000, "Rate(125000, per=1, strict=True)"),
    ],
)
def test_a_rate_that_is_too_fast_names_one_in_a_larger_unit(arguments, options, unit, instead):
    with pytest.raises(ValueError, match="limit must be at most 10,000,000 a second, not") as error:
        Rate(*arguments, **options)
    assert f"instead: {instead}, with costs divided by {unit} and rounded up" in str(error.value)
    written = eval(instead, vars(tollbar))  # noqa: S307 - our own text
    assert written.limit * unit <= arguments[0]


def test_a_burst_that_is_wrong_is_no_matter_of_units():
    with pytest.raises(ValueError, match="burst must be at least 1, not 0$"):
        Rate(5, per=1, burst=0)
    with pytest.raises(ValueError, match="limit must be at most 10,000,000 a second, not 2$"):
        Rate(2, per=1e-9)


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        (Rate(100, per=60), "the limit '100 per 60 s' can hold at once (burst 100)"),
        (Rate(100, per=60, burst=7, name="mine"), "the limit 'mine' can hold at once (burst 7)"),
        (Window(100, per=60), "the limit '100 in 60 s' can hold at once (limit 100)"),
        (Window(100, per=60, steps=6), "the limit '100 in 60 s' can hold at once (limit 100)"),
        (InFlight(100), "the limit '100 in flight' can hold at once (limit 100)"),
    ],
)
def test_a_cost_that_never_fits_is_told_with_its_limit(clock, limit, why):
    limiter = Limiter(limit, Jail(9, within=1, duration=1), Rate(1000, per=1), clock=clock)

    @limiter.limited("a", 200)
    async def task():
        raise AssertionError("it was called")

    async def slot():
        async with limiter.slot("a", 200):
            raise AssertionError("it was entered")

    calls = [
        lambda: run(clock, limiter.acquire("a", 200)),
        lambda: run(clock, limiter.acquire("a", 200, timeout=0)),
        lambda: run(clock, limiter.acquire("a", 200, jitter=1)),
        lambda: limiter.acquire_blocking("a", 200),
        lambda: limiter.slot("a", 200).__enter__(),
        lambda: run(clock, slot()),
        lambda: run(clock, task()),
        limiter.limited("a", 200)(lambda: None),
    ]
    for call in calls:
        with pytest.raises(NeverFits) as never:
            call()
        error = never.value
        assert str(error) == f"the turn of 'a' can never come: cost 200 is more than {why}"
        assert (error.key, error.cost, error.limit, error.retry_after) == (
            "a",
            200,
            limit.name,
            math.inf,
        )
        assert not isinstance(error, TimeoutError)
        assert isinstance(error, ValueError)
    assert len(limiter) == 0
    assert error.most == limiter.peek("a").remaining


def test_of_several_limits_the_smallest_is_told_and_no_shadow(clock):
    limits = [
        Window(50, per=60),
        Rate(9, per=1, burst=20),
        Rate(1, per=1, burst=5, shadow=True, name="trial"),
    ]
    limiter = Limiter(*limits, policies={"b": Rate(1, per=1, burst=2)}, clock=clock)
    for key, most in (("a", 20), ("b", 2)):
        with pytest.raises(NeverFits) as never:
            limiter.acquire_blocking(key, 60)
        assert never.value.most == most
    assert limiter.acquire_blocking("a", 20), "the shadow would have denied it"
    limiter.reconfigure("a", Rate(1, per=1, burst=3, name="new"))
    with pytest.raises(NeverFits, match="limit 'new' can hold at once .burst 3."):
        limiter.acquire_blocking("a", 20)
    limiter.reconfigure("a", Window(4, per=60, name="newest"), InFlight(9))
    with pytest.raises(NeverFits, match="limit 'newest' can hold at once .limit 4."):
        limiter.acquire_blocking("a", 20)


def test_a_cost_that_no_longer_fits_is_told_to_a_waiter(clock):
    limiter = Limiter(Rate(10, per=10), clock=clock)

    async def main():
        assert limiter.try_acquire("a", 10)
        waiting = asyncio.ensure_future(limiter.acquire("a", 10))
        await asyncio.sleep(1)
        limiter.reconfigure("a", Rate(5, per=10, name="less"))
        with pytest.raises(NeverFits, match="cost 10 is more than the limit 'less'"):
            await waiting

    run(clock, main())


def test_a_full_table_is_a_timeout_and_not_for_ever(clock):
    limiter = Limiter(InFlight(1), max_keys=1, clock=clock)
    with limiter.slot("a"), pytest.raises(AcquireTimeout) as late:
        limiter.acquire_blocking("b", timeout=1)
    assert not isinstance(late.value, ValueError)


@pytest.mark.parametrize(
    "error",
    [
        NeverFits("a", 200, "100 per 60 s", 100, "burst"),
        AcquireTimeout("a", 2.5),
        AcquireTimeout("a", math.inf, "wait elsewhere"),
    ],
)
def test_the_exceptions_are_copied_and_pickled(error):
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))
        assert twin.retry_after == error.retry_after
