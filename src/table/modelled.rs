//! The table under the model checker: every interleaving of small scenarios.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release --lib`.

use std::sync::Arc as StdArc;

use loom::sync::Arc;
use loom::thread;

use super::{Absent, Answer, Plan, Table, WhenFull};
use crate::clock::{Clock, ManualClock, Timeline};
use crate::limit::{Rate, Verdict};
use crate::policy::Policy;

const SECOND: u64 = 1_000_000_000;

fn table(max_keys: usize, burst: u64) -> (Table, Absent, StdArc<ManualClock>) {
    let manual = StdArc::new(ManualClock::new(10 * SECOND, 0));
    let plan = Plan { max_keys, when_full: WhenFull::Deny, notice_ms: None, track_created: false };
    let table = Table::new(plan, Timeline::starting_now(Clock::Manual(manual.clone())));
    let class = table.intern(Policy::rate(Rate::new(1, SECOND).burst(burst)).unwrap()).unwrap();
    manual.advance_ns(5 * SECOND.cast_signed());
    (table, Absent::Charge(class), manual)
}

fn admitted(table: &Table, key: &[u8], absent: Absent) -> u32 {
    let answer = table.charge(key, 1, absent, None);
    u32::from(matches!(answer, Answer::Charged(charge) if matches!(charge.verdict, Verdict::Allow(_))))
}

#[test]
fn two_first_sights_make_one_account_and_charge_it_twice() {
    loom::model(|| {
        let (table, absent, _) = table(8, 1);
        let table = Arc::new(table);
        let other = {
            let table = table.clone();
            thread::spawn(move || admitted(&table, b"a", absent))
        };
        let mine = admitted(&table, b"a", absent);
        assert_eq!(mine + other.join().unwrap(), 1, "a burst of one passes once");
        assert_eq!(table.len(), 1);
    });
}

#[test]
fn two_charges_of_a_known_key_with_one_token_left_pass_once() {
    loom::model(|| {
        let (table, absent, _) = table(8, 2);
        assert_eq!(admitted(&table, b"a", absent), 1);
        let table = Arc::new(table);
        let other = {
            let table = table.clone();
            thread::spawn(move || admitted(&table, b"a", absent))
        };
        let mine = admitted(&table, b"a", absent);
        assert_eq!(mine + other.join().unwrap(), 1, "one token, one admission");
    });
}

#[test]
fn a_charge_beside_an_eviction_is_not_lost() {
    loom::model(|| {
        let (table, absent, _) = table(1, 2);
        assert_eq!(admitted(&table, b"a", absent), 1);
        // "a" owes a token, so under `Deny` it must not go for "b".
        let table = Arc::new(table);
        let other = {
            let table = table.clone();
            thread::spawn(move || admitted(&table, b"b", absent))
        };
        let mine = admitted(&table, b"a", absent);
        assert_eq!((mine, other.join().unwrap()), (1, 0));
        assert_eq!(admitted(&table, b"a", absent), 0, "its burst of two is spent");
        assert_eq!(table.len(), 1);
    });
}

#[test]
fn whoever_takes_the_last_place_the_bound_holds() {
    loom::model(|| {
        let (table, absent, _) = table(1, 1);
        let table = Arc::new(table);
        let other = {
            let table = table.clone();
            thread::spawn(move || admitted(&table, b"b", absent))
        };
        let mine = admitted(&table, b"a", absent);
        assert_eq!(mine + other.join().unwrap(), 1, "one place, one admission");
        assert_eq!(table.len(), 1);
    });
}
