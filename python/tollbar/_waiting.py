"""How tasks of asyncio and trio are parked that wait for a key's turn. Order and time are the core's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from tollbar import Reservation
    from tollbar._parked import Parked
    from tollbar._tollbar import Waiting

__all__ = ["Slot", "acquire", "in_loop"]


async def acquire(waiting: Waiting, jitter: float) -> bool:
    """Wait in line. With jitter, what was granted is held meanwhile, so that a cancellation gives it back."""
    await come(waiting)
    place = waiting._held()  # noqa: SLF001 - the native part is ours
    if place is not None:
        import random  # noqa: PLC0415 - few ask for jitter

        with place:
            await pause(random.random() * jitter)
    return True


async def come(waiting: Waiting) -> None:
    """Park the task until its turn has come. Whichever way it is left, nothing stays taken."""
    parked = TrioParked() if in_trio() else asyncio_parked(waiting)
    try:
        wait = waiting._start(parked.wake, parked.group)  # noqa: SLF001
        while wait is not None:
            await parked.park(wait)
            wait = waiting._look()  # noqa: SLF001
    except BaseException:
        waiting._leave()  # noqa: SLF001
        raise


def asyncio_parked(waiting: Waiting) -> Parked:
    """Import asyncio's half where asyncio runs, and not when tollbar is imported."""
    from tollbar._parked import Parked  # noqa: PLC0415

    return Parked(waiting._leave)  # noqa: SLF001


async def pause(seconds: float) -> None:
    """Sleep in whichever loop runs."""
    if in_trio():
        import trio  # noqa: PLC0415 - only where it runs already

        await trio.sleep(seconds)
    else:
        import asyncio  # noqa: PLC0415 - only where it runs already

        await asyncio.sleep(seconds)


def in_trio() -> bool:
    """Whether the caller runs under trio, which then is imported already."""
    sniffio = sys.modules.get("sniffio")
    if "trio" not in sys.modules or sniffio is None:
        return False
    try:
        return bool(sniffio.current_async_library() == "trio")
    except sniffio.AsyncLibraryNotFoundError:
        return False


def in_loop() -> bool:
    """Whether an event loop runs in this thread. Its library then is imported already."""
    asyncio = sys.modules.get("asyncio")
    # Unlike get_running_loop it raises nothing, which would cost more than all else here.
    return (asyncio is not None and asyncio._get_running_loop() is not None) or in_trio()  # noqa: SLF001


class TrioParked:
    """A task of trio."""

    __slots__ = ("_event", "_token", "_trio", "group")

    def __init__(self) -> None:
        import trio  # noqa: PLC0415 - only where it runs already

        self._trio: Any = trio
        self._token = trio.lowlevel.current_trio_token()
        self._event = trio.Event()
        self.group = id(self._token)

    async def park(self, seconds: float) -> None:
        with self._trio.move_on_after(seconds):
            await self._event.wait()
        self._event = self._trio.Event()

    def wake(self) -> None:
        """Let the task look again; called from whatever thread has something for it."""
        try:
            self._token.run_sync_soon(self._go_on)
        except self._trio.RunFinishedError:  # its tasks have left the line already
            return

    def _go_on(self) -> None:
        self._event.set()


class Slot:
    """What is held for a block, once its turn has come: for `with` and for `async with`, one block each.

    The block is given the `Reservation`, which is committed when it ends well and cancelled when it does not.
    """

    __slots__ = ("_place", "_waiting")

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._place: Reservation | None = None

    def _come(self) -> Reservation:
        place = self._place = self._waiting._held()  # noqa: SLF001
        if place is None:
            raise AssertionError("whoever asked to hold something holds it")
        return place

    def _leave(self, kind: type[BaseException] | None) -> None:
        if self._place is not None:
            self._place.__exit__(kind, None, None)

    def __enter__(self) -> Reservation:
        self._waiting._block()  # noqa: SLF001
        return self._come()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(kind)

    async def __aenter__(self) -> Reservation:
        await come(self._waiting)
        return self._come()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(kind)
