//! How much a check does, and how it says what it did: as much as suits every `cargo test`, or what `make proof` asks for.

#![allow(dead_code)] // each test takes from here what it needs

use std::cell::Cell;

/// `in_tests` without PROOF; with it `usual`, or ten times less or more.
pub(crate) fn of(in_tests: u64, usual: u64) -> u64 {
    match std::env::var("PROOF").as_deref() {
        Err(_) | Ok("") => in_tests,
        Ok("short") => usual / 10,
        Ok("usual") => usual,
        Ok("long") => usual * 10,
        Ok(other) => panic!("PROOF must be short, usual or long, not {other}"),
    }
}

/// Schedules of each property test.
pub(crate) fn schedules() -> u32 {
    u32::try_from(of(20_000, 20_000)).expect("a number of cases")
}

/// A property test has come to one more schedule. With the last of them it says how many there were.
pub(crate) fn schedule() {
    thread_local! {
        static COUNT: Cell<u32> = const { Cell::new(0) };
    }
    let count = COUNT.get() + 1;
    COUNT.set(count);
    if count.is_multiple_of(schedules()) {
        did(count, "schedules");
    }
}

/// Says what was done, in a line that the table of proofs is made of.
pub(crate) fn did(count: impl TryInto<u64>, what: &str) {
    let count = count.try_into().unwrap_or_else(|_| panic!("a number of {what}"));
    println!("proof: {count} {what}");
}

/// Says what was seen on the way, which nothing hangs on.
pub(crate) fn saw(what: &str) {
    println!("seen: {what}");
}
