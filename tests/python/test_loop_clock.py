"""A `LoopClock` shows a loop's virtual time, and every call of a limiter goes by it."""

from __future__ import annotations

import datetime as dt
import threading

import pytest

from clocks import HOUR, JumpingLoop, Time, come, hourly
from conftest import now
from tollbar import (
    InFlight,
    Jail,
    Limiter,
    LoopClock,
    Rate,
    RateLimiter,
    RateLimitExceeded,
    TokenBucket,
    Window,
)
from tollbar.access import ClientAccess
from tollbar.dispatch import DispatchQueue
from tollbar.pacing import RateLimiter as Pacer
from tollbar.sliding_window import RateLimiter as Dispatch


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


async def waits(limiter):
    try:
        return await limiter.acquire("a", timeout=0)
    except TimeoutError:
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
    (spent_limiter, lambda limiter: limiter.try_acquire("a", costs={"1 per 3600 s": 1})),
    (spent_limiter, lambda limiter: limiter.inspect("a")[0].remaining == 1),
    (spent_limiter, waits),
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
    assert bucket.last_refill == dt.datetime.fromtimestamp(1_700_000_000 + HOUR, dt.timezone.utc)
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


def test_a_dropped_reservation_counts_from_then_by_the_loop():
    loop = Time()
    limiter = Limiter(InFlight(5), Window(1, per=10), clock=LoopClock(loop))
    place = limiter.reserve("a")
    loop.now += 30
    del place
    assert limiter.peek("a").retry_after == 10
    places = [Limiter(InFlight(5), Window(1, per=10), clock=LoopClock(loop)).reserve("a")]
    with pytest.raises(ZeroDivisionError):
        [places.pop(), 1 / 0]


def test_leases_are_renewed_by_the_loop():
    loop = Time()
    limiter = Limiter(InFlight(1), clock=LoopClock(loop))
    place = limiter.reserve("a", lease=60, lost="returned")
    loop.now += 50
    assert place.renew(60)
    loop.now += 59
    assert limiter.peek("a").retry_after == 1


def test_limits_change_and_blocks_begin_by_the_loop():
    loop = Time()
    limiter = hourly(LoopClock(loop))
    loop.now += HOUR / 2
    limiter.set_limits(Rate(1, per=4 * HOUR), migration="proportional")
    assert limiter.peek("a").retry_after == 2 * HOUR, "half of a token was owed"
    loop.now += HOUR
    assert limiter.reconfigure("a", Rate(1, per=8 * HOUR), migration="proportional")
    assert limiter.peek("a").retry_after == 2 * HOUR, "a quarter was owed"
    loop.now += 2 * HOUR
    assert limiter.block("a", 10)
    loop.now += 9
    assert limiter.peek("a").retry_after == 1


def test_waits_with_costs_and_leases_end_at_their_time_on_a_jumping_loop():
    loop = JumpingLoop()

    async def main():
        limiter = Limiter(InFlight(1), Rate(60, per=60, name="tokens"), clock=LoopClock())
        assert limiter.try_acquire("a", costs={"tokens": 60})
        await limiter.acquire("a", costs={"tokens": 30})
        assert loop.time() == pytest.approx(30, abs=0.001)
        place = limiter.reserve("a", lease=100, lost="returned", costs={"tokens": 0})
        assert place
        async with limiter.slot("a", costs={"tokens": 60}):
            assert loop.time() == pytest.approx(130, abs=0.001)

    loop.run(main())
    assert loop.jumps <= 4


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
