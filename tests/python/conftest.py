"""What the tests share: a clock to move, and a way to await without a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tollbar import ManualClock

if TYPE_CHECKING:
    from collections.abc import Coroutine


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
