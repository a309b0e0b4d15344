//! The table's promises: who is forgiven, who goes, and how far a look around goes.

use std::sync::Arc;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::limit::{Edge, Migration, Rate};
use crate::policy::Limit;
use crate::ticks::SKEW;

#[path = "cold_tests.rs"]
mod cold;
#[path = "room_tests.rs"]
mod room;
#[path = "together_tests.rs"]
mod together;

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3600 * SECOND;

struct Bench {
    table: Table,
    class: ClassId,
    clock: Arc<ManualClock>,
}

fn bench(max_keys: usize, when_full: WhenFull, rate: Rate) -> Bench {
    let clock = Arc::new(ManualClock::new(0, 0));
    let plan = Plan { max_keys, when_full, notice_ms: None, track_created: false };
    let table = Table::new(plan, Timeline::starting_now(Clock::Manual(clock.clone())));
    let class = table.intern(Policy::rate(rate).unwrap()).unwrap();
    Bench { table, class, clock }
}

impl Bench {
    fn ask(&self, key: &str, n: u64) -> Answer {
        self.charge(key, n, Absent::Charge(self.class), None)
    }

    fn charge(&self, key: &str, n: u64, absent: Absent, at: Option<Ticks>) -> Answer {
        let mut answers = Vec::new();
        if let Some(now) = at {
            self.table
                .charge_each::<false>([key.as_bytes()].into_iter(), n, absent, now, |answer| answers.extend(answer));
            return answers[0];
        }
        let taken = self.table.take::<false>(key.as_bytes(), n).map(Answer::Charged);
        taken.unwrap_or_else(|trace| self.table.charge(key.as_bytes(), trace, n, absent))
    }

    fn passes(&self, key: &str) -> bool {
        matches!(self.ask(key, 1), Answer::Charged(Charge { verdict: Verdict::Allow(_), .. }))
    }

    fn exhaust(&self, key: &str) -> u64 {
        (0..1_000_000).take_while(|_| self.passes(key)).count() as u64
    }

    fn pinned(&self, key: &str, class: ClassId) -> Pin {
        self.table.pin(key.as_bytes(), Absent::Create(class)).unwrap().unwrap()
    }

    /// The class of these limits.
    fn limited_by<const LIMITS: usize>(&self, limits: [Limit; LIMITS]) -> ClassId {
        self.table.intern(Policy::all(limits).unwrap()).unwrap()
    }

    fn advance(&self, nanos: u64) {
        self.clock.advance_ns(i64::try_from(nanos).unwrap());
    }

    fn back(&self, nanos: u64) {
        self.clock.advance_ns(-i64::try_from(nanos).unwrap());
    }
}

#[test]
fn a_refilled_account_goes_first_and_nobody_is_forgiven() {
    let bench = bench(100, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    (0..100).for_each(|i| assert!(bench.passes(&i.to_string())));
    assert!(matches!(bench.ask("new", 1), Answer::Full(Some(wait)) if wait == SECOND * 16));
    assert!(bench.passes("7"), "known keys do not notice a full table");
    bench.advance(SECOND);
    assert!(bench.passes("new"));
    assert_eq!(bench.table.evictions(), (1, 0, bench.table.evictions().2));
    assert_eq!(bench.table.len(), 100);
}

#[test]
fn the_one_that_owes_least_goes_where_that_is_declared() {
    let bench = bench(20, WhenFull::EvictLeast, Rate::new(10, 10 * SECOND));
    (0..20).for_each(|i| assert!(matches!(bench.ask(&i.to_string(), 1 + i % 9), Answer::Charged(_))));
    bench.exhaust("19");
    assert!(bench.passes("new"));
    assert!(bench.table.holds(b"19") && bench.table.holds(b"new"));
    let gone: Vec<u64> = (0..20).filter(|i| !bench.table.holds(i.to_string().as_bytes())).collect();
    assert!(matches!(gone[..], [0 | 9 | 18]), "one of those that owe a single token: {gone:?}");
    assert_eq!(bench.table.evictions().1, 1);
}

#[test]
fn a_pinned_account_stays_and_the_table_comes_back_to_its_bound() {
    let bench = bench(2, WhenFull::EvictLeast, Rate::new(10, 10 * SECOND));
    let pins = ["a", "b", "c", "d"].map(|key| bench.pinned(key, bench.class));
    assert_eq!(bench.table.len(), 4, "what callers hold may go past the bound");
    let [a, ..] = &pins;
    assert!(bench.table.charge_pinned(a, 3).is_allowance());
    let again = bench.table.pin_again(a);
    for pin in pins {
        bench.table.unpin(pin);
    }
    (0..9).for_each(|i| assert!(bench.passes(&i.to_string())));
    assert_eq!(bench.table.len(), 2);
    assert!(bench.table.holds(b"a"), "still pinned once");
    bench.table.unpin(again);
    bench.advance(10 * SECOND);
    (0..9).for_each(|i| assert!(bench.passes(&format!("x{i}"))));
    assert!(!bench.table.holds(b"a"));
}

// HAZARD keys-distinct: by their bytes, even where every hash is the same.
#[test]
fn keys_whose_hashes_are_all_the_same_are_told_apart_through_evictions() {
    let slab = Slab::new(1000);
    let stripe = Stripe::new(16, &slab);
    let mut locked = stripe.lock(&slab);
    let class = ClassId::from_bits(0);
    let lengths = [0, 1, 5, 8, 31, 32, 33, 39, 40, 41, 64, 256, 261, 300, 5000];
    let mut keys: Vec<Vec<u8>> = lengths.iter().flat_map(|&len| [vec![0; len], vec![b'x'; len]]).collect();
    keys.dedup();
    let probes: Vec<Probe<'_>> = keys.iter().map(|key| Probe::new(key, 5)).collect();
    let mut slots: Vec<Option<u32>> = vec![None; probes.len()];
    let mut state = 1_usize;
    for step in 0..3000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let which = (state >> 33) % probes.len();
        if let Some(slot) = slots[which].take() {
            let freed = locked.evict(slot, None, 0).unwrap().expect("not lifted far");
            slab.give_back_place((freed, false));
        } else {
            let place = slab.take().unwrap();
            // Time stands still: every further life of a slot needs a lift.
            assert_eq!(locked.insert(&probes[which], class, 1000, place), Ok(()));
            slots[which] = Some(place.0);
        }
        if step % 10 == 0 {
            for ((probe, slot), key) in probes.iter().zip(&slots).zip(&keys) {
                assert_eq!(locked.find(probe), *slot, "{} bytes", key.len());
                assert!(slot.is_none_or(|slot| locked.key(slot) == *key));
            }
            assert_eq!(locked.slots().count(), slots.iter().flatten().count());
        }
    }
}

// HAZARD cost-above-capacity
#[test]
fn a_request_that_cannot_pass_creates_nothing() {
    let bench = bench(5, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    assert!(matches!(bench.ask("a", 11), Answer::Charged(Charge { verdict: Verdict::Never, .. })));
    assert_eq!(bench.table.len(), 0);
    let answer = bench.charge("a", 11, Absent::Create(bench.class), None);
    assert!(matches!(answer, Answer::Charged(Charge { verdict: Verdict::Never, .. })));
    assert!(bench.table.holds(b"a"), "unless the account is wanted whatever the answer");
    assert_eq!(bench.charge("b", 1, Absent::Tell, None), Answer::Unknown);
}

// HAZARD clock-back
#[test]
fn after_a_step_back_the_lock_out_is_at_most_that_of_an_empty_bucket() {
    for step in [1, SECOND, HOUR] {
        let bench = bench(50, WhenFull::Deny, Rate::new(10, 10 * SECOND));
        bench.advance(2 * HOUR);
        assert_eq!(bench.exhaust("a"), 10);
        bench.back(step);
        assert!(!bench.passes("a"), "a step back mints nothing");
        bench.advance(SECOND - 1);
        assert!(!bench.passes("a"));
        bench.advance(1 + step.min(SKEW / 16));
        assert!(bench.passes("a"), "one token after one interval, {step}");
        bench.advance(10 * SECOND);
        assert_eq!(bench.exhaust("a"), 10);
    }
}

// HAZARD clock-back, HAZARD incident-expiry-race
#[test]
fn an_evicted_key_is_not_fresh_for_an_older_reading_and_not_locked_out_for_long() {
    let bench = bench(1, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    assert_eq!(bench.exhaust("a"), 10);
    bench.advance(10 * SECOND);
    assert!(bench.passes("b"), "takes the place of a, which has refilled");
    bench.advance(HOUR);
    assert!(bench.passes("c"));
    bench.back(HOUR);
    // All of a's tokens were spent 10 s ago by this clock: nothing more than flowed in may pass.
    bench.table.configure(b"c", bench.class, Migration::Reset);
    assert!(!bench.passes("a"), "absent means the word at the horizon");
    bench.advance(11 * SECOND);
    assert!(bench.passes("a"), "and at most an empty bucket's time from the step on");
}

// HAZARD clock-forward, HAZARD clock-frozen
#[test]
fn a_leap_of_a_hundred_years_admits_a_burst_and_locks_nobody_out() {
    let bench = bench(10, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    for leap in [HOUR, 100 * 365 * 24 * HOUR, 17 * 365 * 24 * HOUR, 13 * 365 * 24 * HOUR] {
        bench.exhaust("a");
        assert!(!bench.passes("a"), "a frozen clock refills nothing");
        bench.advance(leap);
        let now = bench.exhaust("a");
        assert!(now <= 10);
        bench.advance(10 * SECOND);
        assert_eq!(bench.exhaust("a") + now, 10 + now, "{leap}: full again after B*T");
    }
}

// HAZARD clock-forward: eighteen years of uptime, to the tick where the count starts again.
#[test]
fn where_time_wraps_nothing_breaks_and_nobody_is_locked_out_for_long() {
    let wrap = crate::ticks::RANGE / crate::ticks::PER_NANO;
    for before in [0, 1, SECOND, 5 * SECOND, 9 * SECOND, 11 * SECOND] {
        let bench = bench(4, WhenFull::EvictLeast, Rate::new(10, 10 * SECOND));
        bench.exhaust("a");
        bench.advance(wrap - before);
        let mut admitted = bench.exhaust("a") + bench.exhaust("b");
        bench.table.configure(b"b", bench.class, Migration::AsIs);
        bench.back(before.min(SECOND));
        (0..9).for_each(|i| admitted += u64::from(bench.passes(&format!("stranger{i}"))));
        bench.table.reset(b"a");
        for _ in 0..30 {
            bench.advance(SECOND);
            admitted += bench.exhaust("a") + bench.exhaust("b");
        }
        assert!(admitted <= 20 + 9 + 2 * (10 + 31), "{before}: {admitted}");
        bench.advance(10 * SECOND);
        assert_eq!((bench.exhaust("a"), bench.exhaust("b")), (10, 10), "{before}");
    }
}

// HAZARD clock-skew, HAZARD race-frozen-thread
#[test]
fn a_thread_whose_reading_is_late_mints_nothing() {
    let bench = bench(10, WhenFull::Deny, Rate::new(1000, SECOND).burst(10));
    bench.advance(SECOND);
    let late = bench.table.time().now();
    bench.advance(10_000_000);
    assert_eq!(bench.exhaust("a"), 10);
    let answer = bench.charge("a", 1, Absent::Tell, Some(late));
    let Answer::Charged(Charge { verdict: Verdict::Deny(wait), now, .. }) = answer else { panic!("{answer:?}") };
    assert!(now > late && wait <= 1_000_000 * 16, "denied only by a reading of its own");
    assert!(!bench.passes("a"), "and the late reading lowered nothing");
    bench.advance(1_000_000);
    assert_eq!(bench.exhaust("a"), 1);
}

#[test]
fn reconfigured_accounts_carry_their_debt_over() {
    let bench = bench(10, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    assert!(matches!(bench.ask("a", 6), Answer::Charged(_)));
    let wide = bench.table.intern(Policy::rate(Rate::new(20, 10 * SECOND)).unwrap()).unwrap();
    assert!(bench.table.configure(b"a", wide, Migration::AsIs));
    assert_eq!(bench.exhaust("a"), 14);
    let closed = bench.table.intern(Policy::closed()).unwrap();
    assert!(bench.table.configure(b"a", closed, Migration::AsIs));
    assert!(!bench.passes("a"));
    assert!(bench.table.configure(b"a", bench.class, Migration::AsIs));
    assert!(!bench.passes("a"), "closing and opening refills nothing");
    assert!(!bench.table.configure(b"unknown", wide, Migration::AsIs));
    assert!(bench.table.reset(b"a") && !bench.table.reset(b"unknown"));
    assert_eq!(bench.exhaust("a"), 10);
}

#[test]
fn iteration_sees_every_account_once() {
    let bench = bench(5000, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    (0..5000).for_each(|i| assert!(bench.passes(&i.to_string())));
    let mut seen = std::collections::HashSet::new();
    bench.table.for_each(|key, _, _| assert!(seen.insert(key.to_vec())));
    assert_eq!(seen.len(), 5000);
}

// HAZARD keys-collide: what collides in one table does not in another, so nobody outside can choose keys.
#[test]
fn keys_that_meet_in_one_table_part_in_the_next() {
    let tables = [0, 1].map(|_| bench(100_000, WhenFull::Deny, Rate::new(10, 10 * SECOND)).table);
    let homes = |table: &Table, key: &String| table.seek(key.as_bytes()).home;
    let keys = (0..64_000).map(|i| i.to_string());
    let meeting: Vec<String> = keys.filter(|key| homes(&tables[0], key) == 0).collect();
    assert!(meeting.len() > 500);
    let parted: std::collections::HashSet<usize> = meeting.iter().map(|key| homes(&tables[1], key)).collect();
    assert_eq!(parted.len(), STRIPES, "spread over every stripe of the other");
}

#[test]
fn a_table_has_one_stripe_for_each_64_accounts_up_to_64() {
    for (max_keys, stripes) in [(1, 1), (63, 1), (128, 2), (1000, 16), (4096, 64), (1_000_000, 64)] {
        let table = bench(max_keys, WhenFull::Deny, Rate::new(1, SECOND)).table;
        assert_eq!(table.stripes.len(), stripes, "{max_keys}");
    }
}

#[test]
fn who_is_alone_gets_the_answers_that_others_get() {
    let benches = [0, 1].map(|_| bench(100, WhenFull::Deny, Rate::new(10, SECOND)));
    let mut random = 1_u32;
    for _ in 0..20_000 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (key, n) = (format!("{}", random >> 28), u64::from(random >> 20 & 7));
        let answers = [0, 1].map(|alone| {
            let table = &benches[alone].table;
            let taken =
                if alone == 1 { table.take::<true>(key.as_bytes(), n) } else { table.take::<false>(key.as_bytes(), n) };
            taken.map_or_else(
                |trace| table.charge(key.as_bytes(), trace, n, Absent::Charge(benches[alone].class)),
                Answer::Charged,
            )
        });
        let certain = benches[0].ask(&key, n.max(1));
        assert_eq!(answers[0], answers[1]);
        assert_eq!(certain, benches[1].ask(&key, n.max(1)));
        for bench in &benches {
            bench.advance(u64::from(random >> 8 & 0xff_ffff));
        }
    }
}

// HAZARD clock-back
#[test]
fn a_plain_no_by_a_word_from_before_a_step_of_the_clock_is_none() {
    let bench = bench(100, WhenFull::Deny, Rate::new(10, SECOND));
    bench.advance(1_000 * SECOND);
    assert_eq!(bench.exhaust("a"), 10);
    let by_far = |n| {
        let Err(trace) = bench.table.take::<false>(b"a", n) else { return false };
        // By a reading that is a little older than the precise one.
        let trace = Trace { now: trace.now - 1, ..trace };
        matches!(bench.table.charge(b"a", trace, n, Absent::Tell), Answer::Charged(denied) if denied.now == trace.now)
    };
    assert!(by_far(10) && !by_far(1), "the one has to wait for a second, the other for 0.1 s");
    bench.back(500 * SECOND);
    assert!(!by_far(10), "the lock decides");
    assert!(matches!(bench.ask("a", 10), Answer::Charged(Charge { verdict: Verdict::Deny(_), .. })));
    bench.advance(SECOND);
    assert!(bench.passes("a"), "no longer than a bucket takes to fill");
}

#[test]
fn the_turns_of_accounts_that_are_gone_are_forgotten() {
    const PLACES: usize = 64;
    let bench = bench(PLACES, WhenFull::Deny, Rate::new(10, SECOND));
    let class = bench.limited_by([Limit::window(5, 10, Edge::HalfOpen).unwrap()]);
    for n in 0..20_000 {
        bench.advance(11);
        let Err(trace) = bench.table.take::<false>(&u32::to_le_bytes(n), 1) else { panic!("not a word") };
        let answer = bench.table.charge(&u32::to_le_bytes(n), trace, 1, Absent::Charge(class));
        assert!(matches!(answer, Answer::Ruled(ruled) if ruled.ruling.passes()), "{answer:?}");
    }
    let turns = bench.table.stripes[0].lock(&bench.table.slab).turns();
    assert!((PLACES..=3 * PLACES).contains(&turns), "{turns} for {PLACES} accounts");
}
