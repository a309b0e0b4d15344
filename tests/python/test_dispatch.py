"""The dispatch queue, both forms: tries and their ends, time to live, pacers, hooks, stopping."""

import asyncio
import contextlib
import math
import queue as threads_queue

import pytest

from forms import FORMS, Fails, Highest, settled

pytest.importorskip("tenacity", reason="the default backoff needs tenacity")

from tollbar.dispatch import (
    GiveUp,
    QueueFull,
    QueueStopped,
    Reason,
    Rejected,
    Retry,
    State,
)


@pytest.fixture(params=FORMS, ids=lambda form: form.__name__)
def form(request):
    return request.param()


class Pacer:
    """Lets everything pass, and writes down what happens."""

    def __init__(self):
        self.events = []

    @contextlib.contextmanager
    def acquire(self):
        self.events.append("enter")
        try:
            yield
        except BaseException:
            self.events.append("left by an error")
            raise
        self.events.append("leave")

    def record_rejected(self, retry_after):
        self.events.append(("rejected", retry_after))


def test_everything_is_done_in_the_order_of_acceptance(form):
    seen, told = [], []

    async def scenario():
        queue = form.queue(
            lambda item: seen.append(item.payload) or item.payload * 2,
            on_done=lambda item, result: told.append((item.number, result)),
        )
        async with queue:
            items = [await queue.put(number) for number in range(50)]
            await queue.join()
            assert all(item.state is State.DONE for item in items)
        return queue

    queue = form.run(scenario)
    assert settled(queue).done == 50
    assert seen == list(range(50))
    assert told == [(number + 1, number * 2) for number in range(50)]


def test_what_fails_is_tried_again_after_a_backoff_that_doubles(form):
    handler = Fails(times=3)

    async def scenario():
        async with form.queue(handler, random=Highest(), max_tries=5) as queue:
            await queue.put("a")
        return queue

    queue = form.run(scenario)
    start = handler.calls[0][2]
    assert [tries for _, tries, _ in handler.calls] == [1, 2, 3, 4]
    assert [time - start for *_, time in handler.calls] == pytest.approx([0, 0.1, 0.3, 0.7])
    stats = settled(queue)
    assert (stats.done, stats.tries, stats.retries) == (1, 4, 3)


def test_the_last_try_ends_in_the_graveyard(form):
    buried = []

    async def scenario():
        async with form.queue(Fails(), max_tries=3, on_bury=buried.append) as queue:
            await queue.put("a")
        return queue

    queue = form.run(scenario)
    (burial,) = queue.graveyard
    assert buried == [burial]
    assert (burial.reason, burial.item.tries, burial.item.payload) == (Reason.TRIES, 3, "a")
    assert isinstance(burial.item.error, RuntimeError)
    assert burial.item.error.__traceback__ is None
    stats = settled(queue)
    assert (stats.buried, stats.tries, stats.done) == (1, 3, 0)


def test_a_handler_may_give_an_item_up_or_say_when(form):
    times = []

    def handler(item):
        times.append(item.clock())
        if item.payload == "hopeless":
            raise GiveUp("no such account")
        if item.tries == 1:
            raise Retry("busy", after=60.0)

    async def scenario():
        async with form.queue(handler) as queue:
            await queue.put("hopeless")
            await queue.put("later")
        return queue

    queue = form.run(scenario)
    (burial,) = queue.graveyard
    assert (burial.reason, burial.item.tries) == (Reason.GIVEN_UP, 1)
    assert settled(queue).done == 1
    assert times[2] - times[1] >= 60


def test_a_pacer_hears_of_a_429_while_the_call_is_its(form):
    pacer = Pacer()

    def handler(item):
        if item.tries == 1:
            raise Rejected("429", retry_after=2.0)

    async def scenario():
        async with form.queue(handler, {"a": pacer}) as queue:
            await queue.put("x")
        return queue

    assert settled(form.run(scenario)).done == 1
    assert pacer.events == ["enter", ("rejected", 2.0), "leave", "enter", "leave"]


def test_a_pacer_sees_a_call_that_failed_without_an_answer(form):
    pacer = Pacer()

    async def scenario():
        async with form.queue(Fails(times=1), {"a": pacer}) as queue:
            await queue.put("x")
        return queue

    assert settled(form.run(scenario)).done == 1
    assert pacer.events == ["enter", "left by an error", "enter", "leave"]


def test_what_expired_while_it_waited_is_buried_and_not_called(form):
    handler, pacer = Fails(times=0), Pacer()

    async def scenario():
        queue = form.queue(handler, {"a": pacer}, ttl=5.0)
        for payload, ttl in [("short", 1.0), ("long", 100.0), ("usual", None)]:
            await queue.put(payload, ttl=ttl)
        form.advance(50.0)
        await queue.start()
        await queue.join()
        await queue.stop()
        return queue

    queue = form.run(scenario)
    assert [payload for payload, *_ in handler.calls] == ["long"]
    assert pacer.events == ["enter", "leave"]
    assert [burial.item.payload for burial in queue.graveyard] == ["short", "usual"]
    assert {burial.reason for burial in queue.graveyard} == {Reason.EXPIRED}
    assert {burial.age for burial in queue.graveyard} == {50.0}
    assert settled(queue).expired == 2


def test_what_would_expire_before_its_next_try_is_buried_at_once(form):
    handler = Fails()

    async def scenario():
        async with form.queue(handler, random=Highest(), ttl=0.25) as queue:
            item = await queue.put("a")
            assert item.remaining() == 0.25
            await queue.join()
            return queue

    queue = form.run(scenario)
    (burial,) = queue.graveyard
    # Tries at 0 and 0.1 s; the third would have been at 0.3 s.
    assert (burial.reason, burial.item.tries) == (Reason.EXPIRED, 2)
    assert burial.age == pytest.approx(0.1)


def test_a_pacer_that_knows_of_time_outs_is_given_the_time_to_live(form):
    asked = []

    class TimedPacer:
        @contextlib.contextmanager
        def acquire(self, timeout_ms=0):
            asked.append(timeout_ms)
            if timeout_ms == 3000:
                raise TimeoutError("it would take longer")
            yield

    async def scenario():
        async with form.queue(Fails(times=0), {"a": TimedPacer()}) as queue:
            await queue.put("never expires")
            await queue.join()
            await queue.put("too late", ttl=3.0)
            await queue.put("in time", ttl=4.0)
        return queue

    queue = form.run(scenario)
    assert asked == [0, 3000, 4000]
    (burial,) = queue.graveyard
    assert (burial.item.payload, burial.reason, burial.item.tries) == ("too late", Reason.EXPIRED, 0)
    assert settled(queue).done == 2


def test_an_item_that_expires_in_a_pacer_is_not_called(form):
    class SlowPacer:
        @contextlib.contextmanager
        def acquire(self):
            form.advance(10.0)
            yield

    handler = Fails(times=0)

    async def scenario():
        async with form.queue(handler, {"a": SlowPacer()}, ttl=5.0) as queue:
            await queue.put("x")
        return queue

    queue = form.run(scenario)
    assert handler.calls == []
    assert [burial.reason for burial in queue.graveyard] == [Reason.EXPIRED]
    assert settled(queue).late == 0


def test_a_pacer_that_fails_costs_a_try_and_one_that_fails_afterwards_costs_nothing(form, caplog):
    class BrokenPacer:
        def __init__(self, when):
            self.when = when

        @contextlib.contextmanager
        def acquire(self):
            if self.when == "before":
                raise OSError("no pacing today")
            yield
            raise OSError("afterwards")

    handler = Fails(times=0)

    async def scenario(when):
        async with form.queue(handler, {"a": BrokenPacer(when)}, max_tries=3) as queue:
            await queue.put(when)
        return queue

    queue = form.run(lambda: scenario("before"))
    (burial,) = queue.graveyard
    assert (burial.item.tries, str(burial.item.error), handler.calls) == (3, "no pacing today", [])
    settled(queue)
    queue = form.run(lambda: scenario("after"))
    assert settled(queue).done == len(handler.calls) == 1
    assert "failed after item 1" in caplog.text


def test_a_pacer_that_swallows_what_the_handler_raises_does_not_make_it_done(form):
    class Swallows:
        @contextlib.contextmanager
        def acquire(self):
            with contextlib.suppress(RuntimeError):
                yield

    async def scenario():
        async with form.queue(Fails(), {"a": Swallows()}, max_tries=2) as queue:
            await queue.put("x")
        return queue

    assert settled(form.run(scenario)).buried == 1


def test_a_full_queue_says_so_and_dead_letters_take_room(form):
    async def scenario():
        queue = form.queue(Fails(error=lambda words: Retry(words, after=1000.0)), maxsize=2)
        await queue.put(1)
        await queue.put(2)
        for kind in (QueueFull, asyncio.QueueFull, threads_queue.Full):
            with pytest.raises(kind, match="2 items wait, and maxsize is 2"):
                queue.put_nowait(3)
        assert queue.stats().accepted == 2
        return queue

    queue = form.run(scenario)
    assert queue.stats().main == 2


def test_a_hook_that_raises_harms_nothing(form, caplog):
    def hook(*_):
        raise ValueError("a bad hook")

    async def scenario():
        async with form.queue(Fails(times=1), max_tries=1, on_done=hook, on_bury=hook) as queue:
            await queue.put("fails")
        async with form.queue(Fails(times=0), on_done=hook, on_bury=hook) as other:
            await other.put("passes")
        return queue, other

    queue, other = form.run(scenario)
    assert (settled(queue).buried, settled(other).done) == (1, 1)
    assert (queue.stats().hook_errors, other.stats().hook_errors) == (1, 1)
    assert "a bad hook" in caplog.text


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf, "exception"])
def test_a_backoff_that_fails_does_not_cost_the_item(form, caplog, wrong):
    def backoff(_tries, _random):
        return 1 / 0 if wrong == "exception" else wrong

    async def scenario():
        async with form.queue(Fails(times=1), backoff=backoff) as queue:
            await queue.put("x")
        return queue

    assert settled(form.run(scenario)).done == 1
    assert "backoff" in caplog.text


def test_stop_before_start_hands_everything_back(form):
    async def scenario():
        queue = form.queue(Fails(times=0))
        for number in range(3):
            await queue.put(number)
        left = await queue.stop()
        assert await queue.stop() == left == queue.handed_back
        with pytest.raises(QueueStopped, match="nothing more is accepted"):
            await queue.put(4)
        with pytest.raises(QueueStopped):
            queue.put_nowait(4)
        return queue, left

    queue, left = form.run(scenario)
    assert [item.payload for item in left] == [0, 1, 2]
    assert settled(queue).handed_back == 3


def test_leaving_by_an_exception_hands_back_and_leaving_quietly_drains(form):
    async def scenario():
        queue = form.queue(Fails(times=0))
        for number in range(5):
            await queue.put(number)
        async with queue:
            pass
        assert settled(queue).done == 5
        queue = form.queue(Fails(times=0))
        with pytest.raises(ZeroDivisionError):
            async with queue:
                1 / 0  # noqa: B018
        assert settled(queue).accepted == 0
        with pytest.raises(RuntimeError, match="started before"):
            await queue.start()

    form.run(scenario)


def test_equal_payloads_are_items_of_their_own(form):
    numbers = []
    payload = ["neither hashable nor alone"]

    async def scenario():
        async with form.queue(lambda item: numbers.append(item.number)) as queue:
            for _ in range(4):
                await queue.put(payload)
        return queue

    assert settled(form.run(scenario)).done == 4
    assert numbers == [1, 2, 3, 4]
