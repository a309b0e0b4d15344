"""`Limiter.limited`: one decorator for every shape of function. It never blocks an event loop."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from typing import TYPE_CHECKING, Any, get_origin

from tollbar._late import AcquireTimeout
from tollbar._waiting import come, in_loop

if sys.version_info >= (3, 12):
    from inspect import iscoroutinefunction
else:  # this one also knows the mark that asyncio put on functions before there was a public one
    from asyncio import iscoroutinefunction

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from typing import ParamSpec, Protocol, TypeVar, overload

    from tollbar import Limiter, Reservation

    P = ParamSpec("P")
    R = TypeVar("R")
    T = TypeVar("T")

    class Limited(Protocol):
        """What `Limiter.limited` returns: a decorator that keeps the signature."""

        @overload
        def __call__(self, function: staticmethod[P, R], /) -> staticmethod[P, R]: ...
        @overload
        def __call__(self, function: classmethod[T, P, R], /) -> classmethod[T, P, R]: ...
        @overload
        def __call__(self, function: Callable[P, R], /) -> Callable[P, R]: ...


# What a function of the wrong shape gets told.
IN_A_LOOP = (
    "the event loop of this thread would stand still until then: "
    "decorate an async function, mark this one by inspect.markcoroutinefunction if it returns an awaitable, "
    "or call it by asyncio.to_thread"
)
NO_KEY = (
    "key must be given by name when it is a callable: {0} was given by place. "
    'Write @limiter.limited(key="name") above {0} to limit it, or key={0} if it names the key of a call'
)


class Turn:
    """The turn of one call: `with` in a thread, `async with` in a task. The block is the call.

    Every shape of function waits here and nowhere else. For a generator the block lasts until it is exhausted
    or closed.
    """

    __slots__ = ("_key", "_limiter", "_options", "_place")

    def __init__(self, limiter: Limiter, key: str, options: dict[str, Any]) -> None:
        self._limiter = limiter
        self._key = key
        self._options = options
        self._place: Reservation | None = None

    def __enter__(self) -> None:
        if not in_loop():
            self._block(self._options)
            return
        try:
            self._block({**self._options, "timeout": 0})
        except AcquireTimeout as late:
            advice = "" if self._options["timeout"] == 0 else IN_A_LOOP
            raise AcquireTimeout(late.key, late.retry_after, advice) from None

    def _block(self, options: dict[str, Any]) -> None:
        waiting = self._limiter._turn(self._key, **options)  # noqa: SLF001 - the native part is ours
        waiting._block()  # noqa: SLF001
        self._place = waiting._held()  # noqa: SLF001

    def __exit__(self, *_: object) -> None:
        """Give the place back where the key's limits count places. The call counts, however it ended."""
        if self._place is not None:
            self._place.commit()

    async def __aenter__(self) -> None:
        waiting = self._limiter._turn(self._key, **self._options)  # noqa: SLF001
        await come(waiting)
        self._place = waiting._held()  # noqa: SLF001

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()


if TYPE_CHECKING:
    # The turn of a call with these arguments.
    TurnOf = Callable[[tuple[Any, ...], dict[str, Any]], Turn]


def decorator(limiter: Limiter, /, *arguments: Any, **options: Any) -> Limited:
    """Make the decorator, and refuse a function in the place of the key: the parentheses are missing."""
    if arguments and callable(arguments[0]):
        raise TypeError(NO_KEY.format(getattr(arguments[0], "__name__", "it")))
    return limited(limiter, *arguments, **options)


def limited(
    limiter: Limiter,
    key: str | Callable[..., str],
    cost: float = 1,
    timeout: float | None = None,
    *,
    priority: int = 0,
    costs: dict[str, int] | None = None,
) -> Limited:
    """Make a decorator under which each call waits its turn first. Bad options are refused here."""
    if iscoroutinefunction(key) or not (isinstance(key, str) or callable(key)):
        raise TypeError(f"key must be a str, or a plain function that gives one, not {kind(key)}")
    options = {"cost": cost, "timeout": timeout, "priority": priority, "costs": costs}
    limiter.acquire(key if isinstance(key, str) else "", **options).close()  # type: ignore[arg-type]

    def turn(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Turn:
        name = key if isinstance(key, str) else key(*arguments, **keywords)
        if not isinstance(name, str):
            raise TypeError(f"key must give a str, not {kind(name)}: {name!r}")
        return Turn(limiter, name, options)

    return functools.partial(decorate, turn)


def decorate(turn: TurnOf, function: Any, /) -> Any:
    """Put a wrapper of the same shape around a function, or around the function in a descriptor."""
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(decorate(turn, function.__func__))
    if not callable(function):
        raise TypeError(
            f"limited decorates a function, a callable, a staticmethod or a classmethod, not {kind(function)}"
        )
    body = body_of(function)
    if iscoroutinefunction(function) or iscoroutinefunction(body) or promises_awaitable(body):
        shape = around_coroutine
    elif inspect.isasyncgenfunction(body):
        shape = around_async_generator
    elif inspect.isgeneratorfunction(body):
        shape = around_coroutine if is_old_coroutine(body) else around_generator
    else:
        shape = around_function
    return dressed(shape(turn, function), function, body)


# The wrappers use no global name, so that `dressed` can give them the globals of the function.


def around_coroutine(turn: TurnOf, function: Any) -> Callable[..., Any]:
    async def task(*arguments: Any, **keywords: Any) -> Any:
        async with turn(arguments, keywords):
            return await function(*arguments, **keywords)

    return task


def around_async_generator(turn: TurnOf, function: Any) -> Callable[..., Any]:
    first = first_step

    async def stream(*arguments: Any, **keywords: Any) -> AsyncGenerator[Any, Any]:
        async with turn(arguments, keywords):
            inner = function(*arguments, **keywords)
            step = first(inner)
            while True:
                try:
                    value = await step
                except StopAsyncIteration:
                    return
                try:
                    sent = yield value
                except BaseException as error:  # noqa: BLE001 - GeneratorExit, too, is for the inner one
                    step = inner.athrow(error)
                else:
                    step = inner.asend(sent)

    return stream


def around_generator(turn: TurnOf, function: Any) -> Callable[..., Any]:
    def steps(*arguments: Any, **keywords: Any) -> Generator[Any, Any, Any]:
        with turn(arguments, keywords):
            return (yield from function(*arguments, **keywords))

    return steps


def around_function(turn: TurnOf, function: Any) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        with turn(arguments, keywords):
            return function(*arguments, **keywords)

    return call


def first_step(inner: AsyncGenerator[Any, Any]) -> Any:
    """Begin the inner generator without the hooks of the event loop, which closes the outer one alone.

    A loop that shuts down closes all generators that it knows at once. An inner one would be closed twice.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return inner.__anext__()
    finally:
        sys.set_asyncgen_hooks(*hooks)


def body_of(function: Any) -> Any:
    """Find the function whose flags tell the shape: within partials, or the `__call__` of an object."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function).__call__


def promises_awaitable(body: Any) -> bool:
    """Whether a plain function is annotated to return an `Awaitable` or a `Coroutine`."""
    try:
        result = getattr(body, "__annotations__", {}).get("return")
    except NameError:  # evaluated only now, from CPython 3.14 on
        return False
    name = result if isinstance(result, str) else getattr(get_origin(result) or result, "__name__", "")
    return name.split("[")[0].rpartition(".")[2] in ("Awaitable", "Coroutine")


def is_old_coroutine(body: Any) -> bool:
    """Whether a generator function is a coroutine by `types.coroutine`."""
    code = getattr(inspect.unwrap(getattr(body, "__func__", body)), "__code__", None)
    return code is not None and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def dressed(wrapper: Any, function: Any, body: Any) -> Callable[..., Any]:
    """Let the wrapper pass for the function: name, documentation, signature and globals.

    Frameworks evaluate the text of annotations in `__globals__`, and not all of them look for `__wrapped__`.
    """
    scope = getattr(inspect.unwrap(body), "__globals__", None)
    if scope is not None:
        wrapper = types.FunctionType(wrapper.__code__, scope, closure=wrapper.__closure__)
    named = function
    while isinstance(named, functools.partial):
        named = named.func
    if not hasattr(named, "__name__"):
        wrapper.__name__ = wrapper.__qualname__ = type(named).__name__
    functools.update_wrapper(wrapper, named)
    wrapper.__wrapped__ = function
    return wrapper  # type: ignore[no-any-return]


def kind(value: object) -> str:
    """Name the type of a value that is none."""
    return type(value).__name__
