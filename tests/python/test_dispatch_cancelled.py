"""The asyncio form in virtual time: cancelled calls and workers, a cancellation at every step, chaos."""

import asyncio
import contextlib
import random
from collections import Counter

import pytest

import virtual_time
from forms import SlowPacer, quick, settled, workers_of

pytest.importorskip("tenacity", reason="the default backoff needs tenacity")

from tollbar.dispatch import DispatchQueue, GiveUp, QueueStopped, Reason, Retry


def test_a_worker_that_is_cancelled_when_it_was_called_passes_the_call_on():
    async def scenario():
        async with DispatchQueue(quick, {"a": None, "b": None}) as queue:
            await asyncio.sleep(1)
            queue.put_nowait("x")
            workers_of(queue)[0].cancel()
            await queue.join()
        return queue

    assert settled(virtual_time.run(scenario())).done == 1


def test_a_cancelled_worker_gives_back_what_it_has_not_begun():
    async def scenario():
        queue = DispatchQueue(quick, {"a": SlowPacer(10.0), "b": None})
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
        queue = DispatchQueue(quick, {"a": SlowPacer(10.0)}, maxsize=2)
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
            handler, {"a": SlowPacer(0.3), "b": SlowPacer(0.2)}, maxsize=3, backoff=lambda *_: 0.7, ttl=60.0
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
            {f"worker {number}": SlowPacer(0.02) if number % 2 else None for number in range(8)},
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
