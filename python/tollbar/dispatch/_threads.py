"""The thread form: workers are threads, every method blocks where the asyncio form awaits."""

from __future__ import annotations

import inspect
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._base import Books, Call
from ._clock import Clock, SystemClock
from ._errors import QueueFull, QueueStopped, Rejected
from ._options import check_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random
    from types import TracebackType

    from ._backoff import Backoff
    from ._graveyard import Burial, Graveyard
    from ._item import Item
    from ._lane import Lane
    from ._pacers import Gate, Pacer
    from ._stats import Stats

T = TypeVar("T")

logger = logging.getLogger("tollbar.dispatch")

_SYSTEM_CLOCK = SystemClock()


class ThreadDispatchQueue(Generic[T]):
    """The same as `DispatchQueue`, for threads: the same options, names, results, and books.

    What is different:

    - `handler` is a plain function, called in `concurrency` threads a worker, which are daemons. Pacers are
      entered by a plain `with`, by several threads at once.
    - A thread cannot be cancelled. When the `timeout` of `stop` is over, items in flight are handed back
      while their calls go on; what becomes of these is counted as `late` and otherwise ignored.
    - Hooks are called in the workers' threads, several at once, without a lock held.
    - `clock` tells time and waits; a test gives one that does not wait.

    Every method may be called from any thread, and takes one lock, never across a wait, a handler or a hook.
    """

    def __init__(
        self,
        handler: Callable[[Item[T]], object],
        workers: Mapping[str, Pacer | None],
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
        clock: Clock = _SYSTEM_CLOCK,
    ) -> None:
        if not callable(handler) or inspect.iscoroutinefunction(handler):
            raise TypeError(f"handler: must be a plain function of one item, got {handler!r}")
        self._books: Books[T] = Books(
            workers,
            clock.time,
            tasks=False,
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
        self._clock = clock
        self._ledger = self._books.ledger
        # One lock for the books. Workers wait for items, putters for room, joiners for quiet, `stop` for the
        # workers' end.
        self._lock = threading.Lock()
        lanes = self._ledger.lanes.all
        self._bells: dict[Lane[T], threading.Condition] = {lane: self._condition() for lane in lanes}
        # Who waits for room, each with a condition of his own: nobody overtakes, nobody starves.
        self._room: dict[Lane[T], deque[threading.Condition]] = {lane: deque() for lane in lanes}
        self._idle = self._condition()
        self._end = self._condition()
        # Threads that have settled an item and are telling the hooks of it.
        self._telling = 0
        self._stopped = False

    @property
    def graveyard(self) -> Graveyard[T]:
        """Where the buried are."""
        return self._ledger.graveyard

    @property
    def handed_back(self) -> list[Item[T]]:
        """What `stop` handed back so far: a copy, and there even if `stop` was interrupted."""
        with self._lock:
            return list(self._ledger.handed_back)

    def worker_of(self, key: str) -> str:
        """Tell which worker a key is bound to under `sticky`: the one of that name, else one by its bytes."""
        return self._ledger.lanes.worker_of(key)

    def stats(self) -> Stats:
        """Tell counts, sizes and latencies now. Sorts a thousand numbers, without the lock."""
        with self._lock:
            read = self._books.stats()
        return self._books.finish(read)

    def start(self) -> None:
        """Start the workers. RuntimeError if they were started before. `with` does it, too.

        If the system has no thread left, its error is raised: the queue works with those that it got, and is
        closed if a lane got none.
        """
        threads, lanes = [], []
        with self._lock:
            if self._books.started is not None:
                raise RuntimeError("the queue was started before: make another one")
            self._books.started = self._clock.time()
            for name, gate in self._books.gates.items():
                for number in range(self._books.concurrency):
                    title = f"dispatch {name} {number}"
                    threads.append(
                        threading.Thread(target=self._work, args=(name, gate), name=title, daemon=True)
                    )
                    lanes.append(self._ledger.lanes.of_worker(name))
                    self._books.staff[lanes[-1]] += 1
            if self._books.log_interval is not None:
                arguments = (self._books.log_interval, self._books.finish(self._books.stats()))
                threads.append(
                    threading.Thread(target=self._report, args=arguments, name="dispatch log", daemon=True)
                )
        for number, thread in enumerate(threads):
            try:
                thread.start()
            except RuntimeError:  # noqa: PERF203 - once a thread
                for lane in lanes[number:]:
                    self._worker_ended(lane)
                raise

    def put(
        self, payload: T, *, key: str | None = None, ttl: float | None = None, timeout: float | None = None
    ) -> Item[T]:
        """Accept an item, waiting in line for room if there is none; before `start`, too.

        `key` names whose it is, and binds it to a worker under `sticky` (TypeError without one); `ttl` is in
        seconds, None the queue's own. QueueStopped if the queue is being stopped, also while this waits;
        QueueFull if there was no room for `timeout` seconds. Interrupted while it waits, nothing was
        accepted.
        """
        check_seconds("ttl", ttl)
        check_seconds("timeout", timeout, zero=True)
        lane = self._ledger.lanes.of_key(key)
        until = self._until(timeout)
        with self._lock:
            line = self._room[lane]
            if self._ledger.accepting and (line or not self._ledger.has_room(lane)):
                ticket = self._condition()
                line.append(ticket)
                try:
                    while self._ledger.accepting and not (line[0] is ticket and self._ledger.has_room(lane)):
                        left = self._left(until)
                        if left is not None and left <= 0:
                            raise QueueFull(
                                f"the queue is full: no room in {timeout} s, maxsize {self._ledger.maxsize}"
                            )
                        self._clock.wait(ticket, left)
                finally:
                    line.remove(ticket)
                    self._call_next(lane)
            return self._accept(payload, key, ttl)

    def put_nowait(self, payload: T, *, key: str | None = None, ttl: float | None = None) -> Item[T]:
        """Accept an item now or raise QueueFull; otherwise as `put`."""
        check_seconds("ttl", ttl)
        with self._lock:
            return self._accept(payload, key, ttl)

    def join(self) -> None:
        """Wait until every accepted item has reached its end and the hooks were told.

        QueueStopped if no worker is left to see to it.
        """
        with self._lock:
            while self._ledger.unsettled or self._telling:
                if self._books.deserted:
                    raise QueueStopped(
                        f"a last worker has ended, and {self._ledger.unsettled} items are left"
                    )
                self._wait(self._idle, None)

    def stop(self, *, drain: bool = True, timeout: float | None = None) -> list[Item[T]]:
        """Accept nothing more, end the workers, and hand back what is left, dead letters first.

        With `drain` it first waits until everything has reached its end, retries included. Without, or when
        `timeout` seconds are over, all that waits is handed back, in the main queue, for a further try, or
        for a pacer. Calls in flight are waited for, and what fails now is handed back instead of tried again;
        when `timeout` is over they are handed back, though they go on.

        May be called again and from several threads, but not from a handler or a hook, which would wait for
        itself; all get the same items. If it is interrupted, call it again: nothing is lost.
        """
        check_seconds("timeout", timeout, zero=True)
        until = self._until(timeout)
        with self._lock:
            self._close()
            if drain:
                self._quiet(until, lambda: self._books.started is None or self._books.deserted)
            self._ledger.stop_retrying()
            self._quiet(until, lambda: not self._books.alive)
            for item in list(self._ledger.flying):
                self._ledger.abandon(item)
            self._stopped = True
            for condition in (*self._bells.values(), self._idle, self._end):
                condition.notify_all()
            # Those whose items were taken from them may still wait for their pacers.
            while self._books.alive and (until is None or self._clock.time() < until):
                self._wait(self._end, self._left(until))
            if self._books.ended is None and self._books.started is not None:
                self._books.ended = self._clock.time()
        return self.handed_back

    def __enter__(self) -> ThreadDispatchQueue[T]:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop: drained, or after an exception without; what is left is in `handed_back`."""
        self.stop(drain=kind is None)

    def _condition(self) -> threading.Condition:
        return threading.Condition(self._lock)

    def _until(self, timeout: float | None) -> float | None:
        return None if timeout is None else self._clock.time() + timeout

    def _left(self, until: float | None) -> float | None:
        return None if until is None else until - self._clock.time()

    def _wait(self, condition: threading.Condition, timeout: float | None) -> None:
        try:
            self._clock.wait(condition, timeout)
        except BaseException:
            condition.notify()  # the wake-up that this one may have got is another's now
            raise

    def _accept(self, payload: T, key: str | None, ttl: float | None) -> Item[T]:
        item = self._ledger.accept(payload, key, ttl)
        self._bells[self._ledger.lanes.of_key(key)].notify()
        return item

    def _call_next(self, lane: Lane[T]) -> None:
        """Let the first in line look again."""
        if self._room[lane]:
            self._room[lane][0].notify()

    def _close(self) -> None:
        self._ledger.close()
        for line in self._room.values():
            for ticket in line:
                ticket.notify()

    def _quiet(self, until: float | None, hopeless: Callable[[], bool]) -> None:
        """Wait until no item is left and the hooks were told, or it is hopeless, or the time is over."""
        while (self._ledger.unsettled or self._telling) and not hopeless():
            left = self._left(until)
            if left is not None and left <= 0:
                return
            self._wait(self._idle, left)

    def _work(self, name: str, gate: Gate) -> None:
        try:
            while (item := self._next(name)) is not None:
                self._serve(gate, item)
        except BaseException:
            logger.exception("%s has ended", threading.current_thread().name)
        finally:
            self._worker_ended(self._ledger.lanes.of_worker(name))

    def _worker_ended(self, lane: Lane[T]) -> None:
        with self._lock:
            self._books.staff[lane] -= 1
            if not self._books.staff[lane]:
                if not self._stopped:
                    logger.error("a last worker has ended, and %d items are left", self._ledger.unsettled)
                # Nobody would ever take another item.
                self._close()
                self._idle.notify_all()
                self._end.notify_all()

    def _next(self, name: str) -> Item[T] | None:
        """Wait for this worker's next item; None when it is to end."""
        lane = self._ledger.lanes.of_worker(name)
        while True:
            with self._lock:
                if self._stopped:
                    return None
                item = self._ledger.take(name)
                self._call_next(lane)
                buried = bool(self._ledger.unannounced)
                if item is None and not buried:
                    self._wait(self._bells[lane], self._left(lane.next_due()))
                    continue
                self._telling += buried
            try:
                if buried:
                    self._tell()
            except BaseException:
                if item is not None:
                    with self._lock:
                        self._ledger.release(item)
                        self._bells[lane].notify()
                raise
            if item is not None:
                return item

    def _serve(self, gate: Gate, item: Item[T]) -> None:
        """See one try through."""
        call = Call()
        error: BaseException | None = None
        try:
            self._call(gate, item, call)
        except BaseException as raised:  # noqa: BLE001 - SystemExit, too, is what the call came to
            error = raised
        with self._lock:
            done = self._books.book(gate, item, call, error)
            if not item.state.final:
                self._bells[self._ledger.lanes.of_key(item.key)].notify()
            self._telling += 1
        self._tell((item, call.result) if done else None)

    def _tell(self, done: tuple[Item[T], object] | None = None) -> None:
        """Tell the hooks, then those who wait for the last item's end, if that was it."""
        try:
            if done is not None:
                self._books.announce_done(*done)
            self._books.announce_burials()
        finally:
            with self._lock:
                self._telling -= 1
                if not self._ledger.unsettled and not self._telling:
                    self._idle.notify_all()

    def _call(self, gate: Gate, item: Item[T], call: Call) -> None:
        with gate.acquire(item):
            with self._lock:
                call.begun = self._ledger.begin(item)
            if not call.begun:
                return
            try:
                call.result = self._handler(item)
                call.finished = True
            except Rejected as error:
                call.error = error
                gate.tell(error)  # and no more: to the pacer this is an answer as any other
            except BaseException as error:
                call.error = error
                raise

    def _report(self, interval: float, told: Stats) -> None:
        while True:
            with self._lock:
                until = self._clock.time() + interval
                while not self._stopped and (left := until - self._clock.time()) > 0:
                    self._wait(self._end, left)
                if self._stopped:
                    return
            told = self._books.log(self.stats(), told)
