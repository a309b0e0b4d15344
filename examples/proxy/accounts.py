"""Accounts whose limit stands in their name, so that the proxy and its clients need no common table."""

from __future__ import annotations

from tollbar.demo.traffic import Account, RateConfig

_DOMAIN = "@example.org"
# An hour gives no token back within the minutes of a run: exactly so many messages pass.
LIMITS = (3, 5, 10, 20)


def name(number: int) -> str:
    """Name the account of this number, for example `limit5-1@example.org`."""
    return f"limit{LIMITS[number % len(LIMITS)]}-{number}{_DOMAIN}"


def account(email: str | None) -> Account | None:
    """Look an account up, as a proxy would in its directory."""
    if not email or not email.startswith("limit") or not email.endswith(_DOMAIN):
        return None
    limit = email.removeprefix("limit").partition("-")[0]
    if not limit.isdecimal():
        return None
    return Account(email, int(limit), RateConfig(int(limit)))
