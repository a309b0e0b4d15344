//! A limiter whose answers are counted: 1,000 a second, a burst of 50, under a clock of its own.
//!
//! A guessed handle may be its own; so its calls may be refused, and its tokens be taken by others, but never may it give more.

use std::ptr;

use crate::abi::{self, Handle, Key};
use crate::given::Given;

const BURST: u64 = 50;
const INTERVAL: u64 = 1_000_000;
/// No other key begins with this letter.
const KEYS: [&[u8]; 3] = [b"M", b"M\0", b"M with more bytes than lie beside an account"];

pub struct Model {
    clock: Handle,
    limiter: Handle,
    bucket: Handle,
    got: [u64; 3],
    /// What the clock read, and how far it has gone forward in all.
    read: u64,
    forward: u64,
}

impl Model {
    pub fn new() -> Self {
        let [mut clock, mut limiter, mut bucket, mut policy, mut options] = [Handle(0); 5];
        // SAFETY: places for handles, no messages, and a key of its length.
        unsafe {
            assert_eq!(abi::tollbar_clock_new(0, &raw mut clock), 0);
            assert_eq!(abi::tollbar_policy_new(&raw mut policy), 0);
            assert_eq!(abi::tollbar_policy_add_rate(policy, 1000, 1_000_000_000, ptr::null_mut(), 0), 0);
            assert_eq!(abi::tollbar_policy_set(policy, 1, BURST, ptr::null_mut(), 0), 0);
            assert_eq!(abi::tollbar_options_new(&raw mut options), 0);
            assert_eq!(abi::tollbar_options_set_clock(options, clock), 0);
            assert_eq!(abi::tollbar_limiter_new(1, policy, options, &raw mut limiter, ptr::null_mut(), 0), 0);
            assert_eq!(abi::tollbar_bucket_new(limiter, KEYS[0].as_ptr().cast(), 1, &raw mut bucket), 1);
            assert_eq!(abi::tollbar_policy_free(policy), 0);
            assert_eq!(abi::tollbar_options_free(options), 0);
        }
        Self { clock, limiter, bucket, got: [0; 3], read: 0, forward: 0 }
    }

    /// Notes how far the clock has gone since.
    pub fn read(&mut self) {
        let mut now = self.read;
        // SAFETY: a place for a number. If its handle was guessed and freed, nobody moves the clock any more.
        unsafe { abi::tollbar_clock_now(self.clock, &raw mut now) };
        self.forward = self.forward.saturating_add(now.saturating_sub(self.read));
        self.read = now;
    }

    pub fn step(&mut self, given: &mut Given) {
        let (which, cost) = (usize::from(given.byte() % 3), u64::from(given.byte() % 60));
        let (key, len) = (KEYS[which].as_ptr().cast(), KEYS[which].len());
        let mut answers = [0_u8; 3];
        let each = KEYS.map(|key| Key(key.as_ptr().cast(), key.len()));
        // SAFETY: keys of their lengths, an answer for each, and no other results.
        let answer = unsafe {
            match given.byte() % 7 {
                0 => abi::tollbar_try_acquire(self.limiter, key, len, cost),
                1 => abi::tollbar_decide(self.limiter, key, len, cost, ptr::null_mut(), 0),
                2 if which == 0 => abi::tollbar_bucket_try_acquire(self.bucket, cost),
                2 | 3 => {
                    let by = i64::from(given.byte()) * 300_000 - if given.byte() == 0xff { 40_000_000 } else { 0 };
                    abi::tollbar_clock_advance(self.clock, by);
                    0
                }
                4 => {
                    let many = each.as_ptr();
                    let passed = abi::tollbar_try_acquire_many(self.limiter, many, 3, cost, answers.as_mut_ptr());
                    assert!(passed < 0 || passed as usize == answers.iter().filter(|&&answer| answer == 1).count());
                    0
                }
                5 => {
                    let all = each.as_ptr();
                    let none = ptr::null_mut();
                    let passed = abi::tollbar_try_acquire_all(self.limiter, all, 3, cost, none, 0, ptr::null_mut());
                    answers = [u8::from(passed == 1); 3];
                    0
                }
                _ => {
                    let mut held = Handle(0);
                    let (at, none) = (&raw mut held, ptr::null_mut());
                    let granted = abi::tollbar_reserve(self.limiter, key, len, cost, 0, false, at, none, 0);
                    if granted == 1 {
                        abi::tollbar_commit(held);
                    }
                    granted
                }
            }
        };
        assert!(matches!(answer, 0 | 1 | -5), "{answer}");
        self.got[which] += if answer == 1 { cost } else { 0 };
        for (got, answer) in self.got.iter_mut().zip(answers) {
            *got += u64::from(answer) * cost;
        }
        self.read();
        let most = BURST.saturating_add(self.forward / INTERVAL);
        assert!(self.got.iter().all(|&got| got <= most), "{:?} of {most}", self.got);
    }

    pub fn end(self) {
        // SAFETY: any number may be given; a guess may have freed them before.
        unsafe {
            abi::tollbar_bucket_free(self.bucket);
            abi::tollbar_limiter_free(self.limiter);
            abi::tollbar_clock_free(self.clock);
        }
    }
}
