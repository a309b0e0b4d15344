"""The asyncio form: workers are tasks of one event loop, and time is that loop's."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._base import Books, Call
from ._errors import QueueStopped, Rejected
from ._item import State
from ._options import check_seconds
from ._waiters import Line, Waiters

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from random import Random
    from types import TracebackType

    from ._backoff import Backoff
    from ._graveyard import Burial, Graveyard
    from ._item import Item
    from ._lane import Lane
    from ._pacers import AsyncPacer, Gate
    from ._stats import Stats

T = TypeVar("T")

logger = logging.getLogger("tollbar.dispatch")


class DispatchQueue(Generic[T]):
    """Hands items to workers that pace themselves, tries again what fails, and loses nothing.

    Every accepted item ends in exactly one of three places: done (the handler returned), the graveyard (it
    expired, its last try failed, or the handler gave it up), or handed back (by `stop`).

    - `handler`: an `async def` of one item. What it raises is a failed try; `Retry`, `Rejected` and `GiveUp`
      say more. A call that is cancelled is a failed try, too. It is not interrupted when the item expires:
      give `item.remaining()` to whatever it waits for.
    - `workers`: name -> pacer, or None for a worker without; each calls at most `concurrency` at once.
    - `maxsize`: so many items wait at most, dead letters included; with `sticky` so many for each worker.
    - `sticky`: an item's key chooses the worker, always the same (`worker_of`), so that one hostile key slows
      only those who share its worker. Without it any worker takes any item.
    - `ttl`: seconds from acceptance after which no try is begun; None is never.
    - `max_tries`: calls an item gets at most.
    - `backoff`: seconds to wait after so many tries, None is `full_jitter()`, which needs tenacity. `random`
      is the generator it draws from.
    - `graveyard`: where the buried go; None is one of its own.
    - `on_done(item, result)`, `on_bury(burial)`: plain functions, called on the loop once the books are
      closed; what they raise is logged and counted.
    - `log_interval`: seconds between the log lines of statistics, on the logger `tollbar.dispatch`; None is
      none.

    Everything is called from one event loop, the one of the first call; RuntimeError from another. Time is
    the loop's. An item costs one task, and O(log n) for n dead letters. ValueError or TypeError for options
    that are none.
    """

    def __init__(
        self,
        handler: Callable[[Item[T]], Awaitable[object]],
        workers: Mapping[str, AsyncPacer | None],
        *,
        maxsize: int = 1000,
        concurrency: int = 1,
        sticky: bool = False,
        ttl: float | None = None,
        max_tries: int = 5,
        backoff: Backoff | None = None,
        random: Random | None = None,
        graveyard: Graveyard[T] | None = None,
        on_done: Callable[[Item[T], Any], object] | None = None,
        on_bury: Callable[[Burial[T]], object] | None = None,
        log_interval: float | None = None,
    ) -> None:
        if not callable(handler):
            raise TypeError(f"handler: must be an async function of one item, got {handler!r}")
        self._books: Books[T] = Books(
            workers,
            self._time,
            tasks=True,
            maxsize=maxsize,
            concurrency=concurrency,
            sticky=sticky,
            ttl=ttl,
            max_tries=max_tries,
            backoff=backoff,
            random=random,
            graveyard=graveyard,
            on_done=on_done,
            on_bury=on_bury,
            log_interval=log_interval,
        )
        self._handler = handler
        self._ledger = self._books.ledger
        self._loop: asyncio.AbstractEventLoop | None = None
        # Workers wait for items, putters for room, joiners for the last item's end.
        self._bells: dict[Lane[T], Waiters] = {lane: Waiters() for lane in self._ledger.lanes.all}
        self._room: dict[Lane[T], Line] = {lane: Line() for lane in self._ledger.lanes.all}
        self._idle = Waiters()
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls: dict[Item[T], asyncio.Task[None]] = {}
        self._reporter: asyncio.Task[None] | None = None
        self._aborting = False
        self._stopped = False

    @property
    def graveyard(self) -> Graveyard[T]:
        """Where the buried are."""
        return self._ledger.graveyard

    @property
    def handed_back(self) -> list[Item[T]]:
        """What `stop` handed back so far: a copy, and there even if `stop` was cancelled."""
        return list(self._ledger.handed_back)

    def worker_of(self, key: str) -> str:
        """Tell which worker a key is bound to under `sticky`: the one of that name, else one by its bytes."""
        return self._ledger.lanes.worker_of(key)

    def stats(self) -> Stats:
        """Tell counts, sizes and latencies now. Sorts a thousand numbers."""
        return self._books.finish(self._books.stats())

    async def start(self) -> None:
        """Start the workers. RuntimeError if they were started before. `async with` does it, too."""
        self._here()
        if self._books.started is not None:
            raise RuntimeError("the queue was started before: make another one")
        self._books.started = self._time()
        for name, gate in self._books.gates.items():
            for number in range(self._books.concurrency):
                task = asyncio.create_task(self._work(name, gate), name=f"dispatch {name} {number}")
                lane = self._ledger.lanes.of_worker(name)
                self._books.staff[lane] += 1
                self._tasks.add(task)
                task.add_done_callback(functools.partial(self._worker_ended, lane))
        if self._books.log_interval is not None:
            self._reporter = asyncio.create_task(self._report(self._books.log_interval, self.stats()))

    async def put(self, payload: T, *, key: str | None = None, ttl: float | None = None) -> Item[T]:
        """Accept an item, waiting in line for room if there is none; before `start`, too.

        `key` names whose it is, and binds it to a worker under `sticky` (TypeError without one); `ttl` is in
        seconds, None the queue's own. QueueStopped if the queue is being stopped, also while this waits.
        Cancelled while it waits, nothing was accepted.
        """
        self._here()
        check_seconds("ttl", ttl)
        lane = self._ledger.lanes.of_key(key)
        await self._room[lane].turn(
            ready=lambda: self._ledger.has_room(lane), over=lambda: not self._ledger.accepting
        )
        return self._accept(payload, key, ttl)

    def put_nowait(self, payload: T, *, key: str | None = None, ttl: float | None = None) -> Item[T]:
        """Accept an item now or raise QueueFull; otherwise as `put`."""
        self._here()
        check_seconds("ttl", ttl)
        return self._accept(payload, key, ttl)

    async def join(self) -> None:
        """Wait until every accepted item has reached its end.

        QueueStopped if no worker is left to see to it.
        """
        self._here()
        while self._ledger.unsettled:
            if self._books.deserted:
                raise QueueStopped(f"a last worker has ended, and {self._ledger.unsettled} items are left")
            await self._idle.wait()

    async def stop(self, *, drain: bool = True, timeout: float | None = None) -> list[Item[T]]:
        """Accept nothing more, end the workers, and hand back what is left, dead letters first.

        With `drain` it first waits until everything has reached its end, retries included. Without, or when
        `timeout` seconds are over, all that waits is handed back, in the main queue, for a further try, or
        for a pacer. Calls in flight are waited for, and what fails now is handed back instead of tried again;
        when `timeout` is over they are cancelled, and handed back unless they ended otherwise. A handler that
        will not be cancelled is waited for.

        May be called again and from several tasks, but not from a handler, which would wait for itself; all
        get the same items. If it is cancelled, call it again: nothing is lost.
        """
        check_seconds("timeout", timeout, zero=True)
        self._here()
        until = None if timeout is None else self._time() + timeout
        self._close()
        if drain:
            await self._quiet(until, lambda: self._books.started is None or self._books.deserted)
        self._ledger.stop_retrying()
        self._settled()
        for item, task in self._calls.items():
            if item.state is State.HANDED_BACK:  # its worker waits for a pacer
                task.cancel()
        await self._quiet(until, lambda: not self._books.alive)
        self._aborting = True
        for task in self._calls.values():
            task.cancel()
        self._stopped = True
        for bell in self._bells.values():
            bell.wake_all()
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        if self._books.ended is None and self._books.started is not None:
            self._books.ended = self._time()
        if self._reporter is not None:
            self._reporter.cancel()
            await asyncio.wait({self._reporter})
        return self.handed_back

    async def __aenter__(self) -> DispatchQueue[T]:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop: drained, or after an exception without; what is left is in `handed_back`."""
        await self.stop(drain=kind is None)

    def _time(self) -> float:
        return (self._loop or self._here()).time()

    def _here(self) -> asyncio.AbstractEventLoop:
        """Belong to the running loop, or say that it is the wrong one."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError("the queue belongs to another event loop")
        return loop

    def _accept(self, payload: T, key: str | None, ttl: float | None) -> Item[T]:
        item = self._ledger.accept(payload, key, ttl)
        self._bells[self._ledger.lanes.of_key(key)].wake()
        return item

    def _close(self) -> None:
        self._ledger.close()
        for line in self._room.values():
            line.wake_all()

    def _settled(self) -> None:
        """Tell the hook of the buried, and those who wait for the last item's end, if that was it."""
        self._books.announce_burials()
        if not self._ledger.unsettled:
            self._idle.wake_all()

    async def _quiet(self, until: float | None, hopeless: Callable[[], bool]) -> None:
        """Wait until no item is left, or it is hopeless, or the time is over."""
        while self._ledger.unsettled and not hopeless() and (until is None or self._time() < until):
            await self._idle.wait(until)

    async def _work(self, name: str, gate: Gate) -> None:
        while (item := await self._next(name)) is not None:
            await self._serve(gate, item)

    def _worker_ended(self, lane: Lane[T], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._books.staff[lane] -= 1
        if not task.cancelled() and task.exception() is not None:
            logger.error("%s has ended", task.get_name(), exc_info=task.exception())
        if not self._books.staff[lane]:
            if not self._stopped:
                logger.error("a last worker has ended, and %d items are left", self._ledger.unsettled)
            # Nobody would ever take another item.
            self._close()
            self._idle.wake_all()

    async def _next(self, name: str) -> Item[T] | None:
        """Wait for this worker's next item; None when it is to end."""
        lane = self._ledger.lanes.of_worker(name)
        while not self._stopped:
            item = self._ledger.take(name)
            try:
                self._settled()
            except BaseException:
                if item is not None:
                    self._ledger.release(item)
                    self._bells[lane].wake()
                raise
            self._room[lane].wake()
            if item is not None:
                return item
            await self._bells[lane].wait(lane.next_due())
        return None

    async def _serve(self, gate: Gate, item: Item[T]) -> None:
        """See one try through. A task of its own, so that its cancellation is told from the worker's."""
        call = Call()
        task = asyncio.create_task(self._call(gate, item, call))
        self._calls[item] = task
        ending = False
        try:
            await asyncio.wait({task})
        except BaseException:
            ending = True
            task.cancel()
            while not task.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait({task})
            raise
        finally:
            del self._calls[item]
            self._book(gate, item, call, task, ending=ending)

    def _book(self, gate: Gate, item: Item[T], call: Call, task: asyncio.Task[None], *, ending: bool) -> None:
        error = asyncio.CancelledError("the call was cancelled") if task.cancelled() else task.exception()
        cancelled = not call.finished and isinstance(call.error or error, asyncio.CancelledError)
        # Cancelled by us, or with the worker before the call began: not the item's failure.
        if cancelled and (
            self._aborting or item.state is State.HANDED_BACK or (ending and item.state is State.HELD)
        ):
            self._ledger.release(item)
        elif self._books.book(gate, item, call, error):
            self._books.announce_done(item, call.result)
        if not item.state.final:
            self._bells[self._ledger.lanes.of_key(item.key)].wake()
        self._settled()

    async def _call(self, gate: Gate, item: Item[T], call: Call) -> None:
        async with gate.acquire(item):
            call.begun = self._ledger.begin(item)
            if not call.begun:
                return
            try:
                call.result = await self._handler(item)
                call.finished = True
            except Rejected as error:
                call.error = error
                gate.tell(error)  # and no more: to the pacer this is an answer as any other
            except BaseException as error:
                call.error = error
                raise

    async def _report(self, interval: float, told: Stats) -> None:
        while True:
            await asyncio.sleep(interval)
            told = self._books.log(self.stats(), told)
