"""What C and Python do to one limiter: `extension_scenarios.py NAME [MODULE]`, MODULE the built example.

Each scenario in a process of its own, because it changes how all limiters of a process decide, for good; and
because a deadlock then ends with the process.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import gc
import os
import sys
import threading
import weakref
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parents[1] / "examples")]

from c_table import NEVER, Ask, Table, Turn, api, number  # noqa: E402
from extension.building import load  # noqa: E402
from tollbar import InFlight, Limiter, ManualClock, Rate, RateLimiter, RateLimitExceeded, c_handle  # noqa: E402

sys.setswitchinterval(1e-5)


def at_once(*work):
    """Run all of these in threads at once; return the results."""
    start, results = threading.Barrier(len(work)), [None] * len(work)

    def run(place, one):
        start.wait()
        results[place] = one()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(work)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def budget(mailgate):
    keys = [f"k{i}" for i in range(16)]
    limiter = Limiter(Rate(1000, per=1), clock=(clock := ManualClock()))
    gate = mailgate.attach(limiter)
    asked = keys * 1500

    def in_python():
        return sum(map(limiter.try_acquire, asked))

    for _ in range(4):
        each = at_once(in_python, in_python, *[lambda: mailgate.relay(gate, asked, threads=4)] * 2)
        assert sum(each) == 16_000, each
        assert not any(map(limiter.try_acquire, keys)) and mailgate.relay(gate, keys) == 0
        clock.advance(1)
    assert limiter.stats()["allowed"] == 4 * 16_000
    assert limiter.stats()["keys"] == 16


def no_charge_is_lost(mailgate):
    much = 100_000_000
    limiter = Limiter(Rate(much, per=3600), clock=ManualClock())
    mail = RateLimiter(much, clock=ManualClock())
    assert mail.try_acquire("a")
    bucket = mail.buckets["a"]
    gates = [mailgate.attach(limiter), mailgate.attach(mail)]
    keys = ["a"] * 100_000
    for _ in range(8):
        before = [limiter.peek("a").remaining, int(mail.buckets["a"].tokens)]
        done = threading.Event()

        def until_c_is_done(take, done=done):
            taken = 0
            while not done.is_set():
                taken += take()
            return taken

        def in_c(done=done):
            taken = [mailgate.relay(gate, keys, threads=2) for gate in gates]
            done.set()
            return taken

        native, drop_in, pinned, (of_native, of_mail) = at_once(
            lambda: until_c_is_done(
                lambda: limiter.try_acquire("a") + sum(limiter.try_acquire_many(["a"] * 5))
            ),
            lambda: until_c_is_done(lambda: mail.try_acquire("a")),
            lambda: until_c_is_done(bucket.try_acquire),
            in_c,
        )
        assert (of_native, of_mail) == (len(keys), len(keys))
        assert before[0] - limiter.peek("a").remaining == native + of_native
        assert before[1] - int(mail.buckets["a"].tokens) == drop_in + pinned + of_mail
    assert limiter.stats()["allowed"] == much - limiter.peek("a").remaining


def a_freed_handle(mailgate):
    limiter, table = Limiter(Rate(3, per=3600), clock=ManualClock()), Table()
    gate = mailgate.attach(limiter)
    mailgate.detach(gate)
    for use in (
        mailgate.detach,
        lambda gate: mailgate.relay(gate, ["a"]),
        lambda gate: mailgate.wait(gate, "a"),
    ):
        with pytest.raises(RuntimeError, match="^tollbar: the handle was freed, or is none of this kind$"):
            use(gate)
    handle = c_handle(limiter)
    assert table.one(handle, b"a") == 1
    assert table.limiter_free(handle) == 0
    assert table.limiter_free(handle) == table.one(handle, b"a") == number("ERROR_HANDLE")
    assert table.limiter_free(0) == 0
    assert limiter.peek("a").remaining == 2


def a_limiter_that_python_forgot(mailgate):
    limiter = Limiter(Rate(5, per=3600), clock=ManualClock())
    gate, gone = mailgate.attach(limiter), weakref.ref(limiter)
    assert limiter.try_acquire("a")
    del limiter
    gc.collect()
    assert gone() is None
    assert mailgate.relay(gate, ["a"] * 100) == 4
    assert mailgate.relay(gate, ["b"] * 100) == 5


def both_wait(mailgate):
    limiter, table = Limiter(InFlight(1)), Table()
    gate, handle = mailgate.attach(limiter), c_handle(limiter)
    # C in a line behind Python: it goes on when Python gives back what it holds.
    held, done = limiter.reserve("a"), []
    waiting = threading.Thread(target=lambda: done.append(mailgate.wait(gate, "a")))
    waiting.start()
    held.cancel()
    waiting.join()
    assert done == [True]

    # A task and a thread of Python behind C, which gives it back without the interpreter.
    reservation = ctypes.c_uint64()
    assert table.reserve(handle, b"b", 1, 1, 0, 0, reservation, None, 0) == 1

    async def task():
        waits = asyncio.ensure_future(limiter.acquire("b"))
        await asyncio.sleep(0)
        thread = threading.Thread(target=limiter.acquire_blocking, args=("b",))
        thread.start()
        assert not waits.done()
        await asyncio.to_thread(table.cancel, reservation)
        assert await waits
        await asyncio.to_thread(thread.join)

    asyncio.run(task())


def one_place_looked_at_by_two(_mailgate):
    # A thread without the interpreter's lock looks at its place, and so has to wake a task of Python, for
    # which it needs that lock. Whoever holds it asks about the same place meanwhile, and must not wait.
    free, attached = Table(), Table(attached=True)
    for question in ("look", "leave") * 5:
        limiter = Limiter(Rate(1, per=1), clock=(clock := ManualClock()))
        assert limiter.try_acquire("a")
        handle, wakeups = c_handle(limiter), free.made("wakeups_new")
        ask, turn, other = Ask(1, NEVER, 0, 0, 0), Turn(), Turn()
        joined = free.join(handle, b"a", 1, ask, ctypes.sizeof(ask), wakeups, 7, turn, ctypes.sizeof(turn))
        assert joined == number("WAITING")
        loop = asyncio.new_event_loop()
        behind = loop.create_task(limiter.acquire("a"))
        loop.run_until_complete(asyncio.sleep(0))
        clock.advance(1)
        assert limiter.peek("a").reset_after == 0.0
        found = []
        looking = threading.Thread(
            target=lambda: found.append(free.look(turn.place, other, ctypes.sizeof(other)))  # noqa: B023
        )
        sys.setswitchinterval(1000)  # the lock goes to nobody but by waiting
        looking.start()
        while limiter.peek("a").reset_after == 0.0:
            pass  # until the first has its token, and wakes who is next
        if question == "look":
            answer = attached.look(turn.place, Turn(), ctypes.sizeof(turn))
            assert answer in {number("WAITING"), number("ERROR_HANDLE")}, answer
        else:
            answer = attached.leave(turn.place)
            assert answer in {0, number("ERROR_HANDLE")}, answer
        sys.setswitchinterval(1e-5)
        looking.join()
        assert found == [1]
        clock.advance(1)
        assert loop.run_until_complete(behind)
        loop.close()
        assert free.limiter_free(handle) == 0


def wakers_and_the_interpreters_lock(mailgate):
    # Threads of C serve a line in which Python waits, so they call into Python, which asks about its keys.
    limiter = Limiter(Rate(50, per=1), InFlight(40), clock=(clock := ManualClock()))
    gate, keys = mailgate.attach(limiter), ["a", "b"] * 500
    done = threading.Event()

    def in_c():
        while not done.is_set():
            mailgate.relay(gate, keys, threads=4)

    def in_python():
        while not done.is_set():
            clock.advance(0.01)
            limiter.try_acquire("a")
            limiter.peek("b")
            limiter.try_acquire_all(["a", "b"])

    def blocks():
        return sum(limiter.acquire_blocking(key) for key in ("a", "b") * 60)

    async def tasks():
        return sum(await asyncio.gather(*(limiter.acquire(key) for key in ("a", "b") * 60)))

    def waits():
        taken = at_once(blocks, blocks, lambda: asyncio.run(tasks()), lambda: mailgate.wait(gate, "a"))
        done.set()
        return taken

    *_, taken = at_once(in_c, in_python, waits)
    assert taken == [120, 120, 120, True], taken


def forks(mailgate):
    much = 10**9
    limiter = Limiter(Rate(much, per=3600), clock=ManualClock())
    gate, stop = mailgate.attach(limiter), threading.Event()

    def in_c(number):
        keys = [f"k{number}-{i}" for i in range(2000)] + ["a"] * 2000
        while not stop.is_set():
            mailgate.relay(gate, keys, threads=2)

    threads = [threading.Thread(target=in_c, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    ends = set()
    for turn in range(40):
        child = os.fork()
        if child == 0:
            before = limiter.peek("a").remaining
            fine = (
                limiter.try_acquire("a")
                and mailgate.relay(gate, ["a"] * 10 + [f"new{turn}"], threads=1) == 11
            )
            fine = fine and before - limiter.peek("a").remaining == 11 and limiter.try_acquire(f"child{turn}")
            os._exit(0 if fine else 1)
        ends.add(os.waitpid(child, 0)[1])
    stop.set()
    for thread in threads:
        thread.join()
    assert ends == {0}, ends


def the_drop_in(mailgate):
    class Account:
        def get_rate_limiting_config(self):
            return self

        messages_per_hour = 7

    mail = RateLimiter(3, clock=ManualClock(), log_interval=None)
    gate = mailgate.attach(mail)
    # Whoever Python has seen first has Python's limit; whoever C sees first has the limiter's own.
    assert mail.try_acquire("known", account=Account())
    assert mailgate.relay(gate, ["known"] * 20) == 6
    assert mailgate.relay(gate, ["new"] * 2) == 2
    assert mail.try_acquire("new", account=Account())

    async def denied():
        await mail.acquire("new")

    with pytest.raises(RateLimitExceeded):
        asyncio.run(denied())
    mailgate.detach(gate)


def the_table(_mailgate):
    table = api()
    assert (table.abi, table.size) == (number("ABI_VERSION"), ctypes.sizeof(table))
    for wrong in (None, 3, "a", object()):
        with pytest.raises(TypeError, match="^limiter must be a Limiter or a RateLimiter, not "):
            c_handle(wrong)
    # The capsule's functions and the module's handles are of one copy, whatever was loaded before.
    limiter = Limiter(Rate(2, per=3600), clock=ManualClock())
    assert Table().one(c_handle(limiter), b"a") == 1
    assert limiter.peek("a").remaining == 1


if __name__ == "__main__":
    faulthandler.dump_traceback_later(60, exit=True)  # of a deadlock, to say where
    scenario, *module = sys.argv[1:]
    globals()[scenario](*(load(Path(file)) for file in module) if module else [None])
    print("done")
