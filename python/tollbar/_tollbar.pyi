"""The native part of tollbar; import everything from `tollbar` itself.

Durations are float seconds, rounded up, so that whoever waits as long as told is not refused again.
Every object here may be used from any thread and any event loop at once.
"""

from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from types import TracebackType
from typing import (
    Any,
    Final,
    Literal,
    Protocol,
    SupportsIndex,
    TypeAlias,
    TypedDict,
    TypeVar,
    final,
    overload,
)
from zoneinfo import ZoneInfo

from typing_extensions import CapsuleType, Self, disjoint_base

from tollbar._limited import Limited
from tollbar._views import Buckets, CreatedAt
from tollbar._waiting import Slot

__all__ = [
    "ClientAccess",
    "Closed",
    "Decision",
    "InFlight",
    "Jail",
    "LimitState",
    "Limiter",
    "LoopClock",
    "ManualClock",
    "Pacing",
    "Rate",
    "RateLimitExceeded",
    "RateLimiter",
    "RateLimiterTimeout",
    "Reservation",
    "SlidingWindow",
    "TokenBucket",
    "Turn",
    "Waiting",
    "Window",
    "__version__",
    "build_profile",
    "c_api",
    "c_handle",
]

__version__: Final[str]
build_profile: Final[Literal["debug", "release"]]
_fast_entries: Final[int]

c_api: Final[CapsuleType]
"""The functions of `include/tollbar.h` for extension modules, as a `const struct tollbar_api *`.

In C: `PyCapsule_Import("tollbar._tollbar.c_api", 0)`. A library that is linked beside it is another copy,
with limiters of its own.
"""

def c_handle(limiter: Limiter | RateLimiter, /) -> int:
    """Lend a limiter to C code in this process: the `id` of a `struct tollbar_limiter`.

    Both then charge the same accounts. The handle is the caller's, to be freed with `limiter_free`; the
    limiter lives at least as long, whether Python still has it or not. A key that C sees first gets the
    limits that the limiter was made with: `policies`, and what an account's own configuration says, are
    Python's. C's denials are not logged, but count for `log_interval` as if they were.

    From the first call on, decisions from Python take the care that threads need beside each other, for good:
    about a fifth more for each. Decisions in C need no interpreter lock, and one that takes long
    (`acquire`, a batch) should be made without it.
    """

_T = TypeVar("_T")
_WhenFull: TypeAlias = Literal["deny", "allow", "evict_least"]
_Whole: TypeAlias = SupportsIndex | float
_Clock: TypeAlias = ManualClock | LoopClock | None
_Costs: TypeAlias = dict[str, int] | None

class _RateLimitingConfig(Protocol):
    @property
    def messages_per_hour(self) -> _Whole: ...

class _Loop(Protocol):
    """What a `LoopClock` needs of an event loop."""

    def time(self) -> float: ...

class _Account(Protocol):
    """Whatever account object the proxy has."""

    def get_rate_limiting_config(self) -> _RateLimitingConfig | None: ...

class _BucketState(TypedDict):
    tokens: float
    capacity: int
    refill_rate: float

class _LimiterState(TypedDict):
    accounts: int
    buckets: dict[str, _BucketState]

@final
class _Ready(Coroutine[Any, Any, _T]):
    """An awaitable whose answer is known already; asyncio takes it for a coroutine."""

    def __await__(self) -> Generator[Any, Any, _T]: ...
    def __iter__(self) -> _Ready[_T]: ...
    def __next__(self) -> Any: ...
    def send(self, _value: Any, /) -> Any: ...
    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> Any: ...
    def close(self) -> None: ...

@disjoint_base
class RateLimitExceeded(Exception):
    """Raised by `RateLimiter.acquire` when an account may not send now.

    Its message is its one argument, put into words only when somebody reads it. Both attributes are None on
    an exception that tollbar did not raise. It can be pickled, copied and subclassed.
    """

    def __new__(cls, *args: object) -> Self: ...

    account_email: str | None
    """The account that was refused."""
    retry_after: float | None
    """Seconds until the same request would pass if nobody else sends; infinity: never."""

@final
class ManualClock:
    """A clock that stands still until it is moved, for tests: `RateLimiter(clock=ManualClock())`.

    It carries two readings that move together: the monotonic one that limits go by, from `start`, and
    the wall clock that `last_refill` and `bucket_created_at` show, from `unix`. Both are kept in whole
    nanoseconds. ValueError for a negative start, or for what is no finite number of seconds.

    A move wakes the waiters whose time has come, in every language and from any thread: tasks, threads, paced
    requests. Such waiters set no timer of their own, so they wait until the clock is moved.
    """

    def __new__(cls, start: float = 0.0, unix: float = 0.0) -> Self: ...
    def advance(self, seconds: float) -> None:
        """Move both readings by so many seconds (to the nearest nanosecond), backwards when negative."""
    def advance_ns(self, nanoseconds: int) -> None:
        """Move both readings by exactly so many nanoseconds. Neither goes below 0."""
    def now(self) -> float:
        """Return the monotonic reading in seconds."""
    def now_ns(self) -> int:
        """Return the monotonic reading in nanoseconds."""
    def unix(self) -> float:
        """Return the wall clock's reading in Unix seconds."""
    def until_next(self) -> float | None:
        """Return in how many seconds the next waiter looks again; None if no waiter has a timer.

        A simulation moves the clock by this much, again and again.
        """

@final
class LoopClock:
    """The time of an event loop, for tests in virtual time: `Limiter(..., clock=LoopClock())`.

    Its reading is `loop.time()`; without a loop, that of the one that runs at the first use, of asyncio or
    trio. Every call of a limiter first asks the loop, which costs about 0.2 us. Waiters set timers
    of the loop, so they jump with it; a waiting thread looks every 100 ms of real time.

    It never goes back. Where the loop of the first use has been closed, it goes on from its last reading with
    the loop that runs then; in between it stands still. The wall clock starts from `unix` (the system's time
    unless given) and moves with the loop. C code that shares the limiter sees the time of Python's last call.

    RuntimeError from the limiter's call if no loop runs at the first use; TypeError for what has no `time`.
    """

    def __new__(cls, loop: _Loop | None = None, *, unix: float | None = None) -> Self: ...
    def now(self) -> float:
        """Return the loop's time in seconds."""
    def now_ns(self) -> int:
        """Return the loop's time in nanoseconds."""
    def unix(self) -> float:
        """Return the wall clock's reading in Unix seconds."""

@final
class Rate:
    """At most `limit` in every `per` seconds on average, of which up to `burst` at once.

    A token bucket in its GCRA form (ITU-T I.371): a token flows in every per/limit seconds, up to
    `burst` (the limit, unless given). Any closed window of w seconds admits at most
    burst + floor(w * limit / per): with the default burst that is nearly twice the limit in one period.
    `strict=True` admits at most `limit` in *every* window of `per` seconds, at the price of a slower
    refill, (limit - burst) / per; its burst is a tenth of the limit unless given.

    These bounds count by the clock readings that decide. A yes may be decided by a reading up to one tick
    old (10 ms at most, typically 4 ms or 1 ms). So in real time a window of w seconds admits at most
    burst + (w + tick) / T with a token in every T seconds, and a strict window of `per` seconds at most
    limit + tick / T.

    `shadow=True` counts what it would have denied and denies nothing. `name` is what a `Decision` calls
    the limit; "10000 per 3600 s" unless given.

    ValueError for what cannot be limited: limits or bursts of 0, more than 10,000,000 a second, bursts
    above 2**32 - 1, and buckets that take longer than 4.5 years to fill. TypeError for what is no number.
    """

    def __new__(
        cls,
        limit: _Whole,
        per: float,
        burst: _Whole | None = None,
        strict: bool = False,
        *,
        shadow: bool = False,
        name: str | None = None,
    ) -> Self: ...
    @property
    def limit(self) -> int:
        """Tokens in each period."""
    @property
    def per(self) -> float:
        """The period in seconds."""
    @property
    def burst(self) -> int:
        """The most tokens that may be taken at once."""
    @property
    def strict(self) -> bool:
        """Whether no window of a period ever admits more than the limit."""
    @property
    def shadow(self) -> bool:
        """Whether the limit only counts."""
    @property
    def name(self) -> str:
        """What a decision calls this limit."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Window:
    """At most `limit` in any `per` seconds, exactly: a sliding-window log. Or in each period of a calendar.

    Memory follows the admitted requests, not their cost: a quota in bytes takes no more than one in requests.
    A request is an entry, kept while it counts. An entry takes 8 bytes (at most 9 from 1,000 on) while every
    cost is 1, and 16 bytes (at most 18 from 1,000 on) once another cost is admitted. A decision looks at one
    entry, which it finds in O(1) or, among other costs than 1, in O(log entries). All windows of one key
    share one log.

    edge: "half_open" counts what happened at t while t > now - per; "closed" still counts what is exactly
    `per`
        old, and so does "strict" ("free only when now - t > per"), which is another word for it.
    steps: keep one count for each of so many steps of the width instead of an entry for each request: 16
    bytes
        a step, whatever the limit is. What happened within a step counts until all of the step has left, so
        no window ever holds more than `limit`, and room comes back up to per / steps seconds late.

    per="day", "week" (from Monday), "month" or "year": at most `limit` in each of them, in 32 bytes a key.
        The count begins anew at local midnight in `zone`, on days of 23 and of 25 hours, too. `retry_after`
        is the exact time until then. `edge` and `steps` are for sliding windows alone.
    zone: the name of a time zone, a `ZoneInfo`, of which the name counts, or `datetime.timezone.utc`; "UTC"
        unless given. Its days are known until the end of 2100; then the last length repeats. A machine
        without time zones needs the package `tzdata`.

    By the calendar, a key reads the wall clock when a period begins for it. A later step of the wall clock
    does not change the period's end, and a suspended machine delays it. What is reserved counts until it is
    committed, and then in the period of that moment.

    `shadow=True` counts what it would have denied and denies nothing. `name` is what a `Decision` calls the
    limit; "100 in 60 s" or "100 a month in Europe/Rome" unless given.

    A value: may be compared, hashed, copied and pickled. ValueError for limits above 2**53, for windows
    below 1 ns or beyond 4.5 years, for steps of 0 or above 65,536, and for zones that the machine does not
    know; TypeError for what is no number.
    """

    def __new__(
        cls,
        limit: _Whole,
        per: float | Literal["day", "week", "month", "year"],
        *,
        edge: Literal["half_open", "closed", "strict"] = "half_open",
        steps: _Whole | None = None,
        shadow: bool = False,
        name: str | None = None,
        zone: str | ZoneInfo | timezone | None = None,
    ) -> Self: ...
    @property
    def limit(self) -> int:
        """The most that any window holds."""
    @property
    def per(self) -> float | Literal["day", "week", "month", "year"]:
        """The window's width in seconds, or the unit of the calendar."""
    @property
    def zone(self) -> str | None:
        """The name of the time zone; None: the window slides."""
    @property
    def edge(self) -> Literal["half_open", "closed"]:
        """Whether what is exactly a width old still counts."""
    @property
    def steps(self) -> int | None:
        """How many steps the width is cut into; None: every request has an entry of its own."""
    @property
    def shadow(self) -> bool:
        """Whether the limit only counts."""
    @property
    def name(self) -> str:
        """What a decision calls this limit."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class InFlight:
    """At most `limit` reserved and neither committed nor cancelled: see `Limiter.reserve`.

    `try_acquire` needs a free place but holds none. When a place comes free is known only when it does: the
    `retry_after` of a denial is when the lease ends that is in the way, at the latest. `shadow=True` counts
    what it would have denied and denies nothing. `name` is what a `Decision` calls the limit; "5 in flight"
    unless given.

    A value: may be compared, hashed, copied and pickled. ValueError for limits above 2**32 - 1. A limit of
    0 lets nothing pass, as `Closed` does.
    """

    def __new__(cls, limit: _Whole, *, shadow: bool = False, name: str | None = None) -> Self: ...
    @property
    def limit(self) -> int:
        """The most that may be in flight."""
    @property
    def shadow(self) -> bool:
        """Whether the limit only counts."""
    @property
    def name(self) -> str:
        """What a decision calls this limit."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Closed:
    """Lets nothing pass: for a key that may not send. Denials have the reason "closed" and never end.

    `Rate(0, per=60)`, `Window(0, per=60)` and `InFlight(0)` do the same for single keys, in `policies` and
    `reconfigure`; a `Limiter` as a whole is closed by this one alone, so that a number that was rounded to
    0 is noticed.

    A value: may be compared, hashed, copied and pickled.
    """

    def __new__(cls, *, shadow: bool = False, name: str | None = None) -> Self: ...
    @property
    def shadow(self) -> bool:
        """Whether the limit only counts."""
    @property
    def name(self) -> str:
        """What a decision calls this limit; "closed" unless given."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Jail:
    """A timeout for those who do not stop asking: beside the limits of a `Limiter`, or in `tollbar.access`.

    The `denials`-th denial within `within` seconds (both ends included) starts a timeout of `duration`
    seconds, from the newest time known of the key on. In it every request is refused, and nothing is logged
    or counted towards the next one, so asking does not prolong it; so is a time before its end that comes
    late. A request for more than a limit can ever hold is denied and not counted.

    Each start is a strike. The n-th strike's timeout lasts duration * factor ** (n - 1) seconds (to the
    nearest nanosecond, multiplied in floats), but never more than `longest`. A strike is forgotten for each
    `duration` seconds without a denial since the last denial or release, counted when the next denial comes.
    More than 255 strikes are not counted.

    `shadow=True` counts what it would have denied and denies nothing (not in `tollbar.access`). `name` is
    what a `Decision` calls the limit; "jail" unless given.

    A value: equal when its numbers are, hashable, and may be copied and pickled. ValueError for zeros, for
    more than 2**32 - 1 denials, a factor below 1, a `longest` below `duration` and times beyond 4.5 years;
    TypeError for what is no number.
    """

    def __new__(
        cls,
        denials: _Whole,
        within: float,
        duration: float,
        *,
        factor: float = 1.0,
        longest: float | None = None,
        shadow: bool = False,
        name: str | None = None,
    ) -> Self: ...
    @property
    def denials(self) -> int:
        """How many denials it takes."""
    @property
    def within(self) -> float:
        """Within how many seconds."""
    @property
    def duration(self) -> float:
        """How many seconds the first timeout lasts."""
    @property
    def factor(self) -> float:
        """By how much each timeout in a row is longer than the one before."""
    @property
    def longest(self) -> float | None:
        """How many seconds a timeout lasts at most; None: as long as the factor says."""
    @property
    def shadow(self) -> bool:
        """Whether the limit only counts."""
    @property
    def name(self) -> str:
        """What a decision calls this limit."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

_Limit: TypeAlias = Rate | Window | InFlight | Jail | Closed
_Policy: TypeAlias = _Limit | Iterable[_Limit] | None

@final
class Decision:
    """The full answer to one request; true when it was allowed."""

    @property
    def allowed(self) -> bool:
        """Whether the cost was charged (for `peek`: would have been)."""
    @property
    def reason(
        self,
    ) -> Literal["rate", "window", "in_flight", "jail", "never", "full", "closed", "blocked"] | None:
        """Why not; None when allowed.

        Which kind of limit, more than it can ever hold ("never"), a full table, a limit of 0 ("closed"), or
        a block.
        """
    @property
    def retry_after(self) -> float:
        """Seconds until the same request would pass if no other request comes: 0.0 allowed, infinity never.

        A denial by reservations tells the latest moment, which is when their leases are over: `estimated`
        is true then, and infinity is "when one without an end ends".
        """
    @property
    def estimated(self) -> bool:
        """Whether `retry_after` may be shorter, because a reservation may end before its lease is over."""
    @property
    def remaining(self) -> int:
        """What could still pass at once after this decision: the least of all limits that deny."""
    @property
    def reset_after(self) -> float:
        """Seconds until the key equals one never seen, if nobody asks."""
    @property
    def limit(self) -> str | None:
        """The name of the limit that denied (or would have, for a shadow limit).

        The one with the longest wait.
        """
    @property
    def key(self) -> str | None:
        """Of several keys asked about together, the one that denied and has to wait longest."""
    @property
    def shadowed(self) -> bool:
        """A shadow limit would have denied; it let the request pass and charged nothing."""
    def __bool__(self) -> bool: ...

@disjoint_base
class Limiter:
    """Limits many keys, each on its own.

    Keys are text, compared by their UTF-8 bytes: no case folding, no normalisation, at most 1 MiB. What is no
    text raises TypeError, lone surrogates UnicodeEncodeError. A cost is a whole number of at least 0; 0 takes
    nothing and passes.

    `costs` gives limits a cost of their own, by their names; the others take `cost`:
    `try_acquire("org", costs={"tokens": 400})` takes one request and 400 tokens, or nothing. ValueError for
    a name that no limit of this limiter has; a limit that costs 0 is not asked.

    The table holds up to `max_keys` accounts. A key that has refilled equals one never seen, so such keys
    make room first; when none has, `when_full` says what becomes of an unknown key: "deny" refuses it,
    "allow" lets it pass unlimited, "evict_least" drops the account nearest to refilled of those it looks at.

    Of several limits (`Rate`, `Window`, `InFlight`, `Jail`, `Closed`; at most 16, of different names) a
    request is charged to all or to none. `policies` gives single keys limits of their own: a callable that
    is called with a key at its first sight, or a mapping whose `get` is; it returns a limit, several, none
    (an empty tuple: nothing limits the key) or None (the limiter's own limits); a limit of 0 denies
    everything. It runs under no lock, and what it raises reaches the caller with nothing made or charged. A
    key that was forgotten, for it equals one never seen, is asked for again.

    A key with a single `Rate` is one atomic word: making a limiter costs some 30 microseconds and 75 KiB,
    such a key some 70 bytes while it has at most 40, and requests for known keys do not exclude one
    another. Any other key is decided about under a lock for a 64th of the keys, costs some 300 bytes more
    and what its windows log.

    Each process has a budget of its own. A child that was forked off goes on with a copy, as the workers of a
    preloading server do: its first decision by a limiter from before the fork logs one warning in that
    process, on the logger "tollbar". Limiters are not pickled, so a spawned process makes its own.
    """

    def __new__(
        cls,
        *limits: _Limit,
        policies: Callable[[str], _Policy] | Mapping[str, _Policy] | None = None,
        max_keys: _Whole = 1000000,
        when_full: _WhenFull = "deny",
        clock: _Clock = None,
    ) -> Self: ...
    @property
    def limits(self) -> tuple[_Limit, ...]:
        """The limits of keys that have none of their own."""
    def try_acquire(self, key: str, cost: _Whole = 1, *, costs: _Costs = None) -> bool:
        """Take `cost` tokens if they are there.

        Costs one lookup and one atomic operation; allocates only at a key's first sight.
        """
    def decide(self, key: str, cost: _Whole = 1, *, costs: _Costs = None) -> Decision:
        """Take `cost` tokens if they are there, and say all about it."""
    def peek(self, key: str, cost: _Whole = 1, *, costs: _Costs = None) -> Decision:
        """Say what `decide` would, without taking anything or making an account."""
    def plan(self, key: str, cost: _Whole = 1, *, costs: _Costs = None) -> float | None:
        """Say in how many seconds a request of `cost` would pass if no other request comes.

        0.0 is now, None is never: the cost is more than the burst. Takes nothing. Exact: a nanosecond sooner
        the answer is no, unless a reservation ends before its lease is over; infinity if it has no end.
        """
    def try_acquire_many(self, keys: Iterable[str], cost: _Whole = 1) -> list[bool]:
        """`try_acquire` for each key in turn, by one reading of the clock; a denial takes its own.

        All keys are checked before any is charged. From 1,024 keys on, other threads run meanwhile.
        """
    def try_acquire_all(self, keys: Iterable[str], cost: _Whole = 1, *, costs: _Costs = None) -> Decision:
        """Take `cost` tokens of every key if all of them have them, else none: sender, domain, everybody.

        All accounts are looked at in one moment, so two such requests never each get a part. A denial names
        the key that has to wait longest, and the exact time after which the same request would pass if nobody
        else asks. ValueError for no keys and for the same key twice. Takes the locks of the keys' stripes.
        """
    def reserve(
        self,
        key: str,
        cost: _Whole = 1,
        lease: float | None = None,
        *,
        lost: Literal["sent", "returned"] = "sent",
        costs: _Costs = None,
    ) -> Reservation:
        """Charge `cost` now, to be committed or cancelled later: falsy, with `.decision`, when denied.

            with limiter.reserve("a@example.org") as place:
                if place:
                    send()

        commits when the block ends well and cancels when it does not; `async with` does the same. A `Rate` is
        charged at once. In an `InFlight` limit what is reserved counts until it ends; in a `Window` too,
        and as sent from then on, so that no window holds more than its limit whenever the act took place.

        lease: the reservation ends by itself after so many seconds; None and infinity: it ends when it is
            committed, cancelled or dropped. A lease that is over counts as sent, which is safe whatever
            became of its holder; with lost="returned" it is given back, and a commit after that is charged
            even beyond the limits, because it has happened. `renew` lets it begin anew.

        Takes the lock of the key's stripe; so do all decisions about a key while anything is reserved of it.
        """
    def acquire(
        self,
        key: str,
        cost: _Whole = 1,
        timeout: float | None = None,
        *,
        priority: int = 0,
        jitter: float = 0.0,
        costs: _Costs = None,
    ) -> Coroutine[Any, Any, bool]:
        """Wait for the key's turn and take `cost` tokens: `await limiter.acquire("a@example.org")`.

        Turns come in the order of arrival, among all tasks and threads that wait for the key; lower
        priorities (0 to 127) come first. `try_acquire` does not overtake who waits, and a large cost is not
        starved by small ones behind it. Nothing is charged before the first step, and nothing stays taken
        when it is cancelled: the place goes to the next. Only the first in line has a timer; nobody polls.

        AcquireTimeout as soon as it is known that the turn would come after `timeout` seconds, which is
        usually at once; also where a full table has no place for the key. When a reservation ends is not
        known before it does: behind one the call waits until the timeout. NeverFits, a ValueError, for a
        cost that a limit can never hold. jitter: wait up to so many seconds more, at random, after the turn
        has come.

        For asyncio (with any loop, over several `asyncio.run`) and trio. Costs a coroutine and a call; a wait
        costs two locks. Moving a `ManualClock` wakes the tasks whose turn it brings. A jitter is slept by the
        event loop, whatever the clock.
        """
    def acquire_blocking(
        self,
        key: str,
        cost: _Whole = 1,
        timeout: float | None = None,
        *,
        priority: int = 0,
        costs: _Costs = None,
    ) -> bool:
        """`acquire` for threads, in the same line: parks this one and lets others run.

        Returns True. An interrupt is raised within 100 ms, and takes nothing.
        """
    def acquire_all(
        self,
        keys: Iterable[str],
        cost: _Whole = 1,
        timeout: float | None = None,
        *,
        priority: int = 0,
        costs: _Costs = None,
    ) -> Coroutine[Any, Any, bool]:
        """Wait for the turn of every key and take `cost` tokens of each, all at one moment.

        `await limiter.acquire_all(["example.org", "a@example.org"])` stands in the lines of all its keys, and
        passes when it is first in each and all their limits let it. Until then nothing is taken anywhere.
        Requests for several keys stand in one order, that of priority and arrival, in all lines they share,
        so no two wait for each other. Those behind it wait for it, also where their own key is free.

        Otherwise as `acquire`: AcquireTimeout and NeverFits name the key that it is about; when cancelled it
        leaves all lines. ValueError for no keys and for the same key twice. A look takes the locks of the
        keys' stripes.
        """
    def acquire_all_blocking(
        self,
        keys: Iterable[str],
        cost: _Whole = 1,
        timeout: float | None = None,
        *,
        priority: int = 0,
        costs: _Costs = None,
    ) -> bool:
        """`acquire_all` for threads, in the same lines, as `acquire_blocking` is `acquire`."""
    def slot(
        self,
        key: str,
        cost: _Whole = 1,
        timeout: float | None = None,
        *,
        priority: int = 0,
        lease: float | None = None,
        lost: Literal["sent", "returned"] = "sent",
        costs: _Costs = None,
    ) -> Slot:
        """Wait for the key's turn and hold a reservation: `async with limiter.slot(key): ...`, or `with`.

        The block is given the `Reservation`; it is committed when the block ends well and cancelled when it
        does not. A block keeps its place for as long as it runs, unless a lease is given. Errors and order
        are those of `acquire`, lease and lost those of `reserve`.
        """
    @overload
    def limited(
        self,
        key: str,
        cost: _Whole = 1,
        timeout: float | None = None,
        *,
        priority: int = 0,
        costs: _Costs = None,
    ) -> Limited:
        """Make every call of a function wait its turn first: `@limiter.limited(key="api")`.

        key: a name, or a callable that gives one when called with the call's own arguments. A callable is
            given by name; TypeError where a function stands in its place, because then the key is missing.

        A coroutine function waits as `acquire` does, and so do a `partial` of one, an object with an async
        `__call__`, a function that `inspect.markcoroutinefunction` has marked, and one that is annotated to
        return an `Awaitable` or a `Coroutine`. An async generator function waits as a task at its first step,
        a generator function at its first `next`; both pass on all that is sent or thrown. A `staticmethod`
        or `classmethod` stays one.

        Any other function waits as `acquire_blocking` does, but never where an event loop runs in its thread:
        there its turn has come at once, or AcquireTimeout is raised, as with a timeout of 0. That includes
        functions that return awaitables in ways not listed above.

        Where a limit of the key is `InFlight`, the call holds its place until it ends, a generator until it
        is exhausted or closed. Every call counts, however it ends.
        """

    @overload
    def limited(
        self,
        *,
        key: Callable[..., str],
        cost: _Whole = 1,
        timeout: float | None = None,
        priority: int = 0,
        costs: _Costs = None,
    ) -> Limited: ...
    def reconfigure(
        self,
        key: str,
        *limits: _Limit | None,
        migration: Literal["as_is", "proportional", "reset"] = "as_is",
    ) -> bool:
        """Put a key under limits of its own, now and whenever it is seen; False if it has no account now.

        They outlive the account: a key that is evicted, or not seen yet, gets them at its next sight. None in
        place of limits puts the key under the limits of all again; no limits at all let it pass unlimited.
        The limits that are in force already change nothing. No decision sees a mixture of the two.

        "as_is", the default, forgets nothing: what is owed or logged stays so for as long as the limit that
        counted it remembers, whatever is in force meanwhile, so lowering a limit and raising it again
        forgives nothing. "proportional" carries over the share of each limit, "reset" nothing but
        reservations. A limit takes over from the one of its kind and name, else from an equal one, else
        from the one of its kind that is most like it; where there is none, what the old limits counted
        counts as asked for now.

        ValueError where `max_keys` keys have limits of their own already. Takes a copy of the key for as
        long as it has some, and the lock of its stripe.
        """
    def set_limits(
        self,
        *limits: _Limit,
        migration: Literal["as_is", "proportional", "reset"] = "as_is",
    ) -> None:
        """Put all keys without limits of their own under other limits, while the limiter is used.

        What they owe is carried over as in `reconfigure`: of each key when it is met next, as of now. No
        decision sees a mixture, and each one that begins after this returns is by the new limits. Requests
        that wait are served by them at once. Takes microseconds, whatever the number of keys. The limits
        that are in force already change nothing.
        """
    def block(self, key: str, seconds: float) -> bool:
        """Let no request of the key pass for so many seconds: a server's Retry-After, say. 0 ends that.

        Denials have the reason "blocked" and the exact time; requests that wait for the key wait on. False
        if a full table has no place for the key.
        """
    def drain(self, key: str, to: _Whole = 0, *, limit: str | None = None) -> bool:
        """Leave the key no more than `to`: a server's "remaining: 7", say. True if it had more.

        Each rate and window (or the one of this name) that has more left is charged the difference, all at
        one moment. Nothing is ever given back; `reset` is for that.
        """
    def inspect(self, key: str, cost: _Whole = 1, *, costs: _Costs = None) -> list[LimitState]:
        """Return the state of every limit of the key, all at one moment, in their order. Takes nothing.

        `retry_after` is each limit's own wait for a request of this cost. A block is one more, of kind
        "blocked".
        """
    def keys(self) -> Iterator[str]:
        """Iterate over the keys that have accounts. A key that is there all the time is met once.

        It copies a 64th of the table at a time; known keys of a single `Rate` are decided about meanwhile.
        """
    def _turn(
        self,
        key: str,
        cost: _Whole = 1,
        timeout: float | None = None,
        *,
        priority: int = 0,
        costs: _Costs = None,
    ) -> Waiting: ...
    def release(self, key: str) -> bool:
        """End the timeouts of the key, and a block; False if there is none. Its strikes stay."""
    def penalize(self, key: str) -> bool:
        """Count a denial made elsewhere (a wrong password, say) for the key's `Jail`.

        True if it is in a timeout now.
        """
    def reset(self, key: str) -> bool:
        """Make the key's account as good as new, its reservations forgotten; False if it is unknown."""
    def shadow_denied(self) -> dict[str, int]:
        """Return how often each shadow limit would have denied, by its name, where it was not never."""
    def stats(self) -> _Stats:
        """Return totals since the limiter was made.

        allowed, denied, shadow_denied (would have been), full (met a full table), evicted (accounts dropped
        for others), forgiven (those that still owed something), keys (accounts now), own_limits (keys
        with limits of their own), most_looks (accounts that any one insertion looked at).

        denied_by_limit counts denials by the name of the limit that made the request wait longest.
        denied_by_reason counts all of them, by `Decision.reason`, and "timeout" for those who waited and
        whose turn did not come in time. Only what has denied anything is there.
        """
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __contains__(self, key: str, /) -> bool: ...

@final
class Waiting:
    """One wait for a turn, behind `Limiter.acquire` and its kin; made by them alone."""

    def _start(self, wake: Callable[[], object], group: int) -> float | None: ...
    def _look(self) -> float | None: ...
    def _leave(self) -> None: ...
    def _block(self) -> None: ...
    def _held(self) -> Reservation | None: ...

@final
class Reservation:
    """The right to act once, from `Limiter.reserve`; true if it was granted.

    Ending it twice does nothing. One that is dropped without a word counts as used. It may be ended from any
    thread, and cannot be copied or pickled.
    """

    @property
    def decision(self) -> Decision:
        """The answer that it was made with."""
    @property
    def key(self) -> str:
        """The key that it was made for."""
    @property
    def cost(self) -> int:
        """What was reserved."""
    @property
    def is_open(self) -> bool:
        """Whether it is granted and neither committed nor cancelled; its lease may be over all the same."""
    @property
    def costs(self) -> dict[str, int]:
        """What was reserved of limits with a cost of their own, by their names."""
    def commit(self, actual: _Whole | None = None, *, actuals: _Costs = None) -> bool:
        """Say that it was used: `actual` of it, or `actuals` of limits by their names, if not the cost.

        What was not used is given back; more than the cost is charged even beyond the limits, for it has
        happened (a `Rate` is never emptier than empty). False if it had ended before: by hand, or because
        its lease is over.
        """
    def renew(self, lease: float | None = None) -> bool:
        """Let the lease begin anew: it is over in so many seconds; None and infinity: it has no end.

        False if the reservation has ended.
        """
    def cancel(self) -> bool:
        """Give it back; False if it had ended before.

        A `Rate` gets back exactly the cost where nothing was charged since, otherwise it may be less, never
        more.
        """
    def __bool__(self) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, exc_type: object, _exc_value: object, _traceback: object, /) -> Literal[False]: ...
    def __aenter__(self) -> _Ready[Self]: ...
    def __aexit__(self, exc_type: object, _exc_value: object, _traceback: object, /) -> _Ready[None]: ...

@final
class LimitState:
    """One limit of a key at one moment, from `Limiter.inspect`. Times are seconds, rounded up."""

    @property
    def name(self) -> str:
        """The limit's name."""
    @property
    def kind(self) -> str:
        """The reason for which it denies: "rate", "window", "in_flight", "jail", "closed", or "blocked"."""
    @property
    def limit(self) -> int:
        """What passes at most: a rate's burst, a window's limit, places, denials of a jail."""
    @property
    def used(self) -> int:
        """Tokens owed, requests in the window, places taken; of a jail, 1 while it holds."""
    @property
    def remaining(self) -> int:
        """What could pass at once, by this limit alone."""
    @property
    def reset_after(self) -> float:
        """When it counts nothing; infinity while a reservation without an end is counted."""
    @property
    def retry_after(self) -> float:
        """When it lets the request pass that was asked about; 0.0 now."""
    @property
    def estimated(self) -> bool:
        """Whether that may be sooner, because a reservation may end before its lease is over."""
    @property
    def can_pass(self) -> bool:
        """Whether the request can ever pass."""
    @property
    def shadow(self) -> bool:
        """Whether the limit only counts."""

@disjoint_base
class ClientAccess:
    """At most `limit` accesses of a client in any `period` seconds, exactly: import it from `tollbar.access`.

    A sliding-window log: each admitted time is kept while it matters. Windows are half-open: two times
    exactly a period apart are not in one. Times may come out of order; one is admitted only if no window of a
    period then holds more than `limit`, those that end after it included.

    Times are seconds on any one scale for all clients (a request's own time, Unix time, a counter), read to
    the nearest nanosecond; without one it is the limiter's own monotonic clock (`ManualClock.now()` in
    tests). Use the one or the other: on both scales at once, answers mean nothing.

    lateness: a client's time may be up to so many seconds older than its newest that was decided about (one
        period unless given); exactly so many is still checked, anything older is False and counted as late.
        The newest time is not bounded: one far in the future makes all others of that client late, until
        `forget`.
    jail: a `Jail` for clients that are denied too often. Being late, or finding no place, is no denial.
    max_clients: clients remembered. One that has had no access for period + lateness seconds, by the times of
        those who come after it, and has neither timeout nor strikes, is forgotten; if none is, unknown
        clients are refused and counted as full. Places are looked for again after a 64th of that time.

    Forgetting forgives nobody: a client that is unknown at a time when it may have been a forgotten one is
    late. That happens only to times more than `lateness` older than the newest of all clients.

    Clients are text, told apart as keys of a `Limiter` are, with the same errors. Thread-safe: one lock for a
    64th of the clients is held for a decision. The newest time of a client costs O(1); others cost O(log n),
    a step for each 32 newer ones, and one for each by which the logged times of a period before and after
    exceed the limit. A client costs some 150 bytes and its name, and 8 to 16 bytes for each access of the
    last period + lateness seconds (at most 9 from 1,000 on), whatever the limit is. Copying or pickling
    raises TypeError: it would make a second budget.

    ValueError for a limit of 0 or above 2**53, a period below 1 ns or beyond 292 years; TypeError for
    what is no number. Nothing is logged or counted then.
    """

    def __new__(
        cls,
        limit: _Whole,
        period: float,
        jail: Jail | None = None,
        *,
        lateness: float | None = None,
        max_clients: _Whole = 1000000,
        clock: _Clock = None,
    ) -> Self: ...
    def is_allowed(self, client_id: str, access_time: float | None = None) -> bool:
        """Admit and log the access, or refuse it.

        A denial writes nothing to the log. ValueError for a time that is no number or beyond 2**63 ns.
        """
    def isAllowed(self, client_id: str, access_time: float | None = None) -> bool:  # noqa: N802 - the name it replaces
        """`is_allowed` by another name."""
    def release(self, client_id: str) -> bool:
        """End the client's timeout; False if none runs. Its strikes stay, and are forgotten from now on.

        For this and the timeout list, now is the newest time that was given, of any client; the clock's, if
        none was.
        """
    def jailed_until(self, client_id: str) -> float | None:
        """Return the time at which the client's timeout ends; None if none runs.

        It is rounded up: an access at that time is no longer refused for it.
        """
    def jailed(self) -> dict[str, float]:
        """Return the timeout list: every client whose timeout runs, and when it ends.

        Looks at every client, one share of them after another.
        """
    def forget(self, client_id: str) -> bool:
        """Make the client as good as never seen, strikes and all; False if it is unknown."""
    def stats(self) -> dict[str, int]:
        """Return totals since the limiter was made.

        allowed, denied (by the limit), jailed (refused in a timeout), late, full (unknown, and no place):
        each call is one of these. clients: those now remembered.
        """
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __contains__(self, client_id: str, /) -> bool: ...

@disjoint_base
class TokenBucket:
    """A token bucket that starts full: `capacity` tokens at most, `refill_rate` flowing in each second.

    The rate is read as the simplest fraction that rounds to it: 10000 / 3600 is a token every 0.36 s,
    exactly. Made by itself it is a bucket of its own; from a `RateLimiter` it is the live state of that
    account, and keeps it from eviction. Two objects for one account are equal. Copying or pickling raises
    TypeError: it would make a second budget.

    ValueError for a capacity of 0 or above 2**32 - 1, for a rate that is not between 1e-8 and 1e7, and for
    more than 4.5 years to fill; TypeError for what is no number.
    """

    def __new__(cls, capacity: _Whole, refill_rate: float, *, clock: _Clock = None) -> Self: ...
    def acquire(self, tokens: _Whole = 1, timeout: float | None = 1.0) -> _Ready[bool]:
        """Take `tokens` if they are there; `await` gives True or False at once.

        The tokens are taken by the call, not by the `await`. `timeout` is accepted and not needed.
        """
    def try_acquire(self, tokens: _Whole = 1) -> bool:
        """Take `tokens` if they are there."""
    def _refill(self) -> _Ready[None]:
        """Do nothing: the state is always refilled."""
    def get_state(self) -> _BucketState:
        """Return tokens, capacity and refill_rate as of now."""
    @property
    def tokens(self) -> float:
        """Tokens held now, with their fraction."""
    @property
    def capacity(self) -> int:
        """The most tokens it can hold."""
    @property
    def refill_rate(self) -> float:
        """Tokens that flow in each second."""
    @property
    def last_refill(self) -> datetime:
        """Now, as an aware UTC datetime: the state is always refilled."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@disjoint_base
class RateLimiter:
    """A limit per account, in messages an hour: the drop-in for a mail proxy's own class.

    An account's bucket holds `messages_per_hour` tokens and refills with that / 3600 each second. When an
    account is first seen, `account.get_rate_limiting_config()` is asked; None means the default. A limit of 0
    is a denial and not an error. What the account raises reaches the caller, and no bucket is made.

    exception: the class to raise, constructed with a message alone; `account_email` and `retry_after` are
        then set on it where it lets them.
    burst_size: tokens a bucket holds, in place of messages_per_hour.
    account_burst, account_enabled: follow `burst_size` and `enabled` of an account's configuration, where
        present; an account that is not enabled has no limit.
    strict: at most messages_per_hour in every window of an hour, by the readings that decide (see `Rate`).
    shadow: count and log what would be denied, and deny nothing.
    track_created: keep `bucket_created_at`.
    when_full: what to do when max_buckets accounts are active (see `Limiter`). The default never refuses mail
        for want of room.
    log_interval: seconds between two log lines about one account's denials, on the logger "tollbar"; 0 logs
        each denial, None none.

    Each process has a budget of its own; a forked one says so once (see `Limiter`).
    ValueError and TypeError as for `Rate`, named after the argument.
    """

    def __new__(
        cls,
        messages_per_hour: _Whole = 10000,
        max_buckets: _Whole = 10000,
        *,
        exception: type[Exception] | None = None,
        burst_size: _Whole | None = None,
        account_burst: bool = False,
        account_enabled: bool = False,
        strict: bool = False,
        shadow: bool = False,
        track_created: bool = False,
        when_full: _WhenFull = "evict_least",
        log_interval: float | None = 60.0,
        clock: _Clock = None,
    ) -> Self: ...
    def acquire(
        self, account_email: str, account: _Account | None = None, tokens: _Whole = 1
    ) -> _Ready[Literal[True]]:
        """Take `tokens`, or raise the limiter's exception when awaited.

        The tokens are taken by the call, not by the `await`. The result works in `await`, `gather`,
        `wait_for`, `ensure_future` and `create_task`; bad arguments raise at once.
        """
    def try_acquire(self, account_email: str, tokens: _Whole = 1, account: _Account | None = None) -> bool:
        """Take `tokens` if they are there, without `await` and without an exception."""
    def check_rate_limit(
        self, account_email: str, account: _Account | None = None, tokens: _Whole = 1
    ) -> _Ready[bool]:
        """Say whether `tokens` could be taken now, and take none."""
    def get_or_create_bucket(
        self, account_email: str, account: _Account | None = None
    ) -> _Ready[TokenBucket]:
        """Give the account's live bucket, which keeps it from eviction for as long as it is held."""
    def reconfigure(
        self,
        account_email: str,
        account: _Account | None = None,
        *,
        migration: Literal["as_is", "proportional", "reset"] = "as_is",
    ) -> bool:
        """Ask the account for its limit again and put it in force; False if the account is unknown.

        Costs a first sight, about a microsecond plus what `account` takes. What was spent is carried over:
        the same number of tokens ("as_is"), the same share of the bucket ("proportional"), or nothing
        ("reset"). No decision sees a mixture of old and new.
        """
    def get_stats(self) -> _LimiterState:
        """Return the number of accounts and the state of each bucket."""
    @property
    def buckets(self) -> Buckets:
        """Account -> its live bucket, as a mapping. Iterating keeps no account from eviction."""
    @property
    def bucket_created_at(self) -> CreatedAt:
        """Account -> when it was first seen. AttributeError without `track_created=True`."""
    @property
    def default_messages_per_hour(self) -> int:
        """The limit of accounts that have none of their own."""
    @property
    def default_refill_rate(self) -> float:
        """That / 3600."""
    @property
    def max_buckets(self) -> int:
        """The bound on the number of accounts."""
    def _bucket(self, account_email: str) -> TokenBucket | None: ...
    def _created_at(self, account_email: str) -> datetime | None: ...
    def _knows(self, account_email: str) -> bool: ...
    def _emails(self) -> list[str]: ...
    def _count(self) -> int: ...

@disjoint_base
class SlidingWindow:
    """The native part of `tollbar.sliding_window.RateLimiter`, which documents the options.

    Account ids are text, at most 1 MiB of UTF-8; what is none raises TypeError or UnicodeEncodeError. Every
    call takes a lock for a share of the accounts, waits for nothing else, and has done its work when it
    returns: the result answers an `await` at once, and works in `gather`, `wait_for` and `create_task`.
    Copying or pickling raises TypeError: it would make a second budget.
    """

    def __new__(
        cls,
        smtp_sender: object = None,
        *,
        plan: Literal["boundary", "exact"] = "boundary",
        lease: float | None = None,
        log_unlimited: bool = False,
        clock: _Clock = None,
    ) -> Self: ...
    def check_and_plan(self, account: Mapping[str, Any]) -> _Ready[tuple[int | None, bool]]:
        """Reserve a place for one send, or say when to ask again.

        `account` has an "id" and may have "limit_per_minute", "limit_per_hour", "limit_per_day" (whole
        numbers or numeric text; None, 0 and below are no limit) and "limit_behavior". `(None, False)`: send
        now, then call `log_send` or `release_slot`. `(unix_second, rejects)`: nothing is reserved; `rejects`
        says whether the behavior is "reject".

        The `await` raises KeyError without an id, ValueError or TypeError for a limit that is none, named;
        nothing is reserved then. Costs the same whatever was sent; a denial planned exactly searches a
        history of n seconds in log2(n) steps.
        """
    def log_send(self, account_id: str) -> _Ready[None]:
        """Record a send as of now, and end its reservation if there is one.

        An account whose last check had no limit keeps no history, unless something is reserved; one that was
        never checked does. Sends older than a day are dropped.
        """
    def release_slot(self, account_id: str) -> _Ready[None]:
        """End a reservation without a send. One too many does nothing."""
    def purge_for_account(self, account_id: str) -> _Ready[int]:
        """Forget the account, its reservations included, and return how many sends were remembered."""
    def clear(self) -> None:
        """Forget every account."""
    def _sent_ids(self) -> list[str]: ...
    def _sent_count(self, account_id: str) -> int | None: ...
    def _sent_nth(self, account_id: str, number: int) -> int | None: ...
    def _sent(self, account_id: str) -> list[int] | None: ...
    def _set_sent(self, account_id: str, seconds: list[int]) -> None: ...
    def _add_sent(self, account_id: str, second: int) -> None: ...
    def _forget_sent(self, account_id: str) -> bool: ...
    def _forget_all_sent(self) -> None: ...
    def _in_flight_ids(self) -> list[str]: ...
    def _in_flight_count(self, account_id: str) -> int | None: ...
    def _set_in_flight(self, account_id: str, count: int) -> None: ...
    def _forget_in_flight(self, account_id: str) -> bool: ...
    def _forget_all_in_flight(self) -> None: ...

class RateLimiterTimeout(Exception):
    """No permit within the timeout: raised as soon as that is known, if need be before any waiting."""

    retry_after: float | None = None
    """Seconds until the turn would have come, as far as is known; None where tollbar did not raise it."""

class _Stats(TypedDict):
    allowed: int
    denied: int
    shadow_denied: int
    evicted: int
    forgiven: int
    full: int
    keys: int
    own_limits: int
    most_looks: int
    denied_by_limit: dict[str, int]
    denied_by_reason: dict[str, int]

class _PacingState(TypedDict):
    granted: int
    refused: int
    timed_out: int
    waiting: int
    in_flight: int
    in_use: int
    headroom: float
    blocked: float

@disjoint_base
class Pacing:
    """The native part of `tollbar.pacing.RateLimiter` and `ThreadSafeRateLimiter`.

    `per_second_rate` requests in any second of the *server*: each holds a permit from the send until a second
    after its response, or a second and a headroom after the send if that is earlier. The headroom is how long
    a request may be under way, as learned from the spread of round-trip times; it begins with `headroom_ms`,
    is raised at once by a round trip that does not fit and by a 429, and comes down slowly.

    - `min_duration_ms_between_requests`: kept only with `enforce_spacing=True`.
    - `clock`: a `ManualClock` or a `LoopClock`; None is the system's monotonic clock.

    Permits go to those who wait in the order in which they came. Any thread and any event loop may call.
    ValueError or TypeError that names the argument. Copying or pickling raises TypeError: it would make a
    second budget. A forked child goes on with the permits that were in use, and without those who waited.
    From then on it has permits of its own, and says so once (see `Limiter`).
    """

    def __new__(
        cls,
        per_second_rate: _Whole,
        min_duration_ms_between_requests: float = 0,
        *,
        enforce_spacing: bool = False,
        headroom_ms: float = 50.0,
        clock: _Clock = None,
    ) -> Self: ...
    def record_latency(self, latency_ms: float) -> None:
        """Tell a round-trip time that was measured elsewhere; those of the blocks are known."""
    def record_rejected(self, retry_after: float | str | None = None) -> None:
        """Tell that the server answered 429, and what its Retry-After said.

        The headroom grows. With `retry_after` nothing is sent until then, and a waiter whose timeout ends
        before that gets RateLimiterTimeout at once.

        retry_after: seconds, or the text of the header: a number, or an HTTP date in any form of RFC 9110,
            which is read by the clock's Unix time. More than a day counts as a day. A text that is neither is
            the server's mistake and counts as None; a number that is negative or not finite is the caller's,
            a ValueError, and counts as nothing.
        """
    def stats(self) -> _PacingState:
        """Return totals and the present state.

        granted: permits granted; refused: 429s that were told; timed_out: those who got no permit in time;
        waiting: those who wait; in_flight: blocks that have not ended; in_use: permits that are not free;
        headroom: seconds; blocked: seconds for which the server does not want to be asked.
        """
    def _turn(self, timeout_ms: float) -> Turn: ...

@final
class Turn:
    """One `with` block: waits for a permit, holds it, and gives it back on every way out.

    The block's end stamps the response. A block that is left by an exception may have sent its request: its
    permit is held for as long as that may be under way, and another second.
    """

    def __enter__(self) -> Pacing: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
        /,
    ) -> None: ...
    def _start(self, wake: Callable[[], object]) -> bool: ...
    def _look(self) -> float | None: ...
    def _finish(self, answered: bool) -> None: ...

def _before_fork() -> None:
    """Wait until no batch runs outside the interpreter."""

def _after_fork() -> None:
    """Let batches leave the interpreter again."""

def _after_fork_in_child() -> None:
    """Do the same, and have it said once that limiters from before are copies."""
