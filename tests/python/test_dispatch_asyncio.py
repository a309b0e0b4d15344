"""The asyncio form in virtual time: room, stopping, cancellation at every step, hostile keys, chaos."""

import asyncio
import contextlib
import random
from collections import Counter

import pytest

import virtual_time
from forms import settled

pytest.importorskip("tenacity", reason="the default backoff needs tenacity")

from tollbar.dispatch import (
    DispatchQueue,
    GiveUp,
    QueueFull,
    QueueStopped,
    Reason,
    Retry,
    State,
)
from tollbar.dispatch._waiters import Line


class Pacer:
    """Lets one call pass each so many seconds of the loop's time."""

    def __init__(self, interval):
        self.interval = interval
        self.next = 0.0

    @contextlib.asynccontextmanager
    async def acquire(self):
        now = asyncio.get_running_loop().time()
        self.next = max(self.next, now) + self.interval
        await asyncio.sleep(self.next - now)
        try:
            yield
        finally:
            await asyncio.sleep(0)


def workers_of(queue):
    return sorted(queue._tasks, key=lambda task: task.get_name())


async def quick(item):
    return item.payload


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


def test_a_worker_that_is_cancelled_when_it_was_called_passes_the_call_on():
    async def scenario():
        async with DispatchQueue(quick, {"a": None, "b": None}) as queue:
            await asyncio.sleep(1)
            queue.put_nowait("x")
            workers_of(queue)[0].cancel()
            await queue.join()
        return queue

    assert settled(virtual_time.run(scenario())).done == 1


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
        queue = DispatchQueue(handler, {"a": Pacer(1_000.0)})
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


def test_a_cancelled_worker_gives_back_what_it_has_not_begun():
    async def scenario():
        queue = DispatchQueue(quick, {"a": Pacer(10.0), "b": None})
        await queue.put("x")
        await queue.start()
        await asyncio.sleep(1.0)
        assert queue.stats().in_flight == 1
        workers_of(queue)[0].cancel()
        await queue.join()
        assert queue.stats().workers == 1
        await queue.stop()
        return queue

    stats = settled(virtual_time.run(scenario()))
    assert (stats.done, stats.tries) == (1, 1)


def test_without_workers_nobody_waits_for_ever(caplog):
    async def scenario():
        queue = DispatchQueue(quick, {"a": Pacer(10.0)}, maxsize=2)
        await queue.start()
        await asyncio.sleep(1.0)
        joining = [await queue.put(number) for number in range(2)]
        await asyncio.sleep(1.0)
        await queue.put(3)
        waits = asyncio.create_task(queue.put(4))
        joins = asyncio.create_task(queue.join())
        await asyncio.sleep(1.0)
        workers_of(queue)[0].cancel()
        await asyncio.wait({waits, joins})
        for task in (waits, joins):
            with pytest.raises(QueueStopped):
                task.result()
        left = await queue.stop()
        assert [item.payload for item in left] == [0, 1, 3]
        return queue, joining

    queue, _ = virtual_time.run(scenario())
    assert settled(queue).handed_back == 3
    assert "a last worker has ended, and 3 items are left" in caplog.text


def test_a_key_without_a_worker_waits_no_more_than_a_queue_without():
    async def scenario():
        queue = DispatchQueue(quick, {"a": None, "b": None}, sticky=True)
        async with queue:
            await asyncio.sleep(1.0)
            workers_of(queue)[0].cancel()
            queue.put_nowait("x", key="a")
            with pytest.raises(QueueStopped, match="1 items are left"):
                await queue.join()
            with pytest.raises(QueueStopped):
                await queue.put("y", key="b")
        return queue

    assert settled(virtual_time.run(scenario())).handed_back == 1


def test_a_handler_that_is_cancelled_from_within_has_failed():
    async def handler(item):
        if item.tries == 1:
            asyncio.current_task().cancel()
            await asyncio.sleep(1.0)
        raise asyncio.CancelledError

    async def scenario():
        async with DispatchQueue(handler, {"a": None}, max_tries=2) as queue:
            await queue.put("x")
        return queue

    queue = virtual_time.run(scenario())
    assert [(burial.reason, burial.item.tries) for burial in queue.graveyard] == [(Reason.TRIES, 2)]


@pytest.mark.parametrize("victim", ["worker", "putter", "joiner", "stopper", "call"])
def test_a_cancellation_at_any_step_keeps_the_books(victim):
    """Run the same traffic again and again, and cancel one step later each time."""

    async def handler(item):
        await asyncio.sleep(0.5)
        if item.payload % 3 == 0 and item.tries == 1:
            raise RuntimeError
        await asyncio.sleep(0)

    async def scenario(steps):
        queue = DispatchQueue(
            handler, {"a": Pacer(0.3), "b": Pacer(0.2)}, maxsize=3, backoff=lambda *_: 0.7, ttl=60.0
        )

        async def produce():
            for number in range(12):
                await queue.put(number)

        await queue.start()
        tasks = {"putter": asyncio.create_task(produce()), "joiner": asyncio.create_task(queue.join())}
        tasks["worker"] = workers_of(queue)[0]
        if victim == "stopper":
            await asyncio.sleep(1.0)
            tasks["stopper"] = asyncio.create_task(queue.stop(timeout=1.0))
        for step in range(steps):
            # Some steps of the loop, and now and then some of time.
            await asyncio.sleep(0.05 if step % 4 == 0 else 0)
        if victim == "call":
            tasks["call"] = next(iter(queue._calls.values()), None)
        alive = tasks[victim] is not None and tasks[victim].cancel()
        await asyncio.sleep(0)
        left = await queue.stop(timeout=steps % 3)
        tasks["putter"].cancel()
        await asyncio.wait({task for task in tasks.values() if task is not None})
        for name in ("putter", "joiner"):
            assert tasks[name].cancelled() or isinstance(tasks[name].exception(), QueueStopped | None)
        stats = settled(queue)
        ends = [item.number for item in left] + [burial.item.number for burial in queue.graveyard]
        assert len(set(ends)) == len(ends)
        assert len(ends) + stats.done == stats.accepted
        assert stats.late == 0
        return alive

    assert sum(virtual_time.run(scenario(steps)) for steps in range(150)) > 25


def test_one_hostile_key_slows_only_those_who_share_its_worker():
    done = {}

    async def handler(item):
        done.setdefault(item.key, []).append(asyncio.get_running_loop().time())

    async def scenario(*, sticky):
        done.clear()
        workers = {name: Pacer(1.0) for name in ("a", "b", "c", "d")}
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


@pytest.mark.parametrize("seed", range(3))
def test_chaos_balances(seed):
    """Ten thousand items; failures, time-outs, cancellations, killed workers, a stop in the middle."""
    generator = random.Random(seed)
    ends = Counter()

    async def handler(item):
        await asyncio.sleep(generator.random() * 0.2)
        fate = generator.random()
        if fate < 0.2:
            raise RuntimeError
        if fate < 0.25:
            raise GiveUp
        if fate < 0.3:
            raise Retry(after=generator.random())
        if fate < 0.35:
            await asyncio.wait_for(asyncio.sleep(10.0), 0.01)
        if fate < 0.37:
            raise asyncio.CancelledError

    async def scenario():
        queue = DispatchQueue(
            handler,
            {f"worker {number}": Pacer(0.02) if number % 2 else None for number in range(8)},
            maxsize=200,
            concurrency=5,
            sticky=seed == 2,
            ttl=2.0,
            max_tries=3,
            random=generator,
            on_done=lambda item, _: ends.update([item.number]),
            on_bury=lambda burial: ends.update([burial.item.number]),
        )
        accepted = []

        async def produce(producer):
            for number in range(2_500):
                put = queue.put(number, key=f"key {producer} {number % 17}")
                if generator.random() < 0.05:
                    with contextlib.suppress(asyncio.TimeoutError):
                        accepted.append(await asyncio.wait_for(put, generator.random() * 0.1))
                else:
                    accepted.append(await put)

        async def cancel_calls():
            while True:
                await asyncio.sleep(0.05)
                if queue._calls:
                    generator.choice(list(queue._calls.values())).cancel()

        await queue.start()
        producers = [asyncio.create_task(produce(number)) for number in range(4)]
        canceller = asyncio.create_task(cancel_calls())
        await asyncio.sleep(5.0)
        for worker in generator.sample(workers_of(queue), 3):
            worker.cancel()
        while queue.stats().accepted < 9_000:
            await asyncio.sleep(0.1)
        left = await queue.stop(drain=seed == 1, timeout=0.15)
        canceller.cancel()
        await asyncio.wait({*producers, canceller})
        assert any(isinstance(producer.exception(), QueueStopped) for producer in producers)
        ends.update(item.number for item in left)
        return queue, accepted, left

    queue, accepted, left = virtual_time.run(scenario())
    stats = settled(queue)
    assert ends == Counter(item.number for item in accepted)
    assert (len(ends), stats.late) == (stats.accepted, 0)
    assert all(item.state.final for item in accepted)
    assert min(stats.done, stats.buried, len(left), stats.retries, stats.expired) > 0
