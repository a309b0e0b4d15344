"""A move of a `ManualClock` wakes waiters in every form; a `LoopClock` shows a loop's virtual time."""

from __future__ import annotations

import asyncio
import datetime as dt
import selectors
import threading
import time

import pytest

from conftest import now
from tollbar import (
    InFlight,
    Jail,
    Limiter,
    LoopClock,
    ManualClock,
    Rate,
    RateLimiter,
    RateLimitExceeded,
    TokenBucket,
    Window,
)
from tollbar.access import ClientAccess
from tollbar.dispatch import DispatchQueue, ThreadDispatchQueue
from tollbar.pacing import RateLimiter as Pacer
from tollbar.pacing import ThreadSafeRateLimiter
from tollbar.sliding_window import RateLimiter as Dispatch

HOUR = 3600
LIMIT = 60  # seconds of real time after which a test has failed


def hourly(clock, *more):
    """Make a limiter whose key `a` is spent for an hour."""
    limiter = Limiter(Rate(1, per=HOUR), *more, clock=clock)
    assert limiter.try_acquire("a")
    return limiter


def run(main):
    """Run a coroutine, within the time limit."""
    return asyncio.run(asyncio.wait_for(main, LIMIT))


async def parked(task):
    """Let a task come to where it waits."""
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()


def blocked(clock, call, *arguments):
    """Start a thread and wait until it waits by the clock."""
    ends = []
    thread = threading.Thread(target=lambda: ends.append(call(*arguments)), daemon=True)
    thread.start()
    until = time.monotonic() + LIMIT
    while clock.until_next() is None:
        assert time.monotonic() < until, "it does not wait"
        time.sleep(0)
    assert not ends
    return thread, ends


class Time:
    """All that a `LoopClock` needs of a loop."""

    def __init__(self, now=0.0):
        self.now = now

    def time(self):
        return self.now


def come(thread, ends):
    """Expect the thread to end."""
    thread.join(LIMIT)
    assert not thread.is_alive(), "it still waits"
    return ends.pop()


def test_a_task_comes_when_the_clock_moves(clock):
    limiter = hourly(clock)

    async def main():
        task = asyncio.ensure_future(limiter.acquire("a"))
        await parked(task)
        assert clock.until_next() == HOUR
        clock.advance(HOUR - 1)
        await parked(task)
        clock.advance(1)
        assert await task is True
        assert clock.until_next() is None

    run(main())


def test_a_task_sets_no_timer(clock, monkeypatch):
    limiter, pacer = hourly(clock), Pacer(1, clock=clock)
    timers = []

    async def paced():
        async with pacer.acquire():
            pass

    async def main():
        await paced()
        loop = asyncio.get_running_loop()
        call_at = loop.call_at
        monkeypatch.setattr(loop, "call_at", lambda *a, **k: timers.append(a) or call_at(*a, **k))
        tasks = [asyncio.ensure_future(limiter.acquire("a")), asyncio.ensure_future(paced())]
        for task in tasks:
            await parked(task)
        clock.advance(HOUR)
        await asyncio.gather(*tasks)

    run(main())
    assert not timers


def test_a_move_from_another_thread_is_never_missed(clock):
    async def main():
        for _ in range(300):
            limiter = hourly(clock)
            mover = threading.Thread(target=clock.advance, args=(HOUR,))
            mover.start()
            assert await limiter.acquire("a")
            mover.join()

    run(main())


def test_threads_that_move_and_wait_at_once_never_miss_each_other(clock):
    def wait(limiter, ends):
        ends.append(limiter.acquire_blocking("a"))

    for _ in range(300):
        limiter, ends = hourly(clock), []
        waiter = threading.Thread(target=wait, args=(limiter, ends), daemon=True)
        waiter.start()
        clock.advance(HOUR)
        waiter.join(LIMIT)
        assert ends == [True]


def test_a_slot_comes_when_the_clock_moves(clock):
    limiter = hourly(clock, InFlight(5))

    async def hold():
        async with limiter.slot("a") as place:
            return place.is_open

    def hold_in_a_thread():
        with limiter.slot("a") as place:
            return place.is_open

    async def main():
        task = asyncio.ensure_future(hold())
        await parked(task)
        clock.advance(HOUR)
        assert await task is True

    run(main())
    thread, ends = blocked(clock, hold_in_a_thread)
    clock.advance(HOUR)
    assert come(thread, ends) is True


def test_a_thread_comes_when_the_clock_moves(clock):
    limiter = hourly(clock)
    thread, ends = blocked(clock, limiter.acquire_blocking, "a")
    clock.advance(HOUR - 1)
    assert (clock.until_next(), ends) == (1, [])
    clock.advance(1)
    assert come(thread, ends) is True


def test_a_timeout_is_over_when_the_clock_says_so(clock):
    limiter = hourly(clock)

    async def main():
        overtaken = asyncio.ensure_future(limiter.acquire("a", timeout=HOUR, priority=1))
        await parked(overtaken)
        first = asyncio.ensure_future(limiter.acquire("a"))
        await parked(first)
        clock.advance(HOUR)
        assert await first is True
        with pytest.raises(TimeoutError):
            await overtaken

    run(main())


def test_only_the_first_in_line_is_woken(clock):
    limiter, calls = hourly(clock), []

    async def send(number):
        await limiter.acquire("a")
        calls.append(number)

    async def main():
        tasks = [asyncio.ensure_future(send(number)) for number in range(20)]
        for number in range(20):
            await parked(tasks[-1])
            assert calls == list(range(number))
            assert clock.until_next() == HOUR
            clock.advance(HOUR)
        await asyncio.gather(*tasks)

    run(main())


def test_pacing_comes_when_the_clock_moves(clock):
    pacer, blocking = Pacer(1, clock=clock), ThreadSafeRateLimiter(1, clock=ManualClock())

    async def paced():
        async with pacer.acquire():
            return True

    async def main():
        await paced()
        task = asyncio.ensure_future(paced())
        await parked(task)
        clock.advance(2)
        assert await task

    run(main())

    def paced_in_a_thread(limiter):
        with limiter.acquire():
            return True

    still = ManualClock()
    blocking = ThreadSafeRateLimiter(1, clock=still)
    paced_in_a_thread(blocking)
    thread, ends = blocked(still, paced_in_a_thread, blocking)
    still.advance(2)
    assert come(thread, ends)


def test_a_dispatch_queue_goes_on_when_the_clock_moves(clock):
    async def main():
        done = []

        async def handle(item):
            done.append(item.payload)

        async with DispatchQueue(handle, {"w": Pacer(1, clock=clock)}, max_tries=1) as queue:
            for number in range(3):
                await queue.put(number)
            while len(done) < 3:
                await asyncio.sleep(0)
                if clock.until_next() is not None:
                    clock.advance(clock.until_next())

    run(main())


def test_a_dispatch_queue_of_threads_goes_on_when_the_clock_moves(clock):
    done = threading.Semaphore(0)
    queue = ThreadDispatchQueue(
        lambda _: done.release(), {"w": ThreadSafeRateLimiter(1, clock=clock)}, max_tries=1
    )
    with queue:
        for number in range(3):
            queue.put(number)
        until = time.monotonic() + LIMIT
        for _ in range(3):
            while not done.acquire(blocking=False):
                assert time.monotonic() < until, "the queue stands still"
                clock.advance(clock.until_next() or 0)
                time.sleep(0)


def test_a_task_of_trio_comes_when_the_clock_moves(clock):
    trio = pytest.importorskip("trio")
    limiter = hourly(clock)
    got = []

    async def wait():
        got.append(await limiter.acquire("a"))

    async def main():
        with trio.fail_after(LIMIT):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                while clock.until_next() is None:
                    await trio.lowlevel.checkpoint()
                clock.advance(HOUR)

    trio.run(main)
    assert got == [True]


class JumpingLoop(asyncio.SelectorEventLoop):
    """Jumps to its next timer instead of sleeping."""

    def __init__(self, now=0.0):
        super().__init__(selectors.SelectSelector())
        self.now, self.jumps = now, 0
        select = self._selector.select

        def jump(timeout=None):
            ready = select(0)
            if not ready:
                assert timeout is not None, "everybody waits for everybody"
                self.now += timeout
                self.jumps += timeout > 0
                assert self.jumps < 1000, "the loop jumps without end"
            return ready

        self._selector.select = jump

    def time(self):
        return self.now

    def run(self, main):
        """Run to the end, and close."""
        try:
            return self.run_until_complete(main)
        finally:
            self.close()


def test_a_wait_on_a_jumping_loop_ends_at_its_time():
    loop = JumpingLoop()

    async def main():
        limiter = hourly(LoopClock())
        await limiter.acquire("a")
        assert loop.time() == HOUR
        async with limiter.slot("a"):
            assert loop.time() == 2 * HOUR
        with pytest.raises(TimeoutError):
            await limiter.acquire("a", timeout=HOUR - 1)

    loop.run(main())
    assert loop.jumps == 2


@pytest.mark.parametrize("start", [0.1, 12.345678901, 1e7 / 3, 8e6 + 0.1])
def test_a_jumping_loop_makes_progress_whatever_its_floats(start):
    loop = JumpingLoop(start)

    async def main():
        limiter = Limiter(Rate(3, per=1, burst=1), clock=LoopClock())
        for _ in range(50):
            await limiter.acquire("a")

    loop.run(main())
    assert loop.now - start == pytest.approx(49 / 3, abs=0.001)
    assert loop.jumps <= 150


def test_pacing_and_dispatch_run_in_a_jumping_loops_time():
    loop = JumpingLoop()
    times = []

    async def handle(_):
        times.append(loop.time())

    async def main():
        async with DispatchQueue(handle, {"w": Pacer(1, clock=LoopClock())}, max_tries=1) as queue:
            for number in range(4):
                await queue.put(number)

    loop.run(main())
    assert [round(now) for now in times] == [0, 1, 2, 3]


def spent_limiter(clock):
    limiter = Limiter(Rate(1, per=HOUR), clock=clock)
    assert limiter.try_acquire("a")
    return limiter


def spent_mail(clock):
    mail = RateLimiter(1, clock=clock)
    assert mail.try_acquire("a")
    return mail


def spent_bucket(clock):
    bucket = TokenBucket(1, 1 / HOUR, clock=clock)
    assert bucket.try_acquire()
    return bucket


def spent_access(clock):
    access = ClientAccess(1, HOUR, clock=clock)
    assert access.is_allowed("a")
    return access


def jailing_access(clock):
    access = ClientAccess(1, 1, Jail(1, 10, HOUR), clock=clock)
    assert access.is_allowed("a")
    assert not access.is_allowed("a")
    return access


async def sent(dispatch):
    return await dispatch.check_and_plan({"id": "a", "limit_per_hour": 1}) == (None, False)


def spent_dispatch(clock):
    dispatch = Dispatch(clock=clock, lease=1800)
    assert now(dispatch.check_and_plan({"id": "a", "limit_per_hour": 1})) == (None, False)
    now(dispatch.log_send("a"))
    return dispatch


async def mails(mail):
    try:
        return await mail.acquire("a")
    except RateLimitExceeded:
        return False


# What must say no now, and yes when an hour of the loop has passed.
FORMS = [
    (spent_limiter, lambda limiter: limiter.try_acquire("a")),
    (spent_limiter, lambda limiter: limiter.try_acquire(key="a")),
    (spent_limiter, lambda limiter: limiter.decide("a").allowed),
    (spent_limiter, lambda limiter: limiter.peek("a").allowed),
    (spent_limiter, lambda limiter: limiter.plan("a") == 0),
    (spent_limiter, lambda limiter: bool(limiter.reserve("a"))),
    (spent_limiter, lambda limiter: limiter.try_acquire_many(["a"]) == [True]),
    (spent_limiter, lambda limiter: bool(limiter.try_acquire_all(["a", "b"]))),
    (spent_mail, lambda mail: mail.try_acquire("a")),
    (spent_mail, mails),
    (spent_mail, lambda mail: mail.check_rate_limit("a")),
    (spent_mail, lambda mail: mail.get_stats()["buckets"]["a"]["tokens"] == 1),
    (spent_mail, lambda mail: mail.buckets["a"].tokens == 1),
    (spent_bucket, lambda bucket: bucket.acquire()),
    (spent_bucket, lambda bucket: bucket.try_acquire()),
    (spent_bucket, lambda bucket: bucket.tokens == 1),
    (spent_bucket, lambda bucket: bucket.get_state()["tokens"] == 1),
    (spent_bucket, lambda bucket: "tokens=1.000" in repr(bucket)),
    (spent_access, lambda access: access.is_allowed("a")),
    (spent_access, lambda access: access.isAllowed("a")),
    (jailing_access, lambda access: access.jailed() == {}),
    (jailing_access, lambda access: access.jailed_until("a") is None),
    (spent_dispatch, sent),
]


@pytest.mark.parametrize("number", range(len(FORMS)))
def test_every_call_goes_by_the_loop(number):
    loop = JumpingLoop()
    make, ask = FORMS[number]

    async def main():
        subject = make(LoopClock(unix=1_700_000_000))

        async def answer():
            answered = ask(subject)
            return answered if isinstance(answered, bool) else await answered

        assert await answer() is False
        loop.now += HOUR - 2
        assert await answer() is False
        loop.now += 3
        assert await answer() is True

    loop.run(main())


def test_the_wall_clock_moves_with_the_loop():
    loop = Time(5.0)
    clock = LoopClock(loop, unix=1_700_000_000)
    bucket = TokenBucket(1, 1, clock=clock)
    assert repr(clock) == f"LoopClock({loop!r})"
    assert repr(LoopClock()) == "LoopClock()"
    assert (clock.now(), clock.now_ns(), clock.unix()) == (5.0, 5_000_000_000, 1_700_000_000)
    loop.now += HOUR
    assert bucket.last_refill == dt.datetime.fromtimestamp(1_700_000_000 + HOUR, dt.UTC)
    loop.now += HOUR
    assert clock.unix() == 1_700_000_000 + 2 * HOUR


def test_a_drop_in_dispatchers_leases_end_by_the_loop():
    loop = Time()
    dispatch = Dispatch(clock=LoopClock(loop), lease=60)
    assert now(dispatch.check_and_plan({"id": "a", "limit_per_minute": 1})) == (None, False)
    assert dict(dispatch._in_flight) == {"a": 1}
    loop.now += 61
    assert dict(dispatch._in_flight) == {"a": 0}


def test_reservations_and_leases_end_by_the_loop():
    loop = JumpingLoop()

    async def main():
        limiter = Limiter(InFlight(1), Window(1, per=10), clock=LoopClock())
        place = limiter.reserve("a", lease=60, lost="returned")
        assert place
        assert not limiter.reserve("a")
        loop.now += 30
        assert place.commit()
        assert limiter.peek("a").retry_after == pytest.approx(10), "it counts from its commit"
        async with limiter.slot("a"):
            assert loop.time() == pytest.approx(40)

    loop.run(main())


def test_a_thread_waits_by_a_loop():
    loop = Time()
    limiter = hourly(LoopClock(loop))
    ends = []
    thread = threading.Thread(target=lambda: ends.append(limiter.acquire_blocking("a")), daemon=True)
    thread.start()
    loop.now += HOUR
    assert come(thread, ends) is True


def test_a_clock_without_a_loop_says_what_to_do():
    limiter = Limiter(Rate(1, per=1), clock=LoopClock())
    with pytest.raises(RuntimeError, match="no event loop runs here: use the limiter inside of one first"):
        limiter.try_acquire("a")
    assert "a" not in limiter
    with pytest.raises(TypeError, match="loop must be an event loop"):
        LoopClock(5)
    with pytest.raises(ValueError, match="unix must be at least 0"):
        LoopClock(unix=-1)
    with pytest.raises(TypeError, match="clock must be a ManualClock, a LoopClock or None, not int"):
        Limiter(Rate(1, per=1), clock=5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None, "soon"])
def test_a_loop_without_a_time_charges_nothing(bad):
    loop = Time()
    limiter = hourly(LoopClock(loop))
    place = limiter.reserve("b")
    loop.now = bad
    with pytest.raises(ValueError, match=r"loop.time\(\) must be a number of seconds"):
        limiter.try_acquire("c")
    assert "c" not in limiter
    loop.now = 1.0
    assert place.commit()


def test_a_clock_never_goes_back_and_goes_on_in_the_next_loop():
    clock = LoopClock()
    limiter = Limiter(Rate(1, per=HOUR), clock=clock)
    first, second = JumpingLoop(500.0), JumpingLoop(100.0)

    async def spend(loop):
        assert limiter.try_acquire("a")
        now = clock.now()
        loop.now -= 50
        assert clock.now() == now
        assert not limiter.try_acquire("a")

    async def go_on():
        assert clock.now() == 500.0
        await limiter.acquire("a")
        assert (second.time(), clock.now()) == (100.0 + HOUR, 500.0 + HOUR)

    first.run(spend(first))
    assert not limiter.try_acquire("a"), "between two loops time stands still"
    second.run(go_on())


def test_limiters_by_other_clocks_keep_their_fast_entries(clock):
    limiter = Limiter(Rate(1, per=HOUR), clock=LoopClock(Time(5.0)))
    other, bucket = hourly(clock), TokenBucket(1, 1 / HOUR, clock=clock)
    for _ in range(2):
        assert limiter.try_acquire("a") != limiter.try_acquire("a")
        assert bucket.try_acquire() != bucket.try_acquire()
        assert not other.try_acquire("a")
        clock.advance(HOUR)
        assert other.try_acquire("a")
        limiter.reset("a")


def test_trio_with_its_own_virtual_time():
    trio = pytest.importorskip("trio")
    from trio.testing import MockClock

    clock = LoopClock()
    limiter = Limiter(Rate(1, per=HOUR), clock=clock)

    async def main():
        with trio.fail_after(10 * HOUR):
            start = trio.current_time()
            for _ in range(3):
                await limiter.acquire("a")
            assert trio.current_time() - start == pytest.approx(2 * HOUR)
        return clock.now()

    first = trio.run(main, clock=MockClock(autojump_threshold=0))
    assert trio.run(limiter.acquire, "a", clock=MockClock(autojump_threshold=0))
    assert clock.now() == pytest.approx(first + HOUR)
