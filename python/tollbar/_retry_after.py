"""What a server says by `Retry-After`: a number of seconds, or an HTTP date."""

from __future__ import annotations

import re
from datetime import timezone
from email.utils import parsedate_to_datetime

LONGEST = 86_400.0
"""A day. A server that says more is asked again after a day: a Unix time by mistake would mean decades."""

# No date and no sensible number is longer.
LONGEST_TEXT = 64
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


def seconds(said: object, unix: float) -> float | None:
    """Seconds from the Unix time `unix` on, from 0 to a day; None for a text that says neither.

    A date may have any of the three forms of RFC 9110. One that is past is 0.
    """
    if not isinstance(said, str) or len(said) > LONGEST_TEXT or not said.isascii():
        return None
    said = said.strip()
    if NUMBER.fullmatch(said):
        return min(float(said), LONGEST)
    try:
        date = parsedate_to_datetime(said)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    if date.tzinfo is None:  # the form of asctime names no zone and means this one
        date = date.replace(tzinfo=timezone.utc)
    return min(max(date.timestamp() - unix, 0.0), LONGEST)
