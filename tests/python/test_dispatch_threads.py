"""The thread form: several threads at once, interruptions, calls that outlive the stop, and chaos."""

import contextlib
import os
import queue as queues
import random
import threading
import time
from collections import Counter

import pytest

from forms import settled
from virtual_time import JumpingClock

pytest.importorskip("tenacity", reason="the default backoff needs tenacity")

from tollbar.dispatch import (
    DispatchQueue,
    GiveUp,
    QueueFull,
    QueueStopped,
    Retry,
    State,
    ThreadDispatchQueue,
)

# Longer than any of this takes; only a test that fails waits for it.
PATIENCE = 60.0


class Gate:
    """A handler whose calls wait until they are let go."""

    def __init__(self, error=None):
        self.begun = queues.Queue()
        self.open = threading.Event()
        self.error = error

    def __call__(self, item):
        self.begun.put(item)
        assert self.open.wait(PATIENCE)
        if self.error is not None:
            raise self.error


def in_thread(function, *arguments, **options):
    """Call in a thread; the answer is a function that waits for what came of it."""
    outcome = queues.Queue()

    def call():
        try:
            outcome.put((function(*arguments, **options), None))
        except BaseException as error:  # noqa: BLE001
            outcome.put((None, error))

    threading.Thread(target=call, daemon=True).start()

    def result():
        value, error = outcome.get(timeout=PATIENCE)
        if error is not None:
            raise error
        return value

    return result


def wait_for(condition):
    """Let others run until something is so."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, "it never was"
        os.sched_yield()


def test_a_plain_function_is_asked_for():
    async def handler(_item):
        pass

    with pytest.raises(TypeError, match="handler: must be a plain function"):
        ThreadDispatchQueue(handler, {"a": None})
    with pytest.raises(TypeError, match="handler: must be an async function"):
        DispatchQueue(None, {"a": None})


def test_as_many_calls_at_once_as_workers_and_concurrency_say():
    gate = Gate()
    with ThreadDispatchQueue(gate, {"a": None, "b": None}, concurrency=3) as queue:
        for number in range(8):
            queue.put(number)
        held = [gate.begun.get(timeout=PATIENCE).worker for _ in range(6)]
        assert Counter(held) == {"a": 3, "b": 3}
        assert (queue.stats().in_flight, queue.stats().main, queue.stats().workers) == (6, 2, 6)
        gate.open.set()
    assert settled(queue).done == 8


def test_put_waits_in_line_for_room():
    gate = Gate()
    queue = ThreadDispatchQueue(gate, {"a": None}, maxsize=1)
    queue.put(0)
    waiting = []
    for number in range(1, 4):
        waiting.append(in_thread(queue.put, number))
        wait_for(lambda number=number: len(queue._room[queue._ledger.lanes.all[0]]) == number)
    queue.start()
    gate.open.set()
    # The numbers tell the order of acceptance.
    assert [result().number for result in waiting] == [2, 3, 4]
    queue.stop()
    assert settled(queue).done == 4


def test_who_comes_later_does_not_overtake():
    queue = ThreadDispatchQueue(Gate(), {"a": None})
    (line,) = queue._room.values()
    line.append(threading.Condition(queue._lock))  # somebody who was called and has not come yet
    with pytest.raises(QueueFull):
        queue.put("newcomer", timeout=0)
    assert len(line) == 1


def test_put_gives_up_when_its_time_is_over():
    queue = ThreadDispatchQueue(Gate(), {"a": None}, maxsize=1, clock=JumpingClock())
    queue.put(0)
    for timeout in (0, 5.0):
        with pytest.raises(QueueFull, match=f"no room in {timeout} s, maxsize 1"):
            queue.put(1, timeout=timeout)
    assert [item.payload for item in queue.stop()] == [0]


def test_a_put_that_waits_is_told_when_the_queue_stops():
    queue = ThreadDispatchQueue(Gate(), {"a": None}, maxsize=1)
    queue.put(0)
    waiting = in_thread(queue.put, 1)
    wait_for(lambda: queue._room[queue._ledger.lanes.all[0]])
    queue.stop()
    with pytest.raises(QueueStopped, match="nothing more is accepted"):
        waiting()
    assert settled(queue).handed_back == 1


def test_an_interrupted_put_accepts_nothing_and_leaves_the_line():
    class Interrupts(JumpingClock):
        def wait(self, condition, timeout):
            raise KeyboardInterrupt

    queue = ThreadDispatchQueue(Gate(), {"a": None}, maxsize=1, clock=Interrupts())
    queue.put(0)
    with pytest.raises(KeyboardInterrupt):
        queue.put(1)
    assert not any(queue._room.values())
    assert queue.stats().accepted == 1


def test_stop_waits_for_calls_and_hands_back_those_that_fail():
    gate = Gate(error=RuntimeError())
    queue = ThreadDispatchQueue(gate, {"a": None})
    queue.start()
    item = queue.put("x")
    gate.begun.get(timeout=PATIENCE)
    stopping = in_thread(queue.stop, drain=False)
    wait_for(lambda: not queue._ledger.retrying)
    with pytest.raises(QueueStopped):
        queue.put_nowait("y")
    gate.open.set()
    assert stopping() == [item]
    assert settled(queue).handed_back == 1


def test_a_call_that_outlives_the_stop_is_handed_back_and_its_outcome_ignored():
    gate, told = Gate(), []
    queue = ThreadDispatchQueue(
        gate, {"a": None}, clock=JumpingClock(), on_done=lambda *done: told.append(done)
    )
    queue.start()
    item = queue.put("x")
    gate.begun.get(timeout=PATIENCE)
    assert queue.stop(timeout=5.0) == [item]
    assert (item.state, queue.stats().workers) == (State.HANDED_BACK, 1)
    gate.open.set()
    wait_for(lambda: queue.stats().workers == 0)
    stats = settled(queue)
    assert (stats.handed_back, stats.done, stats.late) == (1, 0, 1)
    assert told == []
    assert queue.stop() == [item]


@pytest.mark.parametrize("error", [None, TimeoutError, OSError])
def test_stop_takes_back_what_waits_for_a_pacer(error):
    entered, leave = threading.Event(), threading.Event()

    class Pacer:
        @contextlib.contextmanager
        def acquire(self, timeout_ms=0):
            entered.set()
            assert leave.wait(PATIENCE)
            if error is not None:
                raise error
            yield

    gate = Gate()
    queue = ThreadDispatchQueue(gate, {"a": Pacer()}, ttl=1_000.0)
    queue.start()
    item = queue.put("x")
    assert entered.wait(PATIENCE)
    stopping = in_thread(queue.stop, drain=False)
    wait_for(lambda: item.state is State.HANDED_BACK)
    leave.set()
    assert stopping() == [item]
    assert gate.begun.empty()
    stats = settled(queue)
    assert (stats.late, stats.tries, item.error) == (0, 0, None)  # nobody was called


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_worker_outlives_whatever_its_handler_raises(error):
    def handler(item):
        if item.payload == "bad":
            raise error

    with ThreadDispatchQueue(handler, {"a": None}, max_tries=2, backoff=lambda *_: 0.0) as queue:
        queue.put("bad")
        queue.put("good")
    stats = settled(queue)
    assert (stats.done, stats.buried) == (1, 1)


def test_a_system_without_threads_is_told_and_nothing_hangs(monkeypatch):
    started = []
    start = threading.Thread.start

    def few(thread):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    queue = ThreadDispatchQueue(lambda _: None, {"a": None, "b": None}, concurrency=2, log_interval=1.0)
    queue.put("x")
    monkeypatch.setattr(threading.Thread, "start", few)
    with pytest.raises(RuntimeError, match="new thread"):
        queue.start()
    assert queue.stats().workers == 2
    assert queue.stop() == []
    assert settled(queue).done == 1


def test_join_waits_for_a_hook_that_is_being_told():
    told, finished, tell = [], [], threading.Event()

    def hook(_item, _result):
        assert tell.wait(PATIENCE)
        told.append(1)

    def join():
        queue.join()
        finished.append(len(told))

    with ThreadDispatchQueue(lambda _: None, {"a": None}, on_done=hook) as queue:
        queue.put("x")
        wait_for(lambda: queue.stats().done)
        joining = in_thread(join)
        wait_for(lambda: finished or queue._idle._waiters)
        tell.set()
        joining()
    assert finished == [1]


def test_join_returns_when_the_hooks_were_told():
    told = []
    with ThreadDispatchQueue(
        lambda _: None, dict.fromkeys("abc"), on_done=lambda *_: told.append(1)
    ) as queue:
        for number in range(300):
            queue.put(number)
            if number % 3 == 0:
                queue.join()
                assert len(told) == number + 1
                assert queue.stats().done == number + 1


def test_without_workers_nobody_waits_for_ever(caplog):
    def hook(_burial):
        raise SystemExit  # not an Exception: the worker ends

    def handler(_item):
        raise GiveUp

    queue = ThreadDispatchQueue(handler, {"a": None}, on_bury=hook, maxsize=2)
    queue.put("buried")
    queue.put("left")
    joining = in_thread(queue.join)
    queue.start()
    with pytest.raises(QueueStopped, match="1 items are left"):
        joining()
    with pytest.raises(QueueStopped):
        queue.put("more")
    assert [item.payload for item in queue.stop()] == ["left"]
    assert settled(queue).buried == 1
    assert "a last worker has ended" in caplog.text


class Chance(threading.local):
    """Random numbers, of a generator for each thread."""

    def __init__(self, seed):
        self._generator = random.Random(f"{seed} {threading.current_thread().name}")

    def __call__(self):
        return self._generator.random()


class FailingPacer:
    """Lets others run first; sometimes has no turn in time, sometimes fails after the call."""

    def __init__(self, draw):
        self.draw = draw

    @contextlib.contextmanager
    def acquire(self, timeout_ms=0):
        os.sched_yield()
        if self.draw() < 0.02:
            raise TimeoutError("no turn in time")
        yield
        if self.draw() < 0.02:
            raise OSError("the pacer fails afterwards")


@pytest.mark.parametrize("seed", range(4))
def test_chaos_balances(seed):
    """Ten thousand items from four threads to eight; whatever may fail does; a stop in the middle."""
    accepted, ends, stuck = [], [], []
    draw = Chance(seed)
    enough, stopping = threading.Event(), threading.Event()

    def handler(item):
        fate = draw()
        if item.number >= 10_000:
            stuck.append(queue._ledger.lanes.of_worker(item.worker))
            enough.set()
            assert stopping.wait(PATIENCE)
        if fate < 0.2:
            raise RuntimeError
        if fate < 0.25:
            raise GiveUp
        if fate < 0.3:
            raise Retry(after=draw())
        if fate < 0.32:
            raise TimeoutError
        if fate < 0.33:
            raise SystemExit

    queue = ThreadDispatchQueue(
        handler,
        {f"worker {number}": FailingPacer(draw) if number % 2 else None for number in range(4)},
        maxsize=100,
        concurrency=2,
        sticky=seed > 1,
        ttl=1_000.0,
        max_tries=3,
        random=random.Random(seed),
        on_done=lambda item, _: ends.append(item),
        on_bury=lambda burial: ends.append(burial.item),
        clock=JumpingClock(),
    )

    def produce(producer):
        for number in range(20_000):  # more than the queue takes, whoever is quickest
            if draw() < 0.1:
                with contextlib.suppress(QueueFull):
                    accepted.append(queue.put_nowait(number, key=f"{producer} {number % 17}"))
            accepted.append(queue.put(number, key=f"{producer} {number % 17}"))

    queue.start()
    producers = [in_thread(produce, number) for number in range(4)]
    assert enough.wait(PATIENCE)
    # Something waits where nobody takes it; with sticky keys, the other workers go on.
    staff = queue._books.staff
    wait_for(lambda: any(stuck.count(lane) == staff[lane] and len(lane) for lane in staff))
    stopped_by = in_thread(queue.stop, drain=seed % 2 == 1)
    wait_for(lambda: not queue._ledger.accepting)
    stopping.set()
    left = stopped_by()
    for result in producers:
        with pytest.raises(QueueStopped):
            result()
    stats = settled(queue)
    # Counted by identity, and with it every item that was ever accepted.
    assert Counter(ends + left) == Counter(accepted)
    assert (len(accepted), len(set(accepted))) == (stats.accepted, stats.accepted)
    assert stats.accepted >= 10_000
    assert all(item.state.final for item in accepted)
    assert stats.workers == stats.late == 0
    assert min(stats.done, stats.buried, stats.retries) > 0
    assert bool(left) == (seed % 2 == 0)
