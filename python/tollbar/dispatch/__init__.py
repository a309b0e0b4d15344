"""A queue whose workers pace themselves, and that loses nothing it has accepted.

`DispatchQueue` is the asyncio form, `ThreadDispatchQueue` the thread form; names and results are the same. A
bounded main queue holds producers back; each worker asks its pacer before it calls; what fails is a dead
letter that is tried again after a backoff with full jitter; what has had its last try, or has expired, is in
the graveyard; `stop` drains, or hands back what is left.

    import asyncio
    from tollbar.dispatch import DispatchQueue, Item, Retry

    async def send(item: Item[str]) -> None:
        if item.tries == 1:
            raise Retry("not yet", after=0.01)
        print(item.worker, "sent", item.payload)

    async def main() -> None:
        async with DispatchQueue(send, {"key-a": None, "key-b": None}, ttl=5.0) as queue:
            for number in range(4):
                await queue.put(f"message {number}")
        print(queue.stats().done, "done,", len(queue.graveyard), "buried")

    asyncio.run(main())

The default backoff needs tenacity: `pip install 'tollbar[dispatch]'`.
"""

from ._asyncio import DispatchQueue
from ._backoff import Backoff, full_jitter
from ._clock import Clock, SystemClock
from ._errors import GiveUp, QueueFull, QueueStopped, Rejected, Retry
from ._graveyard import Burial, Graveyard
from ._item import Item, Reason, State
from ._pacers import AsyncPacer, Pacer
from ._stats import Latency, Stats
from ._threads import ThreadDispatchQueue

__all__ = [
    "AsyncPacer",
    "Backoff",
    "Burial",
    "Clock",
    "DispatchQueue",
    "GiveUp",
    "Graveyard",
    "Item",
    "Latency",
    "Pacer",
    "QueueFull",
    "QueueStopped",
    "Reason",
    "Rejected",
    "Retry",
    "State",
    "Stats",
    "SystemClock",
    "ThreadDispatchQueue",
    "full_jitter",
]
