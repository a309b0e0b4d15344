"""A plain model of the original dispatcher's limiter: a list of stamps an account, counted at every check.

What it says of the declared differences stands in its two options.
"""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 86400
WINDOWS = {"limit_per_minute": MINUTE, "limit_per_hour": HOUR, "limit_per_day": DAY}


def limits_of(account):
    """Say which windows are limited, to what."""
    given = {length: account.get(name) for name, length in WINDOWS.items()}
    return {length: int(limit) for length, limit in given.items() if limit is not None and int(limit) > 0}


class Dispatcher:
    def __init__(self, *, trims_at_log: bool = False, log_unlimited: bool = True) -> None:
        self.trims_at_log = trims_at_log
        self.log_unlimited = log_unlimited
        self.sent: dict[str, list[int]] = {}
        self.in_flight: dict[str, int] = {}
        self.without_limits: set[str] = set()

    def trim(self, account_id, now):
        stamps = self.sent.get(account_id, [])
        old = next((at for at, stamp in enumerate(stamps) if stamp > now - DAY), len(stamps))
        del stamps[:old]

    def count(self, account_id, since):
        return sum(stamp > since for stamp in self.sent.get(account_id, ()))

    def check(self, account, now):
        account_id, limits = account["id"], limits_of(account)
        if not limits:
            self.without_limits.add(account_id)
            return None, False
        self.without_limits.discard(account_id)
        self.trim(account_id, now)
        flying = self.in_flight.get(account_id, 0)
        for length, limit in limits.items():
            if self.count(account_id, now - length) + flying >= limit:
                return now - now % length + length, account.get("limit_behavior", "defer") == "reject"
        self.in_flight[account_id] = flying + 1
        return None, False

    def release(self, account_id):
        if self.in_flight.get(account_id, 0) == 0:
            return False
        self.in_flight[account_id] -= 1
        return True

    def log(self, account_id, now):
        reserved = self.release(account_id)
        if self.trims_at_log:
            self.trim(account_id, now)
        if self.log_unlimited or reserved or account_id not in self.without_limits:
            self.sent.setdefault(account_id, []).append(now)

    def purge(self, account_id):
        self.in_flight.pop(account_id, None)
        self.without_limits.discard(account_id)
        return len(self.sent.pop(account_id, ()))

    def clear(self):
        self.sent.clear()
        self.in_flight.clear()
        self.without_limits.clear()
