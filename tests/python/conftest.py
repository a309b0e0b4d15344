"""What the tests share: a time limit for each, a clock to move, and a way to await without a loop."""

from __future__ import annotations

import faulthandler
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tollbar import ManualClock

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator


# No test takes longer; one that does hangs. A whole-suite run ends then, and says where every thread stands.
LONGEST_SECONDS = float(os.environ.get("TOLLBAR_TEST_SECONDS", "900"))
STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    # Here nothing is captured; what a test writes later is.
    config.stash[STDERR] = os.dup(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[object]:
    # A thread without the interpreter watches, so a deadlock that holds the interpreter's lock ends, too.
    faulthandler.dump_traceback_later(LONGEST_SECONDS, exit=True, file=item.config.stash[STDERR])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(start=1_000.0, unix=1_700_000_000.0)


def now(awaitable: Coroutine[Any, Any, Any]) -> Any:
    """Await what must answer at its first step, without a loop."""
    try:
        awaitable.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it suspended")


class Config:
    """What a proxy's account says about its limit."""

    def __init__(self, messages_per_hour: object, **more: object) -> None:
        self.messages_per_hour = messages_per_hour
        for name, value in more.items():
            setattr(self, name, value)


class Account:
    """A proxy's account; counts how often it is asked."""

    def __init__(self, config: Config | None) -> None:
        self.config = config
        self.asked = 0

    def get_rate_limiting_config(self) -> Config | None:
        self.asked += 1
        return self.config


def account(messages_per_hour: object, **more: object) -> Account:
    return Account(Config(messages_per_hour, **more))
