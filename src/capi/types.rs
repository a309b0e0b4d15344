//! What the header shows of types: handles, structures and numbers. cbindgen reads this file and the folder `exports`.
#![allow(unreachable_pub)] // cbindgen reads what is public

use std::ffi::c_char;

/// Version of the binary interface, to be given to `tollbar_limiter_new`. It changes when a program must be compiled anew.
pub const TOLLBAR_ABI_VERSION: u32 = 1;

/// A duration without end: a request that can never pass, a wait without a deadline.
pub const TOLLBAR_NEVER: u64 = u64::MAX;
/// The longest key, in bytes.
pub const TOLLBAR_MAX_KEY_LEN: usize = 1 << 20;
/// The most limits that a policy can have.
pub const TOLLBAR_MAX_LIMITS: usize = 16;

const _: () =
    assert!(TOLLBAR_MAX_KEY_LEN == crate::table::MAX_KEY_LEN && TOLLBAR_MAX_LIMITS == crate::policy::MAX_LIMITS);

/// Done.
pub const TOLLBAR_OK: i32 = 0;
/// Neither yes nor no yet: a place in a line.
pub const TOLLBAR_WAITING: i32 = 2;
/// An argument is outside its rule; where there is a message buffer, it says which, and the rule.
pub const TOLLBAR_ERROR_INVALID: i32 = -1;
/// A key of more than `TOLLBAR_MAX_KEY_LEN` bytes.
pub const TOLLBAR_ERROR_KEY_TOO_LONG: i32 = -2;
/// More different policies in one limiter than there are numbers for (2^24).
pub const TOLLBAR_ERROR_TOO_MANY_POLICIES: i32 = -3;
/// A pointer is NULL that must not be.
pub const TOLLBAR_ERROR_NULL: i32 = -4;
/// The handle was freed, or never was one of this kind in this process.
pub const TOLLBAR_ERROR_HANDLE: i32 = -5;
/// A structure of a size that this library does not know.
pub const TOLLBAR_ERROR_SIZE: i32 = -6;
/// The program was compiled with a header of another `TOLLBAR_ABI_VERSION`.
pub const TOLLBAR_ERROR_ABI: i32 = -7;
/// A mistake in the library; the call was stopped, and what it did is not known.
pub const TOLLBAR_ERROR_PANIC: i32 = -8;
/// No room for another handle: 4,194,304 of a kind live.
pub const TOLLBAR_ERROR_TOO_MANY_HANDLES: i32 = -9;
/// The limiter's handle was freed while it was waited by.
pub const TOLLBAR_ERROR_CLOSED: i32 = -10;
/// The lengths of packed keys do not add up to the size of the buffer.
pub const TOLLBAR_ERROR_LENGTHS: i32 = -11;
/// As many keys as the limiter may hold have limits of their own already.
pub const TOLLBAR_ERROR_TOO_MANY_OWN_LIMITS: i32 = -12;

/// Reasons of a denial: too few tokens.
pub const TOLLBAR_REASON_RATE: i32 = 1;
/// A window holds too many requests.
pub const TOLLBAR_REASON_WINDOW: i32 = 2;
/// Too much is reserved and has not ended.
pub const TOLLBAR_REASON_IN_FLIGHT: i32 = 3;
/// The key is in a timeout, for it was denied too often.
pub const TOLLBAR_REASON_JAIL: i32 = 4;
/// More than a limit can ever hold.
pub const TOLLBAR_REASON_NEVER: i32 = 5;
/// The table is full, none of its accounts could go, and this key is not among them.
pub const TOLLBAR_REASON_FULL: i32 = 6;
/// A limit of the key lets nothing pass at all.
pub const TOLLBAR_REASON_CLOSED: i32 = 7;
/// The program has blocked the key until some time.
pub const TOLLBAR_REASON_BLOCKED: i32 = 8;
/// How many reasons `tollbar_totals` has room for, those to come included.
pub const TOLLBAR_REASONS: usize = 16;

/// For `tollbar_policy_set`, a rate's burst in tokens: the most that passes at once; the limit unless set.
pub const TOLLBAR_SET_BURST: i32 = 1;
/// A rate never exceeds its limit in any window of its period (1 or 0); the price is a slower refill. The bound counts by the
/// clock readings that decide: in real time, with a token in every T, it is limit + tick / T (see `tollbar_policy_add_rate`).
pub const TOLLBAR_SET_STRICT: i32 = 2;
/// The limit only counts what it would have denied (1 or 0).
pub const TOLLBAR_SET_SHADOW: i32 = 3;
/// A window counts in so many steps, in memory that does not grow with the limit; room comes back up to a step late.
pub const TOLLBAR_SET_STEPS: i32 = 4;
/// A window holds a request still when it is exactly as old as the window is wide (1 or 0).
pub const TOLLBAR_SET_CLOSED_EDGE: i32 = 5;

/// For `tollbar_options_set`, the most accounts in the table: 1 to 2^25; 1,000,000 unless set.
pub const TOLLBAR_OPTION_MAX_KEYS: i32 = 1;
/// What answers an unknown key when the table is full and nobody has refilled: one of `TOLLBAR_FULL_...`.
pub const TOLLBAR_OPTION_WHEN_FULL: i32 = 2;
/// It is denied; the usual.
pub const TOLLBAR_FULL_DENY: u64 = 0;
/// It passes, without an account.
pub const TOLLBAR_FULL_ALLOW: u64 = 1;
/// The account of a sample that owes least goes.
pub const TOLLBAR_FULL_EVICT_LEAST: u64 = 2;

/// For `tollbar_reconfigure`: what was spent stays spent, token by token.
pub const TOLLBAR_MIGRATE_AS_IS: i32 = 0;
/// The share that was spent stays spent.
pub const TOLLBAR_MIGRATE_PROPORTIONAL: i32 = 1;
/// The account is as good as new.
pub const TOLLBAR_MIGRATE_RESET: i32 = 2;

/// The most costs of their own that one request can give its limits.
pub const TOLLBAR_MAX_COSTS: usize = 256;

/// Room for a limit's name in a `tollbar_decision` or a `tollbar_limit_state`, the NUL included; longer names are cut.
pub const TOLLBAR_LIMIT_NAME_SIZE: usize = 64;

/// No structure will ever be larger: a larger size is a mistake.
pub(super) const LARGEST: usize = 4096;

/// Limits that are being put together.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyHandle {
    /// 0 stands for nothing.
    pub id: u64,
}

/// How a limiter is to be.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionsHandle {
    /// 0 stands for nothing.
    pub id: u64,
}

/// A clock that moves only when it is moved, for tests.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockHandle {
    /// 0 stands for nothing.
    pub id: u64,
}

/// Limits many keys, each on its own.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimiterHandle {
    /// 0 stands for nothing.
    pub id: u64,
}

/// The account of one key, which it keeps from eviction.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketHandle {
    /// 0 stands for nothing.
    pub id: u64,
}

/// What was reserved and has not ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservationHandle {
    /// 0 stands for nothing.
    pub id: u64,
}

/// A place in a key's line.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceHandle {
    /// 0 stands for nothing.
    pub id: u64,
}

/// Tells which places to look at.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WakeupsHandle {
    /// 0 stands for nothing.
    pub id: u64,
}

/// A key's bytes; NUL is one of them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Where they begin.
    pub data: *const c_char,
    /// How many they are.
    pub len: usize,
}

/// What a request costs the limit of this name. Limits that no cost names cost what the request says beside them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct LimitCost {
    /// The limit's name, UTF-8 of `limit_len` bytes. Of two equal names the last one counts.
    pub limit: *const c_char,
    /// How many bytes the name has.
    pub limit_len: usize,
    /// Tokens, requests or places.
    pub cost: u64,
}

/// One answer, with what the asker needs to act on it. Durations are nanoseconds, rounded up.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    /// How long until the same request would pass if nobody else asks: 0 when allowed, `TOLLBAR_NEVER` never.
    pub retry_after_ns: u64,
    /// What could still pass at once after this decision.
    pub remaining: u64,
    /// How long until the key equals one never seen.
    pub reset_after_ns: u64,
    /// Why not, a `TOLLBAR_REASON_...`; 0 when allowed.
    pub reason: i32,
    /// Whether the cost was charged (or, for a peek, would have been).
    pub allowed: bool,
    /// A shadow limit would have said no; it let the request pass and charged nothing.
    pub shadowed: bool,
    /// `retry_after_ns` is an upper bound: it is shorter if a reservation ends before its lease is over.
    pub estimated: bool,
    /// 0.
    pub reserved: [u8; 1],
    /// The name of the limit that denied, or would have, and a NUL: of several, the one that has to wait longest.
    pub limit: [c_char; TOLLBAR_LIMIT_NAME_SIZE],
}

/// What a caller waits for. All zero but the cost: a timeout of nothing, and nothing is held. A program that was compiled with
/// a header whose structure ended before `costs` gives that size, and names no limits.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Tokens.
    pub cost: u64,
    /// Not if it takes longer than this; `TOLLBAR_NEVER` waits for as long as it takes.
    pub timeout_ns: u64,
    /// What is acquired is held by a reservation for so long (`TOLLBAR_NEVER`: until it is ended); 0: it is charged, and nothing
    /// is held.
    pub lease_ns: u64,
    /// Lower ones are served first, equal ones in the order of arrival: 0, which is usual, to 127.
    pub priority: u32,
    /// A reservation whose lease is over is given back (1), or counts as used (0).
    pub gives_back: u32,
    /// Limits with a cost of their own; NULL if `costs_count` is 0. Borrowed for the call.
    pub costs: *const LimitCost,
    /// How many of them there are, at most `TOLLBAR_MAX_COSTS`.
    pub costs_count: usize,
}

/// What somebody finds who waits.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// The place in the line, to look again with; stands for nothing unless the answer was `TOLLBAR_WAITING`.
    pub place: PlaceHandle,
    /// What is held, where the turn has come and a lease was asked for.
    pub reservation: ReservationHandle,
    /// Look again after so long, if nothing tells earlier; `TOLLBAR_NEVER`: when told.
    pub look_after_ns: u64,
    /// Of a turn that would come too late: after how long, as far as is known. `TOLLBAR_NEVER`: the turn never comes if `never`
    /// is set, and else the time is not known (a reservation without an end must end first, or the table is full).
    pub retry_after_ns: u64,
    /// The turn never comes: more is asked for than a limit of the key ever lets pass.
    pub never: bool,
    /// 0.
    pub reserved: [u8; 7],
    /// Of a turn of several keys that would come too late, or never: the number of the key that this is about.
    pub denied_by: usize,
}

/// What one limit of a key counts. Durations are nanoseconds, rounded up.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct LimitState {
    /// What passes at most: a rate's burst, a window's limit, places, denials of a jail.
    pub limit: u64,
    /// Tokens owed, requests in the window, places taken; of a jail, 1 while it holds.
    pub used: u64,
    /// What could pass at once, by this limit alone.
    pub remaining: u64,
    /// How long until the limit counts nothing; `TOLLBAR_NEVER` while a reservation without an end is counted.
    pub reset_after_ns: u64,
    /// How long until the limit lets the request pass that was asked about; `TOLLBAR_NEVER`: see `can_pass`.
    pub retry_after_ns: u64,
    /// The kind of the limit: the `TOLLBAR_REASON_...` that it denies for.
    pub kind: i32,
    /// `retry_after_ns` is an upper bound: it is shorter if a reservation ends before its lease is over.
    pub estimated: bool,
    /// Whether the request can ever pass.
    pub can_pass: bool,
    /// The limit only counts what it would have denied.
    pub shadow: bool,
    /// 0.
    pub reserved: [u8; 1],
    /// The limit's name and a NUL.
    pub name: [c_char; TOLLBAR_LIMIT_NAME_SIZE],
}

/// Totals since a limiter was made.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Totals {
    /// Requests that passed.
    pub allowed: u64,
    /// Requests that were refused, those by a full table included.
    pub denied: u64,
    /// Requests that a shadow limit would have refused.
    pub shadow_denied: u64,
    /// Accounts dropped to make room.
    pub evicted: u64,
    /// Those among them that still owed something.
    pub forgiven: u64,
    /// Requests of unknown keys that met a full table.
    pub full: u64,
    /// Accounts now in the table.
    pub keys: u64,
    /// The most accounts that any one insertion looked at.
    pub most_looks: u64,
    /// Keys that have limits of their own.
    pub own_limits: u64,
    /// Requests that were refused, by their `TOLLBAR_REASON_...`; at 0 those who waited and whose turn did not come in time.
    pub denied_by_reason: [u64; TOLLBAR_REASONS],
}

/// A structure that may grow at its end.
pub(super) trait Grows: Sized {
    const NAME: &'static str;
    /// The size that it had in the first header: programs that were compiled with that one give it.
    const FIRST: usize = size_of::<Self>();

    /// How much of the structure a caller knows that gives this size; `None` if there is no structure of this size.
    fn known(size: usize) -> Option<usize> {
        let known = size.min(size_of::<Self>());
        (known == size_of::<Self>() || known == Self::FIRST).then_some(known).filter(|_| size <= LARGEST)
    }
}

impl Grows for Decision {
    const NAME: &'static str = "tollbar_decision";
}

impl Grows for LimitState {
    const NAME: &'static str = "tollbar_limit_state";
}

impl Grows for Ask {
    const NAME: &'static str = "tollbar_ask";
    const FIRST: usize = std::mem::offset_of!(Self, costs);
}

impl Grows for Turn {
    const NAME: &'static str = "tollbar_turn";
    const FIRST: usize = std::mem::offset_of!(Self, never);
}

impl Grows for Totals {
    const NAME: &'static str = "tollbar_totals";
    const FIRST: usize = std::mem::offset_of!(Self, own_limits);
}
