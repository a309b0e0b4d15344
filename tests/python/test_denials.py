"""The exception of a denial: what it says, made when it is awaited and put into words when it is read."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import sys
import traceback
import weakref

import pytest

from conftest import account, now
from tollbar import RateLimiter, RateLimitExceeded

MESSAGE = "Rate limit exceeded for a@x (1 per 3600 s): retry in 3600.0 s"


def denied(clock, exception=None):
    limiter = RateLimiter(1, clock=clock, exception=exception)
    assert limiter.try_acquire("a@x")
    assert not limiter.try_acquire("a@x")  # the one that is logged
    with pytest.raises(exception or RateLimitExceeded) as caught:
        now(limiter.acquire("a@x"))
    return caught.value


def test_it_says_who_why_and_for_how_long(clock):
    error = denied(clock)
    assert type(error) is RateLimitExceeded
    assert str(error) == MESSAGE
    assert repr(error) == f"RateLimitExceeded({MESSAGE!r})"
    assert error.args == (MESSAGE,)
    assert (error.account_email, error.retry_after) == ("a@x", 3600.0)
    assert (
        traceback.format_exception_only(type(error), error)[-1] == f"tollbar.RateLimitExceeded: {MESSAGE}\n"
    )


def test_it_is_an_exception_like_any_other():
    error = RateLimitExceeded("mine", 2)
    assert error.args == ("mine", 2)
    assert str(error) == "('mine', 2)"
    assert repr(error) == "RateLimitExceeded('mine', 2)"
    assert (error.account_email, error.retry_after) == (None, None)
    assert isinstance(error, Exception)
    with pytest.raises(TypeError):
        RateLimitExceeded(nonsense=1)


def test_what_is_set_by_hand_stays_set(clock):
    for error in (denied(clock), RateLimitExceeded("mine")):
        error.account_email, error.retry_after, error.ticket = "b@x", 5, 77
        assert (error.account_email, error.retry_after, error.ticket) == ("b@x", 5, 77)
        error.args = ("other", "words")
        assert error.args == ("other", "words")
        assert str(error) == "('other', 'words')"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have notes from 3.11 on")
def test_notes_are_kept(clock):
    error = denied(clock)
    error.add_note("try the other relay")
    assert "try the other relay" in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_copy_says_the_same(clock, again):
    error = denied(clock)
    error.ticket = 77
    other = again(error)
    assert type(other) is RateLimitExceeded
    assert other is not error
    assert (str(other), other.args) == (MESSAGE, (MESSAGE,))
    assert (other.account_email, other.retry_after, other.ticket) == ("a@x", 3600.0, 77)
    assert again(RateLimitExceeded("mine")).args == ("mine",)


class Slower(RateLimitExceeded):
    """A proxy's own, made of ours."""


def test_a_subclass_is_constructed_with_a_message_and_told_the_rest(clock):
    error = denied(clock, Slower)
    assert type(error) is Slower
    assert error.args == (MESSAGE,)
    assert (error.account_email, error.retry_after) == ("a@x", 3600.0)
    assert pickle.loads(pickle.dumps(error)).retry_after == 3600.0


def test_each_await_raises_a_new_one(clock):
    limiter = RateLimiter(1, clock=clock)
    limiter.try_acquire("a@x")
    refused = limiter.acquire("a@x")
    seen = []
    for _ in range(3):
        with pytest.raises(RateLimitExceeded) as caught:
            now(refused)
        seen.append(caught.value)
    assert len({id(error) for error in seen}) == 3
    assert len({str(error) for error in seen}) == 1


def test_it_knows_what_was_being_handled(clock):
    limiter = RateLimiter(1, clock=clock)
    limiter.try_acquire("a@x")

    async def send():
        try:
            raise KeyError("first")
        except KeyError:
            await limiter.acquire("a@x")

    with pytest.raises(RateLimitExceeded) as caught:
        asyncio.run(send())
    assert isinstance(caught.value.__context__, KeyError)


def test_a_closed_account_and_a_cost_above_the_burst_never_pass(clock):
    limiter = RateLimiter(10, clock=clock)
    with pytest.raises(RateLimitExceeded, match="11 tokens are more than a full bucket holds") as caught:
        now(limiter.acquire("a@x", None, 11))
    assert caught.value.retry_after == float("inf")
    with pytest.raises(RateLimitExceeded, match="may not send"):
        now(limiter.acquire("b@x", account(0)))


def test_nothing_is_kept_alive_by_a_denial_that_is_gone(clock):
    limiter = RateLimiter(1, clock=clock)
    limiter.try_acquire("a@x")
    email = f"b{clock.now()}@x"
    limiter.try_acquire(email)
    limiter.try_acquire(email)
    limiter.acquire(email)
    before = sys.getrefcount(email)
    for _ in range(1_000):
        limiter.acquire(email)  # never awaited
        with pytest.raises(RateLimitExceeded):
            now(limiter.acquire(email))
    gc.collect()
    assert sys.getrefcount(email) - before < 5
    error = weakref.ref(Slower("gone"))
    gc.collect()
    assert error() is None


def test_it_says_all_that_after_everybody_else_has_let_go_of_its_limiter(clock):
    limiter = RateLimiter(1, clock=clock)
    assert limiter.try_acquire("a@x")
    assert not limiter.try_acquire("a@x")
    gone = weakref.ref(limiter)
    with pytest.raises(RateLimitExceeded) as caught:
        now(limiter.acquire("a@x"))
    error = caught.value.with_traceback(None)
    del limiter, caught
    gc.collect()
    assert str(error) == MESSAGE
    assert gone() is not None
    del error
    gc.collect()
    assert gone() is None
