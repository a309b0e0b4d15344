"""The periods of the calendar in a time zone, for `Window(1000, per="month", zone="Europe/Rome")`."""

from __future__ import annotations

import datetime as dt
import zoneinfo

# From the first period that begins in 1970 to the end of 2100. Beyond either end, the length there repeats.
_FIRST = dt.date(1970, 1, 1)
_LAST = dt.date(2101, 1, 1)
_BLOCK = 8


def zone(name: str) -> zoneinfo.ZoneInfo:
    """Find the time zone of this name; ValueError if the machine does not know it."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = (
            f"zone must be the name of a time zone of this machine, not {name!r}: "
            "use a name like 'Europe/Rome'; a machine without time zones needs the package tzdata"
        )
        raise ValueError(message) from error


def beginnings(per: str, name: str) -> list[int]:
    """List when the days, weeks, months or years begin in a zone: Unix seconds, rising."""
    where = zone(name)
    if per == "day":
        found = _days(where)
    elif per == "week":
        monday = _FIRST.toordinal() - _FIRST.weekday()
        found = [_begins(dt.date.fromordinal(day), where) for day in range(monday, _LAST.toordinal() + 7, 7)]
    else:
        months = range(1, 13) if per == "month" else (1,)
        years = range(_FIRST.year, _LAST.year)
        found = [_begins(dt.date(year, month, 1), where) for year in years for month in months]
        found.append(_begins(_LAST, where))
    # A day that the zone skipped begins and ends at the same moment.
    return sorted(set(found))


def _days(where: zoneinfo.ZoneInfo) -> list[int]:
    """List when every day begins.

    In a block that is as long as its number of days, every day has 24 hours.
    """
    found: list[int] = []
    first, last = _FIRST.toordinal(), _LAST.toordinal()
    here = _begins(_FIRST, where)
    for day in range(first, last, _BLOCK):
        after = min(day + _BLOCK, last)
        there = _begins(dt.date.fromordinal(after), where)
        if there - here == (after - day) * 86_400:
            found.extend(range(here, there, 86_400))
        else:
            found.extend(_begins(dt.date.fromordinal(each), where) for each in range(day, after))
        here = there
    return [*found, here]


def _begins(day: dt.date, where: zoneinfo.ZoneInfo) -> int:
    """Find the first second of a day: the first of two midnights, or the end of a gap that midnight is in."""
    midnight = dt.datetime(day.year, day.month, day.day, tzinfo=where)
    second = int(midnight.timestamp())
    # In a gap, `fold=1` is read by the offset after it, which is earlier; the change lies between the two.
    before = int(midnight.replace(fold=1).timestamp())
    if before >= second:
        return second
    while second - before > 1:
        between = (second + before) // 2
        if dt.datetime.fromtimestamp(between, where).date() < day:
            before = between
        else:
            second = between
    return second
