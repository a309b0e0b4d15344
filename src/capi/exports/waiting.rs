//! Chapter: waiting one's turn. One line for each key, for whoever waits in whatever language, in the order of arrival.

use std::ffi::c_char;
use std::sync::Arc;

use crate::capi::awaited::Awaited;
use crate::capi::given;
use crate::capi::guard::{Fault, guard, waiting};
use crate::capi::lanes::Inside;
use crate::capi::objects::{Held, LIMITERS, PLACES, WAKEUPS};
use crate::capi::types::{
    Ask, Key, LimiterHandle, PlaceHandle, ReservationHandle, TOLLBAR_NEVER, TOLLBAR_OK, TOLLBAR_WAITING, Turn,
    WakeupsHandle,
};
use crate::capi::wakeups::{Bell, Found, Waiter, Wakeups, Wanted, block};
use crate::error::Error;
use crate::limiter;

/// Waits in this thread until `ask.cost` tokens were taken: 1. 0 if the turn would come too late, which is told at once if the time
/// is known, or if it never comes (`turn.never`); nothing is charged then. `ask` may be NULL: one token, however long it takes. `turn` may be NULL unless a lease is asked for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_acquire(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    ask: *const Ask,
    ask_size: usize,
    turn: *mut Turn,
    turn_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    let key = || Ok(Awaited::one(unsafe { given::key(key, key_len) }?));
    // SAFETY: the conventions.
    unsafe { acquire(limiter, key, (ask, ask_size), (turn, turn_size)) }
}

/// `tollbar_acquire` of several keys, which must differ: takes `ask.cost` tokens of each at one moment, when it is first in the
/// lines of all of them and all their limits let it pass. Until then nothing is taken. Requests for several keys have one order in all
/// lines that they share, so there is no deadlock. `turn.denied_by` says which key a turn that comes too late, or never, is
/// about. There is no lease for several keys.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_acquire_all(
    limiter: LimiterHandle,
    keys: *const Key,
    count: usize,
    ask: *const Ask,
    ask_size: usize,
    turn: *mut Turn,
    turn_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    let keys = || Ok(Awaited::all(&unsafe { given::keys(keys, count) }?));
    // SAFETY: the conventions.
    unsafe { acquire(limiter, keys, (ask, ask_size), (turn, turn_size)) }
}

/// Takes what is asked for if nobody waits and all limits let it pass (1), else joins the key's line (`TOLLBAR_WAITING`), unless
/// the turn would come too late, or never (0). Whoever waits calls `tollbar_look` with the place when `wakeups` tells `token`, or after
/// `turn.look_after_ns`, whichever is first, until the answer is another; or `tollbar_leave`. That time is the limiter's: a clock of
/// `tollbar_clock_new` tells the token when it has come, so no timer is needed then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_join(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    ask: *const Ask,
    ask_size: usize,
    wakeups: WakeupsHandle,
    token: u64,
    turn: *mut Turn,
    turn_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    let key = || Ok(Awaited::one(unsafe { given::key(key, key_len) }?));
    // SAFETY: the conventions.
    unsafe { join(limiter, key, (ask, ask_size), (wakeups, token), (turn, turn_size)) }
}

/// `tollbar_join` of several keys, which must differ: in the lines of all of them, as `tollbar_acquire_all` waits. There is one
/// place for all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_join_all(
    limiter: LimiterHandle,
    keys: *const Key,
    count: usize,
    ask: *const Ask,
    ask_size: usize,
    wakeups: WakeupsHandle,
    token: u64,
    turn: *mut Turn,
    turn_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    let keys = || Ok(Awaited::all(&unsafe { given::keys(keys, count) }?));
    // SAFETY: the conventions.
    unsafe { join(limiter, keys, (ask, ask_size), (wakeups, token), (turn, turn_size)) }
}

/// What has become of a place: as `tollbar_join` answers. With any other answer than `TOLLBAR_WAITING` the place is freed. While one
/// thread looks at a place, others are told to wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_look(place: PlaceHandle, turn: *mut Turn, turn_size: usize) -> i32 {
    guard(|_| {
        given::can_put(given::wanted("turn", turn)?, turn_size)?;
        let found = PLACES.get(place.id)?.look();
        if !matches!(found, Ok(Found::Wait(_))) {
            // Another thread that looks at the same place may have been faster.
            let _ = PLACES.take(place.id);
        }
        // SAFETY: the conventions.
        unsafe { tell(found?, Some(place.id), turn, turn_size) }
    })
}

/// Leaves the line and frees the place: takes nothing, also if the turn had come, and hands it to the next: 1, or 0 if there was
/// nothing to leave any more.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_leave(place: PlaceHandle) -> i32 {
    guard(|_| Ok(PLACES.take(place.id)?.leave()?.into()))
}

/// What tells those who wait. Any number of places may share one. To be freed with `tollbar_wakeups_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_wakeups_new(wakeups: *mut WakeupsHandle) -> i32 {
    guard(|_| {
        let place = given::wanted("wakeups", wakeups)?;
        let id = WAKEUPS.put(Wakeups::default())?;
        // SAFETY: the conventions.
        unsafe { given::put(place, WakeupsHandle { id }) };
        Ok(TOLLBAR_OK)
    })
}

/// Waits in this thread until a token is told, for `timeout_ns` at most (`TOLLBAR_NEVER`: as long as it takes), and writes up to
/// `capacity` of them to `tokens`, oldest first: returns how many. One that was told may be of a place that is gone by now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_wakeups_next(
    wakeups: WakeupsHandle,
    timeout_ns: u64,
    tokens: *mut u64,
    capacity: usize,
) -> i32 {
    waiting(|| {
        let tokens = given::wanted("tokens", tokens)?;
        let capacity = capacity.min(65_536);
        let told = heard(wakeups)?;
        let taken = told.next(timeout_ns, |at, token| {
            if at < capacity {
                // SAFETY: the conventions, and `at` is below the capacity.
                unsafe { given::put(tokens.add(at), token) };
            }
            at < capacity
        })?;
        Ok(i32::try_from(taken).unwrap_or(i32::MAX))
    })
}

/// Tells a token oneself, to get the attention of whoever waits in `tollbar_wakeups_next`.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_wakeups_tell(wakeups: WakeupsHandle, token: u64) -> i32 {
    guard(|_| {
        WAKEUPS.get(wakeups.id)?.tell(token);
        Ok(TOLLBAR_OK)
    })
}

/// Frees it; whoever waits in `tollbar_wakeups_next` gets `TOLLBAR_ERROR_CLOSED`. Of one that stands for nothing: does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_wakeups_free(wakeups: WakeupsHandle) -> i32 {
    guard(|_| {
        if wakeups.id != 0 {
            WAKEUPS.take(wakeups.id)?.close();
        }
        Ok(TOLLBAR_OK)
    })
}

unsafe fn acquire(
    limiter: LimiterHandle,
    keys: impl FnOnce() -> Result<Awaited, Fault>,
    (ask, ask_size): (*const Ask, usize),
    (turn, turn_size): (*mut Turn, usize),
) -> i32 {
    waiting(|| {
        // SAFETY: the conventions.
        let (keys, ask) = (keys()?, unsafe { given::ask(ask, ask_size) }?);
        given::can_put(turn, turn_size)?;
        if ask.lease_ns > 0 {
            given::wanted("turn", turn)?;
        }
        let by = by(limiter)?;
        // SAFETY: the conventions.
        unsafe { tell(block(by, keys, asked(ask)?)?, None, turn, turn_size) }
    })
}

unsafe fn join(
    limiter: LimiterHandle,
    keys: impl FnOnce() -> Result<Awaited, Fault>,
    (ask, ask_size): (*const Ask, usize),
    (wakeups, token): (WakeupsHandle, u64),
    (turn, turn_size): (*mut Turn, usize),
) -> i32 {
    guard(|_| {
        // SAFETY: the conventions.
        let (keys, ask) = (keys()?, unsafe { given::ask(ask, ask_size) }?);
        given::can_put(given::wanted("turn", turn)?, turn_size)?;
        // SAFETY: the conventions.
        let wanted = unsafe { asked(ask) }?;
        let bell = Bell { wakeups: WAKEUPS.get(wakeups.id)?, token };
        let waiter = Arc::new(Waiter::new(by(limiter)?, keys, wanted, Arc::new(bell).into()));
        let found = waiter.join()?;
        let place = if matches!(found, Found::Wait(_)) { Some(PLACES.put_shared(waiter)?) } else { None };
        // SAFETY: the conventions.
        unsafe { tell(found, place, turn, turn_size) }
    })
}

fn by(limiter: LimiterHandle) -> Result<Held, Fault> {
    let inside = Inside::enter();
    Ok(LIMITERS.get(limiter.id, &inside)?.clone())
}

fn heard(wakeups: WakeupsHandle) -> Result<Arc<Wakeups>, Fault> {
    let _inside = Inside::enter();
    WAKEUPS.get(wakeups.id)
}

unsafe fn asked(ask: Ask) -> Result<Wanted, Fault> {
    let priority = u8::try_from(ask.priority);
    let priority = priority.map_err(|_| Error::invalid("priority", ask.priority, "must be at most 127"))?;
    let gives_back = match ask.gives_back {
        0 | 1 => ask.gives_back == 1,
        other => return Err(Error::invalid("gives_back", other, "must be 0 or 1").into()),
    };
    let timeout = (ask.timeout_ns != TOLLBAR_NEVER).then_some(ask.timeout_ns);
    let asked = limiter::Ask::new(ask.cost).timeout_ns(timeout).priority(priority)?;
    let asked = if ask.lease_ns == 0 { asked } else { asked.holding(given::lease(ask.lease_ns), gives_back)? };
    // SAFETY: the conventions.
    let costs = unsafe { given::costs(ask.cost, ask.costs, ask.costs_count) }?;
    Ok(Wanted { ask: asked, costs: (ask.costs_count > 0).then_some(costs) })
}

unsafe fn tell(found: Found, place: Option<u64>, turn: *mut Turn, size: usize) -> Result<i32, Fault> {
    let mut told = Turn {
        place: PlaceHandle { id: 0 },
        reservation: ReservationHandle { id: 0 },
        look_after_ns: 0,
        retry_after_ns: 0,
        never: false,
        reserved: [0; 7],
        denied_by: 0,
    };
    let answer = match found {
        Found::Come(held) => {
            told.reservation.id = held.map_or(Ok(0), super::kept)?;
            1
        }
        Found::TooLate(wait, by) => {
            (told.retry_after_ns, told.denied_by) = (wait, by);
            0
        }
        Found::Never(by) => {
            (told.retry_after_ns, told.never, told.denied_by) = (TOLLBAR_NEVER, true, by);
            0
        }
        Found::Wait(nanos) => {
            told.place.id = place.unwrap_or(0);
            told.look_after_ns = nanos.unwrap_or(TOLLBAR_NEVER);
            TOLLBAR_WAITING
        }
    };
    // SAFETY: the conventions.
    unsafe { given::put_turn(turn, size, &told) }?;
    Ok(answer)
}
