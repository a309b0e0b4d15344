//! Arbitrary calls of the C ABI, one after the other, as a byte string says. Whatever it says: no crash, no status that is not
//! in the header, no panic caught inside, nothing written where there is no room, nothing at all with a negative status, and a
//! limiter under a manual clock never admits more than its burst and what has flown in since.
#![no_main]
// The library is linked for its C functions.
extern crate tollbar as _;

mod abi;
mod given;
mod model;

use std::ffi::c_char;
use std::ptr;

use abi::{Handle, Key};
use given::{Given, Room};
use libfuzzer_sys::fuzz_target;
use model::Model;

const POLICY: usize = 0;
const CLOCK: usize = 1;
const OPTIONS: usize = 2;
const LIMITER: usize = 3;
const BUCKET: usize = 4;
const RESERVATION: usize = 5;
const PLACE: usize = 6;
const WAKEUPS: usize = 7;

const DECISION: usize = 96;
const TURN: usize = 32;
const TOTALS: usize = 64;
const ASK: usize = 32;

/// A status that the header knows, and none that says that the library has a mistake.
fn known(status: i32, most: i32) -> i32 {
    assert!((-11..=most).contains(&status) && status != -8, "status {status}");
    status
}

/// What was called so far.
struct Calls {
    all: Vec<Vec<Handle>>,
}

impl Calls {
    /// Keeps a handle that was made; with any other answer none was.
    fn keep(&mut self, kind: usize, status: i32, made: Handle) {
        if status < 0 {
            assert_eq!(made.0, u64::MAX, "a handle was written with {status}");
        } else if made.0 != 0 && made.0 != u64::MAX && self.all[kind].len() < 64 {
            self.all[kind].push(made);
        }
    }

    fn told(status: i32, room: &Room) -> i32 {
        room.check();
        assert!(status >= 0 || room.is_as_it_was(), "a result was written with {status}");
        known(status, 2)
    }

    /// One of the functions that put a policy, options or a clock together.
    fn build(&mut self, given: &mut Given) {
        let policy = given.handle(&self.all, POLICY);
        let mut text = given.message();
        let (at, room) = (text.at().cast::<c_char>(), text.size);
        let mut made = Handle(u64::MAX);
        // SAFETY: every pointer leads to as much as is said, or is one that the header lets be.
        let status = unsafe {
            match given.byte() % 14 {
                0 => {
                    let status = abi::tollbar_policy_new(&raw mut made);
                    self.keep(POLICY, status, made);
                    status
                }
                1 => abi::tollbar_policy_add_rate(policy, given.number(), given.number(), at, room),
                2 => abi::tollbar_policy_add_window(policy, given.number(), given.number(), at, room),
                3 => abi::tollbar_policy_add_in_flight(policy, given.number(), at, room),
                4 => abi::tollbar_policy_add_jail(policy, given.number(), given.number(), given.number(), at, room),
                5 => abi::tollbar_policy_set(policy, i32::from(given.byte() % 8), given.number(), at, room),
                6 => {
                    let (name, len) = given.key();
                    abi::tollbar_policy_set_name(policy, name.as_ptr().cast(), len, at, room)
                }
                7 => {
                    let factor = f64::from_bits(given.number());
                    abi::tollbar_policy_set_escalation(policy, factor, given.number(), at, room)
                }
                8 => abi::tollbar_policy_free(policy),
                9 => {
                    let status = abi::tollbar_options_new(&raw mut made);
                    self.keep(OPTIONS, status, made);
                    status
                }
                10 => {
                    let options = given.handle(&self.all, OPTIONS);
                    // Small tables, so that they are full now and then.
                    let (what, value) = (i32::from(given.byte() % 4), given.number());
                    let value = if what == 1 && value > 4096 && value <= 1 << 25 { value % 4096 } else { value };
                    abi::tollbar_options_set(options, what, value, at, room)
                }
                11 => {
                    let options = given.handle(&self.all, OPTIONS);
                    abi::tollbar_options_set_clock(options, given.handle(&self.all, CLOCK))
                }
                12 => abi::tollbar_options_free(given.handle(&self.all, OPTIONS)),
                _ => {
                    let status = abi::tollbar_clock_new(given.number(), &raw mut made);
                    self.keep(CLOCK, status, made);
                    status
                }
            }
        };
        text.check();
        known(status, 0);
    }

    /// One of the functions that make or end something that has a handle.
    fn lives(&mut self, given: &mut Given) {
        let limiter = given.handle(&self.all, LIMITER);
        let mut text = given.message();
        let (at, room) = (text.at().cast::<c_char>(), text.size);
        let mut made = Handle(u64::MAX);
        let (key, len) = given.key();
        let key: *const c_char = key.as_ptr().cast();
        // SAFETY: as above.
        let status = unsafe {
            match given.byte() % 11 {
                0 => {
                    let (policy, options) = (given.handle(&self.all, POLICY), given.handle(&self.all, OPTIONS));
                    let abi_version = 1 + u32::from(given.byte() == 0xff);
                    let status = abi::tollbar_limiter_new(abi_version, policy, options, &raw mut made, at, room);
                    self.keep(LIMITER, status, made);
                    status
                }
                1 => {
                    let status = abi::tollbar_limiter_clone(limiter, &raw mut made);
                    self.keep(LIMITER, status, made);
                    status
                }
                2 => {
                    let policy = given.handle(&self.all, POLICY);
                    let status = abi::tollbar_limiter_with_policy(limiter, policy, &raw mut made, at, room);
                    self.keep(LIMITER, status, made);
                    status
                }
                3 => abi::tollbar_limiter_free(limiter),
                4 => {
                    let status = abi::tollbar_bucket_new(limiter, key, len, &raw mut made);
                    self.keep(BUCKET, status, made);
                    status
                }
                5 => abi::tollbar_bucket_free(given.handle(&self.all, BUCKET)),
                6 => {
                    let status = abi::tollbar_wakeups_new(&raw mut made);
                    self.keep(WAKEUPS, status, made);
                    status
                }
                7 => abi::tollbar_wakeups_free(given.handle(&self.all, WAKEUPS)),
                8 => abi::tollbar_commit(given.handle(&self.all, RESERVATION)),
                9 => abi::tollbar_commit_actual(given.handle(&self.all, RESERVATION), given.number()),
                _ => abi::tollbar_cancel(given.handle(&self.all, RESERVATION)),
            }
        };
        text.check();
        known(status, 1);
    }

    /// One question about a key.
    fn ask(&mut self, given: &mut Given) {
        let limiter = given.handle(&self.all, LIMITER);
        let (key, len) = given.key();
        let (bytes, cost) = (key.as_ptr().cast::<c_char>(), given.number());
        let mut told = given.room(DECISION);
        let size = told.size;
        let mut made = Handle(u64::MAX);
        // SAFETY: as above.
        let status = unsafe {
            match given.byte() % 13 {
                0 => abi::tollbar_try_acquire(limiter, bytes, len, cost),
                1 => abi::tollbar_decide(limiter, bytes, len, cost, told.at(), size),
                2 => abi::tollbar_peek(limiter, bytes, len, cost, told.at(), size),
                3 => abi::tollbar_bucket_try_acquire(given.handle(&self.all, BUCKET), cost),
                4 => abi::tollbar_bucket_peek(given.handle(&self.all, BUCKET), cost, told.at(), size),
                5 => {
                    let (lease, back) = (given.number(), given.byte() & 1 == 1);
                    let made_at = &raw mut made;
                    let status = abi::tollbar_reserve(limiter, bytes, len, cost, lease, back, made_at, told.at(), size);
                    self.keep(RESERVATION, status, made);
                    status
                }
                6 => abi::tollbar_reset(limiter, bytes, len),
                7 => abi::tollbar_release(limiter, bytes, len),
                8 => abi::tollbar_penalize(limiter, bytes, len),
                9 => abi::tollbar_contains(limiter, bytes, len),
                10 => {
                    let policy = given.handle(&self.all, POLICY);
                    let how = i32::from(given.byte() % 5) - 1;
                    abi::tollbar_reconfigure(limiter, bytes, len, policy, how, ptr::null_mut(), 9)
                }
                11 => {
                    let mut totals = given.room(TOTALS);
                    let status = abi::tollbar_stats(limiter, totals.at(), totals.size);
                    Self::told(status, &totals)
                }
                _ => abi::tollbar_shadow_denied(limiter, bytes, len, &raw mut made.0),
            }
        };
        Self::told(status, &told);
    }

    /// A question about many keys.
    fn ask_many(&mut self, given: &mut Given) {
        let limiter = given.handle(&self.all, LIMITER);
        let count = usize::from(given.byte() % 9);
        let each: Vec<_> = (0..count).map(|_| given.key()).collect();
        let keys: Vec<_> = each.iter().map(|&(key, len)| Key(key.as_ptr().cast(), len)).collect();
        let said = if given.byte() == 0xff { usize::MAX >> (given.byte() % 32) } else { count };
        let mut answers = [7_u8; 16];
        let (mut told, mut by) = (given.room(DECISION), usize::MAX);
        let size = told.size;
        let cost = given.number();
        // SAFETY: as above; more keys than there are is said only by numbers that are refused before one is read.
        let status = unsafe {
            match given.byte() % 3 {
                0 => abi::tollbar_try_acquire_many(limiter, keys.as_ptr(), said, cost, answers.as_mut_ptr()),
                1 => {
                    let at = &raw mut by;
                    abi::tollbar_try_acquire_all(limiter, keys.as_ptr(), said, cost, told.at(), size, at)
                }
                _ => {
                    let data: Vec<u8> = each.iter().flat_map(|&(key, _)| key.iter().copied()).collect();
                    let fits = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
                    let lengths: Vec<_> = each.iter().map(|&(_, len)| fits(len)).collect();
                    let (data, size) = (data.as_ptr().cast(), data.len());
                    let answers = answers.as_mut_ptr();
                    abi::tollbar_try_acquire_packed(limiter, data, size, lengths.as_ptr(), said, cost, answers)
                }
            }
        };
        Self::told(known(status, 9).min(2), &told);
        assert!(answers[if status < 0 { 0 } else { count }..].iter().all(|&answer| answer == 7));
        assert!(by == usize::MAX || (status == 0 && by < count));
    }

    /// One of the functions that wait, none of them for longer than nothing.
    fn wait(&mut self, given: &mut Given) {
        let limiter = given.handle(&self.all, LIMITER);
        let wakeups = given.handle(&self.all, WAKEUPS);
        let place = given.handle(&self.all, PLACE);
        let (key, len) = given.key();
        let key = key.as_ptr().cast();
        let mut turn = given.room(TURN);
        let size = turn.size;
        let mut ask = given.room(ASK);
        let (cost, timeout, lease) = (given.number(), given.number(), given.number());
        let how = u64::from(given.byte() % 130) | u64::from(given.byte() % 3) << 32;
        let mut tokens = [7_u64; 8];
        // SAFETY: as above.
        let status = unsafe {
            let which = given.byte() % 6;
            // What waits in this thread may not wait; what is behind the structure that is known is 0, or is not.
            let timeout = if which == 0 { 0 } else { timeout };
            if given.byte() & 1 == 0 {
                ask.at().cast::<u8>().write_bytes(0, 4096);
            }
            ask.at().cast::<[u64; 4]>().write([cost, timeout, lease, how]);
            match which {
                0 => abi::tollbar_acquire(limiter, key, len, ask.at(), ask.size, turn.at(), size),
                1 => abi::tollbar_join(limiter, key, len, ask.at(), ask.size, wakeups, cost, turn.at(), size),
                2 => abi::tollbar_look(place, turn.at(), size),
                3 => abi::tollbar_leave(place),
                4 => {
                    let room = usize::from(given.byte() % 9);
                    let count = abi::tollbar_wakeups_next(wakeups, 0, tokens.as_mut_ptr(), room);
                    assert!(count <= 0 || count as usize <= room, "{count} tokens");
                    known(count, 8).min(0)
                }
                _ => abi::tollbar_wakeups_tell(wakeups, cost),
            }
        };
        Self::told(status, &turn);
        if status >= 0 && !turn.is_as_it_was() {
            let (place, held) = (Handle(turn.number(0)), Handle(turn.number(8)));
            assert_eq!(place.0 != 0, status == 2);
            self.keep(PLACE, status, place);
            self.keep(RESERVATION, status, held);
        }
    }

    /// Ends all that was made, and a second time: then there is nothing left.
    fn end(self) {
        let free: [unsafe extern "C" fn(Handle) -> i32; 8] = [
            abi::tollbar_policy_free,
            abi::tollbar_clock_free,
            abi::tollbar_options_free,
            abi::tollbar_limiter_free,
            abi::tollbar_bucket_free,
            abi::tollbar_cancel,
            abi::tollbar_leave,
            abi::tollbar_wakeups_free,
        ];
        // What waits and what is held goes before what it is of.
        for kind in (0..free.len()).rev() {
            for &handle in &self.all[kind] {
                // SAFETY: any number may be given.
                let (first, second) = unsafe { (free[kind](handle), free[kind](handle)) };
                known(first, 1);
                assert_eq!(second, -5);
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut given = Given(data);
    let mut calls = Calls { all: vec![Vec::new(); 8] };
    let mut model = Model::new();
    while !given.0.is_empty() {
        match given.byte() % 8 {
            0 | 1 => calls.build(&mut given),
            2 => calls.lives(&mut given),
            3 => calls.ask(&mut given),
            4 => calls.ask_many(&mut given),
            5 => calls.wait(&mut given),
            6 => {
                let clock = given.handle(&calls.all, CLOCK);
                let by = given.number().cast_signed();
                // SAFETY: any number may be given.
                known(unsafe { abi::tollbar_clock_advance(clock, by) }, 0);
            }
            _ => model.step(&mut given),
        }
        // A guess may have moved its clock.
        model.read();
    }
    calls.end();
    model.end();
});
