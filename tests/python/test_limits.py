"""Several limits on a key: windows, in-flight, jail and rates, charged together or not at all."""

from __future__ import annotations

import copy
import pickle

import pytest

from tollbar import AcquireTimeout, InFlight, Jail, Limiter, Rate, Window


def test_a_window_alone(clock):
    limiter = Limiter(Window(3, per=10), clock=clock)
    assert [limiter.try_acquire("a") for _ in range(4)] == [True, True, True, False]
    clock.advance(4)
    decision = limiter.decide("a")
    assert (decision.reason, decision.limit, decision.retry_after) == ("window", "3 in 10 s", 6.0)
    assert (decision.remaining, decision.reset_after) == (0, 6.0)
    clock.advance_ns(5_999_999_999)
    assert not limiter.try_acquire("a")
    assert limiter.plan("a") == 1e-9
    clock.advance_ns(1)
    assert limiter.plan("a", 3) == 0.0
    assert limiter.plan("a", 4) is None
    assert limiter.decide("a", 2).remaining == 1


@pytest.mark.parametrize("edge", ["half_open", "closed", "strict"])
def test_the_edge_decides_about_what_is_a_width_old(clock, edge):
    limiter = Limiter(Window(1, per=10, edge=edge), clock=clock)
    assert limiter.try_acquire("a")
    clock.advance(10)
    assert limiter.try_acquire("a") is (edge == "half_open")
    clock.advance_ns(1)
    assert limiter.try_acquire("a") is (edge != "half_open")


def test_steps_hold_every_window_to_the_limit_and_give_back_a_step_late(clock):
    limiter = Limiter(Window(5, per=10, steps=5), clock=clock)
    clock.advance(1)
    assert limiter.try_acquire("a", 5)
    clock.advance(10)
    assert not limiter.try_acquire("a"), "its step ends at 2"
    assert limiter.plan("a", 5) == 1.0
    clock.advance(1)
    assert limiter.try_acquire("a", 5)


def test_all_limits_are_charged_or_none(clock):
    limiter = Limiter(Rate(10, per=10), Window(6, per=60), Window(100, per=3600), clock=clock)
    assert limiter.try_acquire("a", 6)
    denied = limiter.decide("a")
    assert (denied.reason, denied.limit, denied.retry_after) == ("window", "6 in 60 s", 60.0)
    clock.advance(60)
    for _ in range(50):
        assert not limiter.try_acquire("a", 7)
    assert limiter.decide("a", 6), "nothing was charged to the rate by those that the window refused"
    assert limiter.peek("a").remaining == 0
    assert limiter.decide("a", 11).reason == "never"


def test_the_decision_names_the_limit_with_the_longest_wait(clock):
    limiter = Limiter(Window(1, per=10, name="short"), Window(1, per=100, name="long"), clock=clock)
    assert limiter.try_acquire("a")
    assert limiter.decide("a").limit == "long"
    assert limiter.decide("a").retry_after == 100.0


def test_a_jail_takes_whoever_does_not_stop(clock):
    limiter = Limiter(Window(1, per=10), Jail(denials=3, within=5, duration=60, factor=2), clock=clock)
    assert limiter.try_acquire("a")
    assert [limiter.decide("a").reason for _ in range(3)] == ["window", "window", "jail"]
    assert limiter.decide("a").retry_after == 60.0
    clock.advance(59)
    assert not limiter.try_acquire("a"), "denials inside do not prolong it"
    clock.advance(1)
    assert limiter.try_acquire("a")
    for _ in range(3):
        limiter.try_acquire("a")
    assert limiter.plan("a") == 120.0
    assert limiter.release("a") is True
    assert limiter.release("a") is False
    assert limiter.decide("a").reason == "window"
    assert limiter.peek("b", 2).reason == "never"
    assert not any(limiter.try_acquire("b", 2) for _ in range(5))
    assert "b" not in limiter, "what can never pass leaves no trace"


def test_denials_from_elsewhere_count_too(clock):
    limiter = Limiter(Jail(denials=3, within=60, duration=600), clock=clock)
    assert [limiter.penalize("198.51.100.7") for _ in range(3)] == [False, False, True]
    assert not limiter.try_acquire("198.51.100.7")
    assert limiter.try_acquire("198.51.100.8")
    clock.advance(600)
    assert limiter.try_acquire("198.51.100.7")
    assert Limiter(Rate(5, per=1)).penalize("a") is False


def test_shadow_limits_count_and_deny_nothing(clock):
    limiter = Limiter(
        Rate(100, per=1),
        Window(2, per=10, shadow=True, name="maybe"),
        InFlight(1, shadow=True, name="lanes"),
        clock=clock,
    )
    assert all(limiter.try_acquire("a") for _ in range(5))
    decision = limiter.decide("a")
    assert (decision.allowed, decision.shadowed, decision.limit) == (True, True, "maybe")
    assert limiter.shadow_denied() == {"maybe": 4}
    clock.advance(10)
    assert not limiter.decide("a").shadowed, "nothing over its limit was charged to it"
    first, second = limiter.reserve("a"), limiter.reserve("a")
    assert first and second
    assert limiter.shadow_denied() == {"maybe": 5, "lanes": 1}
    first.cancel()
    second.cancel()
    assert limiter.stats()["shadow_denied"] == 5


def test_denials_are_counted_by_limit_and_by_reason(clock):
    limiter = Limiter(Rate(2, per=10, name="rate"), Window(3, per=100, name="window"), clock=clock)
    assert limiter.try_acquire("a", 2)
    assert not limiter.try_acquire("a")
    assert not limiter.try_acquire("a", 9)
    with pytest.raises(AcquireTimeout):
        limiter.acquire_blocking("a", timeout=0)
    clock.advance(10)
    assert not limiter.try_acquire_all(["a"], 2)
    limiter.block("a", 1000)
    assert not limiter.try_acquire("a")
    stats = limiter.stats()
    assert stats["denied_by_limit"] == {"rate": 1, "window": 1}
    assert stats["denied_by_reason"] == {"rate": 1, "window": 1, "never": 1, "blocked": 1, "timeout": 1}
    assert stats["denied"] == sum(stats["denied_by_reason"].values())


def test_a_shadow_rate_alone_is_counted_by_name(clock):
    limiter = Limiter(Rate(1, per=10, shadow=True, name="slow"), clock=clock)
    assert all(limiter.try_acquire("a") for _ in range(3))
    assert limiter.shadow_denied() == {"slow": 2}


def test_windows_keys_and_rates_together(clock):
    limiter = Limiter(
        Window(2, per=10, name="account"),
        policies={"@example.org": Rate(3, per=30, name="domain"), "everybody": (Window(100, per=1),)},
        clock=clock,
    )
    keys = ["a@example.org", "@example.org", "everybody"]
    assert limiter.try_acquire_all(keys, 2)
    denied = limiter.try_acquire_all(keys)
    assert (denied.key, denied.limit, denied.retry_after) == ("a@example.org", "account", 10.0)
    assert limiter.try_acquire_all(["b@example.org", *keys[1:]])
    denied = limiter.try_acquire_all(["b@example.org", *keys[1:]])
    assert (denied.key, denied.limit, denied.reason) == ("@example.org", "domain", "rate")
    assert limiter.peek("b@example.org").remaining == 1
    assert limiter.peek("everybody").remaining == 97


def test_a_jail_counts_denials_of_hierarchies_but_not_what_can_never_pass(clock):
    jailed = (Window(10, per=100), Jail(1, 10, 600))
    limiter = Limiter(Window(3, per=100), policies={"a": jailed}, clock=clock)
    assert limiter.try_acquire("a", 10)
    assert limiter.try_acquire_all(["a", "b"], 5).reason == "never"
    assert limiter.decide("a", 0).allowed
    assert limiter.peek("a").reason == "window", "not jailed for it"
    assert limiter.try_acquire_all(["a", "b"], 2).key == "a"
    assert limiter.peek("a").reason == "jail"
    assert limiter.peek("b").remaining == 3


def test_a_full_table_of_windows_forgives_nobody(clock):
    limiter = Limiter(Window(1, per=100), max_keys=8, clock=clock)
    assert all(limiter.try_acquire(str(n)) for n in range(8))
    assert limiter.decide("stranger").reason == "full"
    clock.advance(100)
    assert limiter.try_acquire("stranger")
    assert limiter.stats()["forgiven"] == 0


def test_an_account_with_a_reservation_does_not_go(clock):
    limiter = Limiter(InFlight(1), max_keys=4, when_full="evict_least", clock=clock)
    held = [limiter.reserve(str(n)) for n in range(4)]
    for n in range(200):
        limiter.try_acquire(f"stranger {n}")
    assert [limiter.peek(str(n)).reason for n in range(4)] == ["in_flight"] * 4
    assert all(place.cancel() for place in held)


@pytest.mark.hazard("clock-back")
@pytest.mark.parametrize("back", [1e-9, 1, 30, 3600])
def test_a_clock_that_steps_back_admits_no_more_and_locks_out_no_longer_than_the_window(clock, back):
    limiter = Limiter(Window(2, per=60), Jail(100, 1, 1), clock=clock)
    clock.advance(7200)
    assert limiter.try_acquire("a", 2)
    clock.advance(-back)
    assert not limiter.try_acquire("a")
    assert limiter.plan("a") <= 60
    clock.advance(limiter.plan("a"))
    assert limiter.try_acquire("a", 2)


@pytest.mark.hazard("clock-back")
def test_what_was_forgotten_is_not_let_through_again_after_a_step_back(clock):
    limiter = Limiter(Window(2, per=60), clock=clock)
    assert limiter.try_acquire("a", 2)
    clock.advance(3600)
    assert limiter.try_acquire("a")
    clock.advance(-3590)
    assert not limiter.try_acquire("a"), "at 10 s two were let through"
    assert limiter.plan("a") <= 60
    clock.advance(60)
    assert limiter.try_acquire("a")


VALUES = [
    Window(5, per=2.5),
    Window(5, per=2.5, edge="closed", name="w", shadow=True),
    Window(5, per=60, steps=12),
    InFlight(3),
    InFlight(3, shadow=True, name="lanes"),
    Jail(3, 60, 600),
    Jail(3, 60, 600, factor=2, longest=1e6, shadow=True, name="cell"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_limits_are_values(value):
    for twin in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert twin == value
        assert hash(twin) == hash(value)
        assert repr(twin) == repr(value)
        assert (twin.name, twin.shadow) == (value.name, value.shadow)
    assert len(set(VALUES)) == len(VALUES)
    assert value != object()


@pytest.mark.hazard("construction-values")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Window(2**53 + 1, per=1),
            "limit must be at most 9,007,199,254,740,992, not 9007199254740993",
        ),
        (lambda: Window(2**53 + 1, per=1, steps=5), "limit must be at most 9,007,199,254,740,992"),
        (lambda: InFlight(2**32), "limit must be at most 4,294,967,295"),
        (lambda: Window(1, per=0), "per must be at least 1 ns, not 0"),
        (lambda: Window(1, per=1e9), "per must be at most 4.5 years"),
        (lambda: Window(1, per=float("nan")), "per must be"),
        (lambda: Window(1, per=-1), "per must be at least 0"),
        (lambda: Window(1, per=1, steps=0), "steps must be at least 1"),
        (lambda: Window(1, per=1, edge="open"), "edge must be"),
        (lambda: InFlight(-1), "limit must be at least 0"),
        (lambda: Jail(0, 1, 1), "denials must be at least 1"),
        (lambda: Jail(1, 1e9, 1), "within must be at most 4.5 years"),
    ],
)
def test_what_is_no_limit_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("bad", ["5", None, True])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(TypeError):
        Window(bad, per=1)
    with pytest.raises(TypeError):
        InFlight(bad)
