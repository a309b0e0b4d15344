"""What mypy sees of decorated functions: their own signatures. `make lint` checks it."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any

from typing_extensions import assert_type

from tollbar import Limiter, Rate

limiter = Limiter(Rate(1, per=1))


@limiter.limited(key="api")
async def task(name: str, *, more: int = 0) -> bytes:
    return name.encode() * more


@limiter.limited(key=lambda name: f"user {name}", timeout=0)
def thread(name: str) -> int:
    return len(name)


@limiter.limited("api", 2, 5.0, priority=1)
async def stream(count: int) -> AsyncGenerator[int, str]:
    yield count


@limiter.limited(key="api")
def steps(count: int) -> Generator[int, str, bytes]:
    yield count
    return b""


class Service:
    @limiter.limited(key=lambda self, name: f"user {name}")
    async def method(self, name: str) -> int:
        return len(name)

    @limiter.limited(key="api")
    @staticmethod
    async def static_inside(name: str) -> int:
        return len(name)

    @classmethod
    @limiter.limited(key="api")
    async def class_outside(cls, name: str) -> int:
        return len(name)


async def main() -> None:
    assert_type(await task("a", more=1), bytes)
    assert_type(thread("a"), int)
    assert_type(stream(1), AsyncGenerator[int, str])
    assert_type(steps(1), Generator[int, str, bytes])
    assert_type(await Service().method("a"), int)
    assert_type(await Service.static_inside("a"), int)
    assert_type(await Service.class_outside("a"), int)
    assert_type(limiter.limited(key="a")(len_of), Callable[[str], Coroutine[Any, Any, int]])

    await task(5)  # type: ignore[arg-type]
    await task("a", less=1)  # type: ignore[call-arg]
    thread(name=5)  # type: ignore[arg-type]
    await Service().method()  # type: ignore[call-arg]


async def len_of(name: str, /) -> int:
    return len(name)


@limiter.limited  # type: ignore[call-overload]
async def without_parentheses() -> None: ...


limiter.limited(lambda name: name)  # type: ignore[call-overload]
limiter.limited()  # type: ignore[call-overload]
