//! The table under the model checker: interleavings of small scenarios, slots reused among them.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release --lib modelled`. The checker remembers only the last access
//! to each atomic, so a thread's own load can hide an earlier load from a later store: each scenario
//! asserts on results that more than one order can produce.
//!
//! What it cannot show rests on the argument in `slot` alone: that the swap of a charge is a Release and the one of an
//! eviction an Acquire (it never lets a load see a later store), that the class is loaded after the word, and what
//! the standard library's `OnceLock` orders, which is not modelled.

use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicU64, Ordering};

use loom::sync::Arc;
use loom::thread;

use super::{Absent, Answer, NoPlace, Plan, Table, WhenFull, size};
use crate::account::Terms;
use crate::classes::ClassId;
use crate::clock::{Clock, ManualClock, Timeline};
use crate::limit::{Migration, Rate, Verdict};
use crate::policy::Cost;
use crate::policy::Policy;

const SECOND: u64 = 1_000_000_000;

/// The table, what to do about unknown keys, and the clock, which stands at 5 s.
fn table(max_keys: usize, burst: u64, when_full: WhenFull) -> (Arc<Table>, Absent, StdArc<ManualClock>) {
    let manual = StdArc::new(ManualClock::new(10 * SECOND, 0));
    let plan = Plan { max_keys, when_full, notice_ms: None, track_created: false };
    let table = Table::new(plan, Timeline::starting_now(Clock::Manual(manual.clone())));
    let class = table.intern(Policy::rate(Rate::new(1, SECOND).burst(burst)).unwrap()).unwrap();
    manual.advance_ns(5 * SECOND.cast_signed());
    (Arc::new(table), Absent::Charge(class), manual)
}

fn admitted(table: &Table, key: &[u8], absent: Absent) -> u32 {
    let taken = table.take::<false>(key, 1).map(Answer::Charged);
    let answer = taken.unwrap_or_else(|trace| table.charge(key, trace, 1, absent));
    u32::from(matches!(answer, Answer::Charged(charge) if matches!(charge.verdict, Verdict::Allow(_))))
}

fn charge_all(table: &Table, keys: &[&[u8]], n: u64, class: ClassId) -> Result<Vec<Answer>, NoPlace> {
    let keys: Vec<_> = keys.iter().map(|&key| (key, class)).collect();
    table.charge_all(&keys, &Cost::new(n))
}

/// How many of these requests pass, made one after the other in another thread.
fn meanwhile(table: &Arc<Table>, absent: Absent, keys: &'static [&'static [u8]]) -> thread::JoinHandle<Vec<u32>> {
    let table = table.clone();
    thread::spawn(move || keys.iter().map(|key| admitted(&table, key, absent)).collect())
}

/// How often a thread is interrupted where it need not be, at most.
const BOUND: usize = 5;

/// All interleavings, up to this many times that a thread is interrupted where it need not be.
fn explore(preemptions: usize, scenario: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    // The standard library's, so that counting is no step of the scenario.
    let count = StdArc::new(AtomicU64::new(0));
    let counted = count.clone();
    model.check(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        scenario();
    });
    size::did(count.load(Ordering::SeqCst), &format!("interleavings, at most {preemptions} preemptions"));
}

#[test]
fn two_first_sights_make_one_account_and_charge_it_twice() {
    explore(BOUND, || {
        let (table, absent, _) = table(8, 1, WhenFull::Deny);
        let other = meanwhile(&table, absent, &[b"a"]);
        let mine = admitted(&table, b"a", absent);
        assert_eq!(mine + other.join().unwrap()[0], 1, "a burst of one passes once");
        assert_eq!(table.len(), 1);
    });
}

#[test]
fn two_charges_of_a_known_key_with_one_token_left_pass_once() {
    explore(BOUND, || {
        let (table, absent, _) = table(8, 2, WhenFull::Deny);
        assert_eq!(admitted(&table, b"a", absent), 1);
        let other = meanwhile(&table, absent, &[b"a"]);
        let mine = admitted(&table, b"a", absent);
        assert_eq!(mine + other.join().unwrap()[0], 1, "one token, one admission");
    });
}

#[test]
fn a_charge_beside_an_eviction_is_not_lost() {
    explore(BOUND, || {
        let (table, absent, _) = table(1, 2, WhenFull::Deny);
        assert_eq!(admitted(&table, b"a", absent), 1);
        // "a" owes a token, so under `Deny` it must not go for "b".
        let other = meanwhile(&table, absent, &[b"b"]);
        let mine = admitted(&table, b"a", absent);
        assert_eq!((mine, other.join().unwrap()[0]), (1, 0));
        assert_eq!(admitted(&table, b"a", absent), 0, "its burst of two is spent");
        assert_eq!(table.len(), 1);
    });
}

#[test]
fn whoever_takes_the_last_place_the_bound_holds() {
    explore(BOUND, || {
        let (table, absent, _) = table(1, 1, WhenFull::Deny);
        let other = meanwhile(&table, absent, &[b"b"]);
        let mine = admitted(&table, b"a", absent);
        assert_eq!(mine + other.join().unwrap()[0], 1, "one place, one admission");
        assert_eq!(table.len(), 1);
    });
}

// HAZARD race-evict
#[test]
fn a_refilled_account_evicted_beside_its_own_charge_keeps_its_bound() {
    explore(BOUND, || {
        let (table, absent, clock) = table(1, 1, WhenFull::Deny);
        assert_eq!(admitted(&table, b"a", absent), 1);
        clock.advance_ns(2 * SECOND.cast_signed());
        // "a" has refilled: it may go for "b", or be charged first and stay.
        let other = meanwhile(&table, absent, &[b"b", b"b"]);
        let mine = admitted(&table, b"a", absent) + admitted(&table, b"a", absent);
        let theirs: u32 = other.join().unwrap().iter().sum();
        assert_eq!(mine + theirs, 1, "who has the place owes a token and keeps it; nobody's charge is lost");
        assert_eq!(table.len(), 1);
    });
}

#[test]
fn a_slot_taken_from_a_debtor_serves_its_new_account_alone() {
    explore(BOUND, || {
        let (table, absent, _) = table(1, 2, WhenFull::EvictLeast);
        assert_eq!(admitted(&table, b"a", absent), 1);
        // The clock stands still: "b" is born in the slot of "a" at the very time that "a" was, with a lift.
        let other = meanwhile(&table, absent, &[b"b"]);
        let mine = admitted(&table, b"a", absent);
        assert_eq!(mine, 1, "known, or evicted and fresh: it has tokens either way");
        assert_eq!(other.join().unwrap()[0], 1);
        // Two that look for a place at once may both find one; the next to come works the surplus off.
        let (a, b) = (table.holds(b"a"), table.holds(b"b"));
        assert!(a || b);
        if b {
            assert_eq!(admitted(&table, b"b", absent), 1, "b had two tokens and took one");
            assert_eq!(admitted(&table, b"b", absent), 0, "and no charge for another was lost on it");
        }
    });
}

#[test]
fn two_who_make_room_for_one_name_make_one_account() {
    explore(3, || {
        let (table, absent, clock) = table(2, 1, WhenFull::Deny);
        assert_eq!(admitted(&table, b"a", absent) + admitted(&table, b"b", absent), 2);
        clock.advance_ns(2 * SECOND.cast_signed());
        // Both have refilled, so there is a place for each of the two who ask.
        let other = meanwhile(&table, absent, &[b"c"]);
        let mine = admitted(&table, b"c", absent);
        assert_eq!(mine + other.join().unwrap()[0], 1, "a burst of one passes once");
    });
}

#[test]
fn two_keys_charged_together_beside_a_charge_of_one() {
    explore(3, || {
        let (table, absent, _) = table(8, 1, WhenFull::Deny);
        let Absent::Charge(class) = absent else { unreachable!() };
        assert!(charge_all(&table, &[b"a", b"b"], 0, class).is_ok_and(|parts| parts.len() == 2));
        let other = meanwhile(&table, absent, &[b"a"]);
        let parts = charge_all(&table, &[b"b", b"a"], 1, class).ok().unwrap();
        let both = parts.iter().all(Answer::is_allowance);
        assert_ne!(both, other.join().unwrap()[0] == 1, "the one token of a went once");
        assert_eq!(admitted(&table, b"b", absent), u32::from(!both), "and the one of b with it, or not at all");
    });
}

#[test]
fn two_that_want_the_same_keys_in_other_orders_never_get_stuck() {
    explore(3, || {
        let (table, absent, _) = table(8, 1, WhenFull::Deny);
        let Absent::Charge(class) = absent else { unreachable!() };
        let passes = move |table: &Table, keys: &[&[u8]]| {
            let parts = charge_all(table, keys, 1, class).ok().unwrap();
            parts.iter().all(Answer::is_allowance)
        };
        let other = {
            let table = table.clone();
            thread::spawn(move || passes(&table, &[b"a", b"b"]))
        };
        let mine = passes(&table, &[b"b", b"a"]);
        assert_ne!(mine, other.join().unwrap(), "one of the two got both");
    });
}

/// Keys that the index cannot tell from each other: an entry holds one bit of a hash, which is all that chooses their
/// place, too.
fn alike(table: &Table) -> [&'static [u8]; 2] {
    let keys: [&'static [u8]; 8] = [b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"];
    let look = |key: &[u8]| table.seek(key).probe.hash >> 31;
    let mut same = keys.into_iter().filter(|key| look(key) == look(b"a"));
    [same.next().unwrap(), same.next().expect("half of the keys look alike")]
}

#[test]
fn a_denial_is_the_accounts_own() {
    explore(BOUND, || {
        let (table, absent, _) = table(1, 2, WhenFull::EvictLeast);
        let [a, b] = alike(&table);
        assert_eq!(admitted(&table, a, absent) + admitted(&table, a, absent), 2);
        let other = {
            let table = table.clone();
            thread::spawn(move || admitted(&table, b, absent))
        };
        // Of "b" there are two tokens, and "a" has none: a word of "a" read with the key of "b" would deny.
        let mine = admitted(&table, b, absent);
        assert_eq!((mine, other.join().unwrap()), (1, 1));
    });
}

#[test]
fn an_account_whose_segment_is_split_is_found_and_found_once() {
    explore(BOUND, || {
        let (table, absent, _) = table(8, 2, WhenFull::Deny);
        let is_single = |table: &Table| table.stripes[0].index.is_single();
        assert_eq!(admitted(&table, b"a", absent) + admitted(&table, b"b", absent), 2);
        assert!(is_single(&table));
        let other = meanwhile(&table, absent, &[b"a", b"a"]);
        assert_eq!(admitted(&table, b"c", absent), 1, "the third makes two segments of one");
        assert_eq!(other.join().unwrap().iter().sum::<u32>(), 1, "a had two tokens and one was left");
        assert!(!is_single(&table));
        assert_eq!(table.len(), 3);
    });
}

#[test]
fn reset_beside_a_charge_leaves_a_burst_or_one_less() {
    explore(BOUND, || {
        let (table, absent, _) = table(8, 2, WhenFull::Deny);
        assert_eq!(admitted(&table, b"a", absent) + admitted(&table, b"a", absent), 2);
        let other = meanwhile(&table, absent, &[b"a"]);
        assert!(table.reset(b"a"));
        let theirs = other.join().unwrap()[0];
        let left = admitted(&table, b"a", absent) + admitted(&table, b"a", absent) + admitted(&table, b"a", absent);
        assert_eq!(left + theirs, 2, "a full bucket, and whoever came after the reset took from it");
    });
}

// HAZARD race-reconfigure
#[test]
fn reconfigured_beside_a_charge_never_two_mixed_configurations() {
    explore(BOUND, || {
        let (table, absent, _) = table(8, 1, WhenFull::Deny);
        let wide = table.intern(Policy::rate(Rate::new(1, SECOND).burst(3)).unwrap()).unwrap();
        assert_eq!(admitted(&table, b"a", absent), 1);
        let other = meanwhile(&table, absent, &[b"a"]);
        assert!(table.configure(b"a", wide, Migration::AsIs));
        let theirs = other.join().unwrap()[0];
        let left: u32 = (0..3).map(|_| admitted(&table, b"a", absent)).sum();
        assert_eq!(left + theirs, 2, "one owed of three");
    });
}

// HAZARD race-reconfigure
#[test]
fn a_charge_beside_a_reconfiguration_costs_what_one_of_the_two_says() {
    explore(BOUND, || {
        let (table, absent, _) = table(8, 2, WhenFull::Deny);
        let slow = table.intern(Policy::rate(Rate::new(1, 10 * SECOND).burst(2)).unwrap()).unwrap();
        assert_eq!(admitted(&table, b"a", absent), 1);
        let other = meanwhile(&table, absent, &[b"a"]);
        assert!(table.configure(b"a", slow, Migration::AsIs));
        assert_eq!(other.join().unwrap()[0], 1);
        let Answer::Charged(look) = table.peek(b"a", &Cost::new(0), slow) else { panic!("no word") };
        assert_eq!(look.tat - look.now, 20 * SECOND * 16, "two tokens owed, each of them ten seconds");
    });
}

#[test]
fn a_reservation_beside_a_charge_loses_neither() {
    explore(3, || {
        let (table, absent, _) = table(8, 2, WhenFull::Deny);
        let Absent::Charge(class) = absent else { return };
        assert_eq!(admitted(&table, b"a", absent), 1);
        let other = meanwhile(&table, absent, &[b"a"]);
        let answer = table.reserve(b"a", &Cost::new(1), class, Terms { length: SECOND, gives_back: false });
        let theirs = other.join().unwrap()[0];
        let Answer::Ruled(ruled) = answer else {
            assert_eq!(theirs, 1, "one token: who was refused came second");
            return;
        };
        assert_eq!(u32::from(ruled.ruling.passes()) + theirs, 1, "one token, one of the two");
        if let Some(lease) = ruled.lease {
            assert!(table.settle(b"a", lease, Some(&Cost::new(0))));
            assert_eq!(admitted(&table, b"a", absent), 1, "given back");
        }
        assert_eq!(admitted(&table, b"a", absent), 0);
    });
}
