"""Limits by the calendar: each period ends at local midnight, whatever its length, and waits are exact."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import itertools
import pickle
import time
import zoneinfo

import pytest

import tollbar._calendars as calendars
from tollbar import Closed, InFlight, Limiter, ManualClock, Rate, Window

DAY = 86_400


def moment(zone, *when, fold=0):
    """Unix seconds of a local time."""
    return int(dt.datetime(*when, tzinfo=zoneinfo.ZoneInfo(zone), fold=fold).timestamp())


def limiter_at(unix, *limits, **options):
    clock = ManualClock(start=50, unix=unix)
    return Limiter(*limits, clock=clock, **options), clock


def check_end(limit, unix, end):
    """A key that has used its limit passes again at `end`, and not a nanosecond sooner."""
    limiter, clock = limiter_at(unix, limit)
    assert limiter.try_acquire("k", limit.limit)
    assert not limiter.try_acquire("k")
    decision = limiter.peek("k")
    assert (decision.reason, decision.retry_after) == ("window", end - unix)
    clock.advance_ns((end - unix) * 1_000_000_000 - 1)
    assert not limiter.peek("k").allowed
    clock.advance_ns(1)
    assert limiter.peek("k").remaining == limit.limit


@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize("year", [2024, 2025])
def test_a_month_ends_with_its_last_day(year, month):
    following = (year, month + 1, 1) if month < 12 else (year + 1, 1, 1)
    limit = Window(1000, per="month", zone="Europe/Berlin")
    check_end(limit, moment("Europe/Berlin", year, month, 1), moment("Europe/Berlin", *following))
    check_end(limit, moment("Europe/Berlin", year, month, 27, 13, 5), moment("Europe/Berlin", *following))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", (2026, 3, 29), 23),
        ("Europe/Berlin", (2026, 10, 25), 25),
        ("Europe/Berlin", (2026, 7, 1), 24),
        ("Australia/Sydney", (2026, 4, 5), 25),
        ("Australia/Sydney", (2026, 10, 4), 23),
        ("America/Santiago", (2025, 4, 5), 25),
        ("America/Sao_Paulo", (2018, 11, 4), 23),
        ("America/Sao_Paulo", (2018, 2, 17), 25),
        ("Asia/Beirut", (2024, 3, 31), 23),
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("Pacific/Apia", (2011, 12, 29), 24),
        ("UTC", (2024, 2, 29), 24),
    ],
)
def test_a_day_of_a_clock_change_is_longer_or_shorter(zone, day, hours):
    date = dt.date(*day)
    begins = next(second for second in calendars.beginnings("day", zone) if local_date(second, zone) == date)
    check_end(Window(3, per="day", zone=zone), begins, begins + int(hours * 3600))
    check_end(Window(3, per="day", zone=zone), begins + 3600 * 20, begins + int(hours * 3600))


def local_date(second, zone):
    return dt.datetime.fromtimestamp(second, zoneinfo.ZoneInfo(zone)).date()


ZONES = [
    "UTC", "Europe/Berlin", "Australia/Sydney", "America/Santiago", "America/Sao_Paulo", "Asia/Beirut",
    "Pacific/Apia", "Africa/Casablanca", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu",
]  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
def test_every_day_begins_with_its_first_second(zone):
    days = calendars.beginnings("day", zone)
    ends = (local_date(days[0], zone), local_date(days[-1], zone))
    assert ends == (dt.date(1970, 1, 1), dt.date(2101, 1, 1))
    for before, second in itertools.pairwise(days):
        date = local_date(second, zone)
        assert local_date(second - 1, zone) < date, date
        assert (date - local_date(before, zone)).days in (1, 2), date
    skipped = {local_date(second, zone) for second in days}
    everyday = {dt.date.fromordinal(day) for day in range(719_163, 767_011)}
    missing = everyday - skipped
    assert missing == ({dt.date(2011, 12, 30)} if zone == "Pacific/Apia" else set())


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("per", ["week", "month", "year"])
def test_longer_periods_begin_with_one_of_their_days(per, zone):
    begins = {
        "week": lambda d: d.weekday() == 0,
        "month": lambda d: d.day == 1,
        "year": lambda d: (d.month, d.day) == (1, 1),
    }
    days = [day for day in calendars.beginnings("day", zone) if begins[per](local_date(day, zone))]
    found = [second for second in calendars.beginnings(per, zone) if days[0] <= second <= days[-1]]
    assert found == days


def test_a_gap_that_begins_before_midnight_ends_in_the_next_day():
    zone = "America/Toronto"  # 1919-03-30 at 23:30 clocks were set to 00:30
    begins = calendars._begins(dt.date(1919, 3, 31), zoneinfo.ZoneInfo(zone))
    assert local_date(begins, zone) == dt.date(1919, 3, 31)
    assert local_date(begins - 1, zone) == dt.date(1919, 3, 30)
    assert dt.datetime.fromtimestamp(begins, zoneinfo.ZoneInfo(zone)).time() == dt.time(0, 30)


def test_weeks_begin_on_monday_and_years_in_january():
    sunday = moment("Europe/Rome", 2026, 8, 2, 23, 59, 59)
    check_end(Window(5, per="week", zone="Europe/Rome"), sunday, sunday + 1)
    check_end(Window(5, per="week", zone="Europe/Rome"), sunday + 1, sunday + 1 + 7 * DAY)
    check_end(Window(5, per="year"), moment("UTC", 2024, 1, 1), moment("UTC", 2025, 1, 1))
    check_end(Window(5, per="year"), moment("UTC", 2024, 1, 1), moment("UTC", 2023, 1, 1) + (365 + 366) * DAY)


def test_after_2100_the_last_length_repeats_and_1970_is_known():
    check_end(Window(2, per="day"), moment("UTC", 2150, 5, 5, 12), moment("UTC", 2150, 5, 6))
    check_end(Window(2, per="month"), 0, 31 * DAY)
    check_end(Window(2, per="month", zone="Europe/Berlin"), 0, 31 * DAY - 3600)


def test_a_thousand_a_month_beside_five_a_minute():
    limits = Window(1000, per="month", zone="Europe/Berlin"), Window(5, per=60)
    limiter, clock = limiter_at(moment("Europe/Berlin", 2026, 2, 28, 23, 59), *limits)
    assert limiter.try_acquire("u", 5)
    assert limiter.peek("u").limit == "5 in 60 s"
    clock.advance(61)
    for _ in range(200):
        assert limiter.try_acquire("u", 5)
        clock.advance(60)
    denied = limiter.decide("u")
    assert (denied.allowed, denied.limit) == (False, "1000 a month in Europe/Berlin")
    assert denied.retry_after == moment("Europe/Berlin", 2026, 4, 1) - clock.unix()
    assert [state.used for state in limiter.inspect("u")] == [1000, 0]


def test_what_is_reserved_counts_where_it_ends():
    midnight = moment("Europe/Rome", 2026, 5, 1)
    limiter, clock = limiter_at(midnight - 10, Window(10, per="month", zone="Europe/Rome"))
    early, late = limiter.reserve("k", 4), limiter.reserve("k", 3)
    early.commit()
    assert limiter.peek("k").remaining == 3
    clock.advance(20)
    assert limiter.peek("k").remaining == 7
    late.commit(5)
    assert limiter.peek("k").remaining == 5
    clock.advance(31 * DAY)
    assert limiter.peek("k").remaining == 10


def test_a_waiter_passes_when_its_period_begins():
    midnight = moment("America/Santiago", 2026, 9, 6)
    limiter, clock = limiter_at(midnight - 30, Window(1, per="day", zone="America/Santiago"))

    async def wait():
        assert limiter.try_acquire("k")
        task = asyncio.ensure_future(limiter.acquire("k"))
        await asyncio.sleep(0)
        clock.advance(30)
        limiter.release("k")  # serves those who wait
        await asyncio.wait_for(task, 10)

    asyncio.run(wait())
    assert limiter.peek("k").remaining == 0


def test_a_key_is_kept_until_its_period_ends():
    begins = moment("UTC", 2026, 2, 1)
    limiter, clock = limiter_at(begins, Window(2, per="month"), max_keys=1)
    assert limiter.try_acquire("a")
    assert limiter.peek("a").reset_after == 28 * DAY
    clock.advance(27 * DAY)
    assert limiter.decide("b").reason == "full"
    clock.advance(1 * DAY)
    assert limiter.try_acquire("b")


def test_other_limits_go_on_with_the_month():
    limiter, clock = limiter_at(moment("UTC", 2026, 2, 10), Window(10, per="month"))
    assert limiter.try_acquire("k", 7)
    limiter.set_limits(Window(20, per="month"))
    assert limiter.peek("k").remaining == 13
    limiter.set_limits(Rate(5, per=1))
    clock.advance(DAY)
    limiter.set_limits(Window(10, per="month"))
    assert limiter.peek("k").remaining == 3
    clock.advance(20 * DAY)
    assert limiter.peek("k").remaining == 10


def test_a_day_of_tokens_beside_a_month_of_requests():
    tokens, requests = Window(1000, per="day", name="tokens"), Window(3, per="month", name="requests")
    limiter, clock = limiter_at(moment("UTC", 2026, 2, 27), tokens, requests)
    assert limiter.try_acquire("k", costs={"tokens": 900})
    assert limiter.decide("k", costs={"tokens": 101}).limit == "tokens"
    with limiter.reserve("k", costs={"tokens": 100}, lease=None) as held:
        clock.advance(DAY)
        assert limiter.inspect("k", 1)[0].used == 100
        limiter.set_limits(requests)
        held.commit(actuals={"tokens": 40})
    limiter.set_limits(tokens, requests)
    assert [state.used for state in limiter.inspect("k", 1)] == [40, 2]
    clock.advance(DAY)
    assert [state.used for state in limiter.inspect("k", 1)] == [0, 0]


def test_drain_block_and_state():
    limiter, _ = limiter_at(moment("UTC", 2026, 2, 28, 12), Window(10, per="day", name="daily"))
    limiter.drain("k", to=2)
    state = limiter.inspect("k", 3)[0]
    assert (state.name, state.kind, state.limit, state.used, state.remaining) == ("daily", "window", 10, 8, 2)
    assert (state.reset_after, state.retry_after) == (DAY / 2, DAY / 2)
    limiter.block("k", 3600)
    assert limiter.decide("k").reason == "blocked"
    shadow, _ = limiter_at(0, Window(1, per="day", shadow=True))
    assert shadow.try_acquire("k") and shadow.decide("k").limit == "1 a day in UTC"
    assert shadow.stats()["shadow_denied"] == 1


def test_a_calendar_limit_is_a_value():
    window = Window(1000, per="month", zone="Europe/Rome", name="monthly")
    assert (window.limit, window.per, window.zone, window.name) == (1000, "month", "Europe/Rome", "monthly")
    assert (window.edge, window.steps, Window(5, per=60).zone) == ("half_open", None, None)
    for same in (
        Window(1000, "month", zone=zoneinfo.ZoneInfo("Europe/Rome"), name="monthly"),
        pickle.loads(pickle.dumps(window)),
        copy.deepcopy(window),
    ):
        assert (same, hash(same), repr(same)) == (window, hash(window), repr(window))
    assert repr(Window(5, per="day")) == "Window(5, per='day', zone='UTC')"
    assert repr(Window(5, per="day", shadow=True)) == "Window(5, per='day', zone='UTC', shadow=True)"
    assert (
        Window(5, per="day", zone=dt.timezone.utc) == Window(5, per="day", zone="UTC") == Window(5, per="day")
    )
    different = {
        Window(5, per="day"),
        Window(6, per="day"),
        Window(5, per="week"),
        Window(5, per="day", zone="Asia/Tokyo"),
    }
    assert len(different) == 4
    zero = Limiter(InFlight(5), policies=lambda key: Window(0, per="day"))
    assert zero.decide("k").reason == "closed"
    assert Closed() != Window(0, per="day")


def test_what_is_no_calendar_is_refused():
    def refused(*arguments, error=ValueError, **options):
        with pytest.raises(error) as raised:
            Window(*arguments, **options)
        return str(raised.value)

    assert (
        refused(5, "moon")
        == "per must be a number of seconds, 'day', 'week', 'month' or 'year', not \"moon\""
    )
    assert refused(5, "day", zone="Mars/Olympus") == (
        "zone must be the name of a time zone of this machine, not 'Mars/Olympus': "
        "use a name like 'Europe/Rome'; a machine without time zones needs the package tzdata"
    )
    for name in ("", "../etc/passwd", "/etc/passwd", "Europe", "x\0y"):
        assert refused(5, "day", zone=name).startswith("zone must be the name of a time zone of this machine")
    assert refused(5, 60, zone="UTC").startswith("zone must be left out where per is a number of seconds")
    assert refused(5, "day", steps=4).startswith('steps must be left out where per is "day"')
    assert refused(5, "day", edge="closed").startswith('edge must be left out where per is "day"')
    assert (
        refused(5, "day", zone=5, error=TypeError)
        == "zone must be the name of a time zone or a ZoneInfo, not int"
    )
    tz = dt.timezone(dt.timedelta(hours=1))
    assert refused(5, "day", zone=tz, error=TypeError).endswith("not timezone")
    assert refused(5, ["day"], error=TypeError) == "per must be a number of seconds, not list"
    assert refused(2**53 + 1, "day").startswith("limit must be at most 9,007,199,254,740,992")
    assert refused(-1, "day").startswith("limit must be at least 0")
    with pytest.raises(ValueError, match="limit must be at least 1, not Window"):
        Limiter(Window(0, per="day"))


def test_a_zone_is_read_once(monkeypatch):
    first = Window(5, per="day", zone="Asia/Kolkata")
    monkeypatch.setattr(calendars, "beginnings", None)
    assert Window(5, per="day", zone="Asia/Kolkata") == first
    with pytest.raises(TypeError):
        Window(5, per="week", zone="Asia/Kolkata")


def test_the_system_clock_ends_the_day_at_midnight():
    limiter = Limiter(Window(1, per="day", zone="Europe/Rome"))
    before = time.time()
    assert limiter.try_acquire("k")
    wait = limiter.peek("k").retry_after
    after = time.time()
    days = [local_date(now, "Europe/Rome") + dt.timedelta(days=1) for now in (before, after)]
    ends = [moment("Europe/Rome", day.year, day.month, day.day) for day in days]
    assert any(before - 1 <= end - wait <= after + 1 for end in ends)
