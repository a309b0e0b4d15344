"""tollbar: may this account send one more message now? A native rate limiter.

`RateLimiter` and `TokenBucket` drop in for a mail proxy's own classes of these names; `Limiter` limits
anything that has a name. Everything here is safe to use from any number of threads and event loops.
"""

from tollbar._late import AcquireTimeout, NeverFits
from tollbar._tollbar import (
    Closed,
    Decision,
    InFlight,
    Jail,
    Limiter,
    LimitState,
    ManualClock,
    Rate,
    RateLimiter,
    RateLimitExceeded,
    Reservation,
    TokenBucket,
    Window,
    __version__,
    build_profile,
    c_handle,
)

__all__ = [
    "AcquireTimeout",
    "Closed",
    "Decision",
    "InFlight",
    "Jail",
    "LimitState",
    "Limiter",
    "ManualClock",
    "NeverFits",
    "Rate",
    "RateLimitExceeded",
    "RateLimiter",
    "Reservation",
    "TokenBucket",
    "Window",
    "__version__",
    "build_profile",
    "c_handle",
]

if build_profile == "debug":  # pragma: no cover - a release build cannot come here
    import warnings

    warnings.warn(
        "this is a debug build of tollbar: many times slower than a release build (pip install . makes one)",
        RuntimeWarning,
        stacklevel=2,
    )
