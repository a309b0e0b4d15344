"""What both forms of the queue share: their options, the hooks, and how the outcome of a call is booked."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._backoff import Backoff, full_jitter
from ._graveyard import Burial, Graveyard
from ._item import State
from ._ledger import Ledger
from ._options import check_hook, check_seconds, check_whole, check_workers
from ._pacers import Gate
from ._stats import Latencies, Stats, counts_of, describe, latency_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._item import Item
    from ._lane import Lane

T = TypeVar("T")

logger = logging.getLogger("tollbar.dispatch")


@dataclass(slots=True)
class Call:
    """What came of one call, kept apart from what leaving the pacer may raise.

    `begun`: its pacer let it pass, and the item was still the worker's to try.
    """

    begun: bool = False
    finished: bool = False
    result: Any = None
    error: BaseException | None = None


class Books(Generic[T]):
    """The options of a queue and its ledger. Not for use by itself."""

    def __init__(
        self,
        workers: Mapping[str, Any],
        clock: Callable[[], float],
        *,
        tasks: bool,
        maxsize: int,
        concurrency: int,
        sticky: bool,
        ttl: float | None,
        max_tries: int,
        backoff: Backoff | None,
        random: Random | None,
        graveyard: Graveyard[T] | None,
        on_done: Callable[[Item[T], Any], object] | None,
        on_bury: Callable[[Burial[T]], object] | None,
        log_interval: float | None,
    ) -> None:
        check_workers(workers, tasks=tasks)
        check_whole("maxsize", maxsize)
        check_whole("concurrency", concurrency)
        check_whole("max_tries", max_tries)
        check_seconds("ttl", ttl)
        check_seconds("log_interval", log_interval)
        check_hook("on_done", on_done)
        check_hook("on_bury", on_bury)
        if backoff is None and max_tries > 1:
            backoff = full_jitter()
        elif backoff is not None and not callable(backoff):
            raise TypeError(f"backoff: must be a function of tries and random generator, got {backoff!r}")
        self.gates = {name: Gate(pacer) for name, pacer in workers.items()}
        self.concurrency = concurrency
        self.log_interval = log_interval
        self.ledger: Ledger[T] = Ledger(
            list(workers),
            maxsize=maxsize,
            sticky=sticky,
            ttl=ttl,
            max_tries=max_tries,
            backoff=backoff or (lambda _tries, _random: 0.0),
            random=random or Random(),
            graveyard=Graveyard() if graveyard is None else graveyard,
            clock=clock,
        )
        self._on_done = on_done
        self._on_bury = on_bury
        self._latencies = Latencies()
        self._hook_errors = 0
        # How many workers take from each lane.
        self.staff: dict[Lane[T], int] = dict.fromkeys(self.ledger.lanes.all, 0)
        self.started: float | None = None
        self.ended: float | None = None

    @property
    def alive(self) -> int:
        """How many workers there are."""
        return sum(self.staff.values())

    @property
    def deserted(self) -> bool:
        """There is a lane whose last worker has ended: what waits there would wait for ever."""
        return self.started is not None and not all(self.staff.values())

    def book(self, gate: Gate, item: Item[T], call: Call, error: BaseException | None) -> bool:
        """Enter what came of a try: `error` is what left it. True if the item is done now."""
        ledger = self.ledger
        if not call.begun and item.state is not State.HELD:
            # It expired or was handed back before the handler had it. Nobody was called, so nothing is late,
            # whatever the pacer raised meanwhile.
            return False
        if call.finished:
            # The answer is here. Whatever the pacer made of it afterwards must not have the call made again.
            if error is not None:
                logger.error("the pacer of %s failed after item %d", item.worker, item.number, exc_info=error)
            if ledger.succeed(item):
                self._latencies.add(ledger.clock() - item.accepted)
                return True
            return False
        error = call.error or error
        if error is not None:
            if call.error is None and gate.gave_out(item, error):
                ledger.expire(item)
            else:
                ledger.fail(item, error)
        return False

    def announce_done(self, item: Item[T], result: object) -> None:
        """Tell the hook; the books are closed by then, so nothing that it raises can harm them."""
        self._call(self._on_done, item, result)

    def announce_burials(self) -> None:
        """Tell the hook of everyone buried since the last time."""
        unannounced = self.ledger.unannounced
        while unannounced:
            try:
                burial = unannounced.popleft()
            except IndexError:  # another thread was quicker
                return
            self._call(self._on_bury, burial)

    def _call(self, hook: Callable[..., object] | None, *arguments: object) -> None:
        if hook is None:
            return
        try:
            hook(*arguments)
        except Exception:
            self._hook_errors += 1
            logger.exception("a hook failed")

    def stats(self) -> tuple[dict[str, int], list[float], float]:
        """Read everything that must be read at one moment; `finish` makes a Stats of it."""
        seconds = 0.0
        if self.started is not None:
            seconds = (self.ledger.clock() if self.ended is None else self.ended) - self.started
        return counts_of(self.ledger), self._latencies.copy(), seconds

    def finish(self, read: tuple[dict[str, int], list[float], float]) -> Stats:
        """Do the sorting, where nobody waits for it."""
        counts, latencies, seconds = read
        return Stats(
            **counts,
            hook_errors=self._hook_errors,
            workers=self.alive,
            seconds=seconds,
            latency=latency_of(latencies),
        )

    def log(self, now: Stats, before: Stats) -> Stats:
        """Log one line of statistics, and give back what the next one is compared with."""
        logger.info("%s", describe(now, before))
        return now
