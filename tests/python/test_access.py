"""Accesses of clients: so many in any period, whatever their order, and a timeout for who does not stop."""

from __future__ import annotations

import copy
import inspect
import math
import pickle
import random
import sys
import threading
from bisect import insort
from concurrent.futures import ThreadPoolExecutor

import pytest

from test_keys import LOOKALIKES
from tollbar import ManualClock
from tollbar.access import ClientAccess, Jail

NEITHER_NUMBER_NOR_TEXT = ([5], object(), b"5")


def asked(access, client, *times):
    return [access.is_allowed(client, time) for time in times]


def stats(access, *names):
    told = access.stats()
    return tuple(told[name] for name in names)


def test_at_most_the_limit_in_any_period():
    access = ClientAccess(2, 10)
    assert asked(access, "a", 0, 1, 2, 9.999999999) == [True, True, False, False]
    assert asked(access, "a", 10, 10.5, 11) == [True, False, True], "two times a period apart share no window"
    assert asked(access, "b", 10.5) == [True]
    assert stats(access, "allowed", "denied", "clients") == (5, 3, 2)


def test_both_spellings_are_one_method():
    access = ClientAccess(2, 10)
    assert access.isAllowed("a", 1)
    assert access.is_allowed("a", access_time=2)
    assert not access.isAllowed(client_id="a", access_time=3)
    assert not access.is_allowed("a", 3)
    assert stats(access, "allowed", "denied") == (2, 2)


@pytest.mark.parametrize("method", [ClientAccess.is_allowed, ClientAccess.isAllowed])
def test_every_way_to_pass_the_same_arguments_is_the_same(method, clock):
    assert str(inspect.signature(method)) == "(self, /, client_id, access_time=None)"
    assert method.__name__ in {"is_allowed", "isAllowed"}
    access = ClientAccess(8, 10, clock=clock)
    assert method(access, "a", 1000) and method(access, "a", 1000.0)
    assert method(access, client_id="a", access_time=1000) and method(access, "a", access_time=1000.0)
    assert method(access, "a") and method(access, "a", None)
    assert method(access, "a", access_time=None) and method(access, client_id="a")
    assert not method(access, "a", 1009.999999999)
    assert method(access, "a", 1010)
    for wrong in ((), ("a", 1, 2)):
        with pytest.raises(TypeError, match=rf"{method.__name__}\(\)"):
            method(access, *wrong)
    with pytest.raises(TypeError, match=r"requires a|doesn't apply"):
        method(5, "a")


def test_times_may_come_out_of_order():
    access = ClientAccess(2, 10)
    assert asked(access, "a", 100, 106) == [True, True]
    assert asked(access, "a", 96.5) == [False], "96.5, 100 and 106 are in one window"
    assert asked(access, "a", 96) == [True], "96 and 106 are not"
    assert asked(access, "a", 103) == [False], "100, 103 and 106"
    assert asked(access, "a", 110) == [True]
    assert asked(access, "a", 101) == [False], "101, 106 and 110"


def test_how_late_a_time_may_come():
    for lateness, oldest in ((None, 90), (10, 90), (3, 97), (0, 100), (0.5, 99.5)):
        access = ClientAccess(100, 10, lateness=lateness)
        assert access.is_allowed("a", 100)
        assert access.is_allowed("a", oldest), "exactly at the limit it is checked"
        assert not access.is_allowed("a", oldest - 1e-9)
        assert stats(access, "allowed", "denied", "late") == (2, 0, 1)
    access = ClientAccess(1, 10, lateness=5)
    assert asked(access, "a", 100, 107, 101.9) == [True, False, False]
    assert stats(access, "denied", "late") == (1, 1), "a denied time is the newest, too"


def test_random_times_against_counting_all_of_them():
    random.seed(3)
    for limit, period in ((1, 5), (3, 7), (10, 20)):
        access, admitted, newest = ClientAccess(limit, period), [], 0
        for _ in range(4000):
            time = max(0, newest + random.randrange(-period, 3))
            newest = max(newest, time)
            tried = [*admitted[-60:], time]
            fits = all(sum(start <= t < start + period for t in tried) <= limit for start in tried)
            assert access.is_allowed("a", time) is fits
            if fits:
                insort(admitted, time)
        assert len(admitted) > 100


def test_without_a_time_it_is_the_clock(clock):
    access = ClientAccess(2, 10, clock=clock)
    assert [access.is_allowed("a") for _ in range(3)] == [True, True, False]
    clock.advance_ns(10 * 10**9 - 1)
    assert not access.is_allowed("a", None)
    clock.advance_ns(1)
    assert access.is_allowed("a")
    # The clock's scale is that of `now()`.
    assert access.is_allowed("a", clock.now())
    assert not access.isAllowed("a")


@pytest.mark.hazard("clock-suspended")
def test_without_a_clock_time_is_monotonic():
    access = ClientAccess(3, 3600)
    assert sum(access.is_allowed("a") for _ in range(1000)) == 3


@pytest.mark.hazard("clock-frozen")
@pytest.mark.hazard("clock-forward")
def test_clocks_that_stand_still_or_leap(clock):
    access = ClientAccess(3, 10, clock=clock)
    assert sum(access.is_allowed("a") for _ in range(1000)) == 3
    for leap in (3600, 100 * 365 * 86_400):
        clock.advance(leap)
        assert sum(access.is_allowed("a") for _ in range(1000)) == 3


@pytest.mark.hazard("clock-back")
def test_a_clock_that_steps_back_admits_nothing_extra(clock):
    access = ClientAccess(3, 10, clock=clock)
    assert sum(access.is_allowed("a") for _ in range(10)) == 3
    for back in (1, 10**9, 3600 * 10**9):
        clock.advance_ns(-back)
        assert not any(access.is_allowed("a") for _ in range(10))


def test_a_jail():
    access = ClientAccess(1, 10, Jail(3, within=5, duration=60))
    assert asked(access, "a", 0, 1, 7, 8) == [True, False, False, False]
    assert access.jailed() == {}, "1 and 8 are more than 5 apart"
    assert asked(access, "a", 9) == [False]
    assert access.jailed() == {"a": 69.0}
    assert access.jailed_until("a") == 69.0
    assert access.jailed_until("b") is None
    assert asked(access, "a", 20, 30, 68.999999999, 15) == [False] * 4
    assert stats(access, "allowed", "denied", "jailed") == (1, 4, 4)
    assert asked(access, "a", 69) == [True], "denials inside do not prolong it"
    assert access.jailed() == {}
    assert access.jailed_until("a") is None


def test_timeouts_in_a_row_grow_and_are_forgotten():
    jail = Jail(1, within=1, duration=100, factor=2, longest=350)
    access = ClientAccess(1, 1000, jail, lateness=0)
    assert access.is_allowed("a", 0)
    for time, until in ((1, 101), (101, 301), (301, 651), (652, 1002)):
        assert not access.is_allowed("a", time)
        assert access.jailed_until("a") == until
    access = ClientAccess(1, 10_000, jail, lateness=0)
    assert access.is_allowed("a", 0)
    assert not access.is_allowed("a", 1)
    assert not access.is_allowed("a", 150)  # 49 after the release: a second strike
    assert access.jailed_until("a") == 350
    assert not access.is_allowed("a", 450)  # 100 after it: one forgotten
    assert access.jailed_until("a") == 650
    assert not access.is_allowed("a", 850)  # 200: both
    assert access.jailed_until("a") == 950


def test_release_and_forget():
    access = ClientAccess(1, 10, Jail(1, within=1, duration=1000, factor=3))
    assert asked(access, "a", 0, 1, 2) == [True, False, False]
    assert access.release("a") is True
    assert access.release("a") is False
    assert access.release("stranger") is False
    assert asked(access, "a", 10, 11) == [True, False]
    assert access.jailed_until("a") == 3011.0, "its strike was kept"
    assert access.forget("a") is True
    assert access.forget("a") is False
    assert "a" not in access
    assert asked(access, "a", 11, 11) == [True, False]
    assert access.jailed_until("a") == 1011.0


def test_the_timeout_list_follows_the_newest_time_of_all(clock):
    access = ClientAccess(1, 10, Jail(1, within=1, duration=60))
    for client in ("a", "b"):
        assert asked(access, client, 0, 1) == [True, False]
    assert access.jailed() == {"a": 61.0, "b": 61.0}
    assert access.is_allowed("c", 61)
    assert access.jailed() == {}
    access = ClientAccess(1, 10, Jail(1, within=1, duration=60), clock=clock)
    assert [access.is_allowed("a") for _ in range(2)] == [True, False]
    assert access.jailed() == {"a": 1060.0}
    clock.advance(60)
    assert access.jailed() == {}


def test_the_end_of_a_timeout_is_never_before_it():
    access = ClientAccess(1, 10, Jail(1, within=1, duration=1e-9))
    for time in (1_700_000_000.123456789, 1_763_000_000.1, 2_000_000_000.7):
        assert asked(access, "a", time, time) == [True, False]
        until = access.jailed_until("a")
        assert until > time
        assert not access.is_allowed("a", until)
        access.forget("a")
        assert asked(access, "a", until) == [True]


def test_len_contains_bool():
    access = ClientAccess(1, 10)
    assert (len(access), bool(access), "a" in access) == (0, True, False)
    access.is_allowed("a", 1)
    assert (len(access), "a" in access, "b" in access) == (1, True, False)


@pytest.mark.hazard("table-when-full")
def test_a_full_table_refuses_strangers():
    access = ClientAccess(1, 10, max_clients=2)
    assert access.is_allowed("a", 0) and access.is_allowed("b", 5)
    assert not access.is_allowed("c", 19)
    assert stats(access, "full", "denied", "clients") == (1, 0, 2)
    assert access.is_allowed("b", 19)
    assert access.is_allowed("c", 21), "a has been idle for a period and as much lateness"
    assert "a" not in access
    assert not access.is_allowed("a", 9), "it may have had that access before it was forgotten"
    assert stats(access, "late", "full") == (1, 1)


@pytest.mark.hazard("construction-values")
@pytest.mark.parametrize("name", ["limit", "period", "lateness", "max_clients"])
def test_what_cannot_be_limited_is_refused_by_name(name):
    good = {"limit": 5, "period": 1}
    bad = [-1, math.nan, math.inf, -math.inf, 1e308, 10**30]
    if name != "lateness":
        bad += [0, 5e-324]
    if name != "max_clients":
        bad += [2**63, 2**64 - 1]
    for value in bad:
        with pytest.raises(ValueError, match=name):
            ClientAccess(**{**good, name: value})
    for value in ("5", True, *NEITHER_NUMBER_NOR_TEXT):
        with pytest.raises(TypeError, match=name):
            ClientAccess(**{**good, name: value})
    if name in good:
        with pytest.raises(TypeError, match=name):
            ClientAccess(**{**good, name: None})


@pytest.mark.hazard("construction-exact")
def test_the_ends_of_the_range():
    assert ClientAccess(2**53, 100 * 86_400).is_allowed("a", 0)
    with pytest.raises(ValueError, match="limit must be at most 9,007,199,254,740,992"):
        ClientAccess(2**53 + 1, 1)
    with pytest.raises(TypeError, match="jail must be a Jail or None"):
        ClientAccess(1, 1, (1, 2, 3))
    with pytest.raises(TypeError, match="clock must be a ManualClock"):
        ClientAccess(1, 1, clock=5)
    rare = ClientAccess(1, 100 * 86_400)
    assert asked(rare, "a", 0, 100 * 86_400 - 1e-9, 100 * 86_400) == [True, False, True]


@pytest.mark.hazard("construction-values")
@pytest.mark.parametrize("name", ["denials", "within", "duration", "factor", "longest"])
def test_what_is_no_jail_is_refused_by_name(name):
    good = {"denials": 5, "within": 1, "duration": 2}
    bad = [0, -1, math.nan, math.inf, -math.inf, 5e-324]
    if name != "factor":
        bad += [1e308, 2**63, 2**64 - 1, 10**30]
    for value in bad:
        with pytest.raises(ValueError, match=name):
            Jail(**{**good, name: value})
    for value in ("5", True, *NEITHER_NUMBER_NOR_TEXT):
        with pytest.raises(TypeError, match=name):
            Jail(**{**good, name: value})


def test_a_bad_time_is_refused_and_nothing_happens():
    access = ClientAccess(1, 10)
    for bad in (math.nan, math.inf, -math.inf, 1e308, 1e10, -1e10, 2**63, 10**30):
        with pytest.raises(ValueError, match="access_time"):
            access.is_allowed("a", bad)
        with pytest.raises(ValueError, match="access_time"):
            access.isAllowed("a", bad)
    for bad in ("5", True, *NEITHER_NUMBER_NOR_TEXT):
        with pytest.raises(TypeError, match="access_time"):
            access.is_allowed("a", bad)
    assert access.stats() == dict.fromkeys(("allowed", "denied", "jailed", "late", "full", "clients"), 0)


def test_times_are_read_to_the_nearest_nanosecond():
    access = ClientAccess(1, 1e-9, lateness=0)
    # Neighbouring floats of our days are 238 ns apart, and stay apart.
    times = [1_763_000_000.1]
    for _ in range(100):
        times.append(math.nextafter(times[-1], math.inf))
    assert asked(access, "a", *times) == [True] * len(times)
    assert asked(access, "b", -1e-9, -0.6e-9, 0, 0.4e-9, 0.6e-9) == [True, False, True, False, True]
    assert asked(access, "c", -5, -4, 0, 5) == [True] * 4


@pytest.mark.hazard("keys-distinct")
def test_clients_that_look_alike_are_distinct():
    access = ClientAccess(1, 10, Jail(1, within=1, duration=9))
    assert all(access.is_allowed(client, 0) for client in LOOKALIKES)
    assert len(access) == len(LOOKALIKES)
    assert not any(access.is_allowed(client, 0) for client in LOOKALIKES)
    assert access.jailed() == dict.fromkeys(LOOKALIKES, 9.0)


@pytest.mark.hazard("keys-refused")
def test_what_is_no_client_is_refused():
    access = ClientAccess(1, 10)
    calls = [access.is_allowed, access.isAllowed, access.release, access.jailed_until, access.forget]
    for call in [*calls, access.__contains__]:
        for bad in (5, 5.0, None, b"a", ["a"], object()):
            with pytest.raises(TypeError):
                call(bad)
        for bad in ("\ud800", "a\udcffb"):
            with pytest.raises(UnicodeEncodeError):
                call(bad)
        with pytest.raises(ValueError, match="key must be at most 1048576 bytes, not 1048577"):
            call("x" * (2**20 + 1))
    assert len(access) == 0


@pytest.mark.hazard("race-k-tokens")
@pytest.mark.parametrize("places", [1, 7, 5000])
def test_threads_on_one_client_get_exactly_the_limit(places, clock):
    access, threads, tries = ClientAccess(places, 10, clock=clock), 8, 5000
    start, before = threading.Barrier(threads), sys.getswitchinterval()

    def work(number):
        start.wait()
        # Some come a little late, as requests do that wait in another thread.
        return sum(access.is_allowed("a", 1000 + (number * i) % 7) for i in range(tries))

    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(threads) as pool:
            assert sum(pool.map(work, range(threads))) == places
    finally:
        sys.setswitchinterval(before)
    assert stats(access, "allowed", "denied") == (places, threads * tries - places)


@pytest.mark.hazard("python-copy")
def test_access_cannot_be_copied_and_a_jail_can():
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            attempt(ClientAccess(1, 1))
    jail = Jail(3, within=5, duration=60, factor=1.5, longest=600)
    assert (jail.denials, jail.within, jail.duration, jail.factor, jail.longest) == (3, 5.0, 60.0, 1.5, 600.0)
    for again in (copy.copy(jail), copy.deepcopy(jail), pickle.loads(pickle.dumps(jail))):
        assert again == jail
        assert hash(again) == hash(jail)
    assert jail != Jail(3, within=5, duration=60)
    assert repr(jail) == "Jail(3, within=5.0, duration=60.0, factor=1.5, longest=600.0)"
    assert repr(Jail(3, 5, 60)) == "Jail(3, within=5.0, duration=60.0)"


def test_subclasses_and_weak_references():
    class Server(ClientAccess):
        def is_allowed(self, client_id, access_time=None):
            return client_id == "friend" or super().is_allowed(client_id, access_time)

    server = Server(1, 10, clock=ManualClock())
    assert [server.is_allowed("friend") for _ in range(3)] == [True] * 3
    assert [server.is_allowed("a") for _ in range(3)] == [True, False, False]
