"""The asyncio form in virtual time: room, stopping, hostile keys."""

import asyncio
import contextlib

import pytest

import virtual_time
from forms import SlowPacer, quick, settled

pytest.importorskip("tenacity", reason="the default backoff needs tenacity")

from tollbar.dispatch import DispatchQueue, QueueFull, QueueStopped, Retry, State
from tollbar.dispatch._waiters import Line


def test_putters_wait_for_room_in_turn_and_a_cancelled_one_passes_its_place_on():
    released = asyncio.Event()

    async def handler(_item):
        await released.wait()

    async def scenario():
        queue = DispatchQueue(handler, {"a": None}, maxsize=1)
        await queue.put(0)
        putters = [asyncio.create_task(queue.put(number)) for number in range(1, 5)]
        await asyncio.sleep(1)
        assert queue.stats().accepted == 1
        await queue.start()
        # The worker takes 0, which wakes the first putter; it is cancelled before it gets to run.
        while queue.stats().in_flight == 0:
            await asyncio.sleep(0)
        putters[0].cancel()
        await asyncio.sleep(1)
        assert [putter.done() for putter in putters] == [True, True, False, False]
        assert putters[0].cancelled()
        released.set()
        await asyncio.wait(putters)
        await queue.stop()
        return queue, putters

    queue, putters = virtual_time.run(scenario())
    assert settled(queue).done == 4
    assert [putter.result().payload for putter in putters[1:]] == [2, 3, 4]


def test_who_comes_later_does_not_overtake_who_was_called():
    async def scenario():
        line, order, room = Line(), [], []

        async def come(name):
            await line.turn(ready=lambda: room, over=lambda: False)
            order.append(name)

        first = asyncio.create_task(come("first"))
        await asyncio.sleep(0)
        room.append("there is some now")
        line.wake()
        await come("newcomer")
        await first
        return order

    assert virtual_time.run(scenario()) == ["first", "newcomer"]


def test_a_put_that_waits_is_told_when_the_queue_stops():
    async def scenario():
        queue = DispatchQueue(quick, {"a": None}, maxsize=1)
        await queue.put(0)
        waiting = asyncio.create_task(queue.put(1))
        await asyncio.sleep(1)
        await queue.stop()
        with pytest.raises(QueueStopped, match="nothing more is accepted"):
            await waiting
        return queue

    assert settled(virtual_time.run(scenario())).handed_back == 1


def test_a_dead_letter_takes_room_until_its_next_try():
    async def handler(item):
        if item.tries == 1:
            raise Retry(after=100.0)

    async def scenario():
        async with DispatchQueue(handler, {"a": None}, maxsize=1) as queue:
            await queue.put(0)
            await asyncio.sleep(50.0)
            with pytest.raises(QueueFull):
                queue.put_nowait(1)
            await queue.put(1)
            assert asyncio.get_running_loop().time() == 1_100.0
        return queue

    assert settled(virtual_time.run(scenario())).done == 2


def test_a_dead_letter_is_tried_when_due_though_its_worker_is_busy():
    """The wake-up for a new item must not leave a sleeping worker without the dead letter's timer."""
    times = {}

    async def handler(item):
        times.setdefault(item.payload, []).append(asyncio.get_running_loop().time())
        if item.payload == "dead" and item.tries == 1:
            raise Retry(after=10.0)
        if item.payload == "long":
            await asyncio.sleep(1_000.0)

    async def scenario():
        async with DispatchQueue(handler, {"a": None, "b": None}, backoff=lambda *_: 0.0) as queue:
            await asyncio.sleep(1)
            await queue.put("dead")
            await asyncio.sleep(1)
            await queue.put("long")
        return queue

    virtual_time.run(scenario())
    first, second = times["dead"]
    assert second - first == 10.0


def test_stop_during_backoff_hands_back_at_once():
    async def handler(_item):
        raise RuntimeError

    async def scenario():
        queue = DispatchQueue(handler, {"a": None}, backoff=lambda *_: 10_000.0)
        async with queue:
            await queue.put("x")
            await asyncio.sleep(5.0)
            assert queue.stats().dead_letters == 1
            left = await queue.stop(drain=False)
            assert asyncio.get_running_loop().time() == 1_005.0
        return queue, left

    queue, left = virtual_time.run(scenario())
    assert [(item.payload, item.tries, item.state) for item in left] == [("x", 1, State.HANDED_BACK)]
    assert settled(queue).handed_back == 1


def test_stop_that_drains_waits_for_further_tries():
    async def handler(item):
        if item.tries < 3:
            raise RuntimeError

    async def scenario():
        queue = DispatchQueue(handler, {"a": None}, backoff=lambda *_: 100.0)
        await queue.start()
        await queue.put("x")
        await asyncio.sleep(1.0)
        assert await queue.stop() == []
        return queue

    assert settled(virtual_time.run(scenario())).done == 1


@pytest.mark.parametrize("fails", [False, True])
def test_stop_waits_for_calls_and_hands_back_those_that_fail(fails):
    async def handler(_item):
        await asyncio.sleep(7.0)
        if fails:
            raise RuntimeError

    async def scenario():
        queue = DispatchQueue(handler, {"a": None})
        await queue.start()
        await queue.put("x")
        await asyncio.sleep(1.0)
        await queue.stop(drain=False)
        assert asyncio.get_running_loop().time() == 1_007.0
        return queue

    stats = settled(virtual_time.run(scenario()))
    assert (stats.done, stats.handed_back) == ((0, 1) if fails else (1, 0))


def test_stop_cancels_calls_when_its_time_is_over_and_believes_those_that_end_well():
    async def handler(item):
        try:
            await asyncio.sleep(1_000.0)
        except asyncio.CancelledError:
            if item.payload == "ends well":
                return
            raise

    async def scenario():
        queue = DispatchQueue(handler, {"a": None}, concurrency=2, max_tries=1)
        await queue.start()
        await queue.put("ends well")
        await queue.put("ends badly")
        await queue.put("was not begun")
        await asyncio.sleep(1.0)
        left = await queue.stop(timeout=5.0)
        assert asyncio.get_running_loop().time() == 1_006.0
        return queue, left

    queue, left = virtual_time.run(scenario())
    # Handed back and not buried, though it had no further try: it was stopped and did not fail.
    assert sorted(item.payload for item in left) == ["ends badly", "was not begun"]
    stats = settled(queue)
    assert (stats.done, stats.handed_back, stats.late) == (1, 2, 0)


def test_stop_takes_back_what_waits_for_a_pacer():
    called = []

    async def handler(item):
        called.append(item.payload)

    async def scenario():
        queue = DispatchQueue(handler, {"a": SlowPacer(1_000.0)})
        await queue.start()
        await queue.put("x")
        await asyncio.sleep(1.0)
        left = await queue.stop(drain=False)
        assert asyncio.get_running_loop().time() == 1_001.0
        return queue, left

    queue, left = virtual_time.run(scenario())
    assert [(item.payload, item.tries) for item in left] == [("x", 0)]
    assert called == []
    assert settled(queue).late == 0


@pytest.mark.parametrize("error", [TimeoutError, OSError])
def test_a_pacer_that_fails_after_its_item_was_taken_back_is_not_a_late_call(error):
    class Pacer:
        @contextlib.asynccontextmanager
        async def acquire(self, timeout_ms=0):
            try:
                await asyncio.sleep(1_000.0)
            except asyncio.CancelledError:
                raise error from None
            yield

    async def scenario():
        queue = DispatchQueue(quick, {"a": Pacer()}, ttl=2_000.0)
        await queue.start()
        item = await queue.put("x")
        await asyncio.sleep(1.0)
        assert await queue.stop(drain=False) == [item]
        return queue, item

    queue, item = virtual_time.run(scenario())
    stats = settled(queue)
    assert (stats.late, stats.tries, item.error) == (0, 0, None)


def test_one_hostile_key_slows_only_those_who_share_its_worker():
    done = {}

    async def handler(item):
        done.setdefault(item.key, []).append(asyncio.get_running_loop().time())

    async def scenario(*, sticky):
        done.clear()
        workers = {name: SlowPacer(1.0) for name in ("a", "b", "c", "d")}
        queue = DispatchQueue(handler, workers, sticky=sticky, maxsize=50)
        await queue.start()

        async def flood():
            while True:
                await queue.put("again and again", key="hostile")

        flooding = asyncio.create_task(flood())
        await asyncio.sleep(10.0)
        asked = asyncio.get_running_loop().time()
        peaceful = next(
            f"key {number}"
            for number in range(100)
            if queue.worker_of(f"key {number}") != queue.worker_of("hostile")
        )
        await queue.put("once", key=peaceful)
        while peaceful not in done:
            await asyncio.sleep(0.5)
        flooding.cancel()
        await queue.stop(drain=False)
        assert settled(queue).handed_back > 0
        return done[peaceful][0] - asked

    assert virtual_time.run(scenario(sticky=True)) <= 1.0
    # The test can tell: without, the peaceful key waits for the flood before it.
    assert virtual_time.run(scenario(sticky=False)) > 10.0


def test_a_queue_belongs_to_one_loop():
    made = []

    async def first():
        made.append(DispatchQueue(quick, {"a": None}))
        await made[0].put(1)

    async def second():
        with pytest.raises(RuntimeError, match="another event loop"):
            await made[0].put(2)
        with pytest.raises(RuntimeError, match="another event loop"):
            await made[0].start()

    virtual_time.run(first())
    virtual_time.run(second())
    assert made[0].stats().accepted == 1
