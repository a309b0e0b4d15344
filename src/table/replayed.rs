//! Threads at full speed by the real clock, every answer logged and replayed one after the other: nothing over, nothing
//! lost, every denial justified.
//!
//! An answer of the table names the reading that it was decided by and the word that it left or found. A word only
//! rises, so the words tell the order of the admissions; in that order each must be what the rule makes of the one
//! before, computed here by itself. One that two threads charged at once and that kept one of the charges would break
//! the chain.

use std::sync::Barrier;
use std::thread;

use super::size;
use super::*;
use crate::clock::Clock;
use crate::limit::Rate;
use crate::ticks::PER_NANO;

const THREADS: usize = 8;
/// The most operations of a thread whose log is kept at once; more are made in rounds.
const AT_ONCE: u64 = 2_500_000;
/// How long an empty bucket takes to refill: longer than the skew, so that there are denials by the coarse clock, too.
const REFILL: Ticks = 400_000_000 * PER_NANO;

/// What one operation answered. Which it was is computed again from its place in the log.
#[derive(Clone, Copy)]
struct Entry {
    /// The reading, times two, and one for a yes.
    stamp: u64,
    tat: Ticks,
}

/// A yes, as it is put in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Admission {
    key: u32,
    n: u32,
    now: Ticks,
    tat: Ticks,
}

struct Bench {
    table: Table,
    class: ClassId,
    names: Vec<String>,
    pins: Vec<Pin>,
    burst: u64,
    emission: Ticks,
}

impl Bench {
    /// Accounts that refill in [`REFILL`], and give a part of what is asked of them.
    fn new(keys: u64, operations: u64) -> (Self, Vec<Admission>) {
        let burst = (operations / keys / 4).clamp(20, 2_000_000);
        let plan = Plan { max_keys: 10_000, when_full: WhenFull::Deny, notice_ms: Some(60_000), track_created: false };
        let table = Table::new(plan, Timeline::starting_now(Clock::Monotonic));
        let rate = Rate::new(burst, REFILL / PER_NANO).burst(burst);
        let class = table.intern(Policy::rate(rate).unwrap()).unwrap();
        let emission = table.classes.get(class).rule().emission();
        let names: Vec<String> = (0..keys).map(|key| format!("account{key:09}@example.org")).collect();
        let mut bench = Self { table, class, names, pins: Vec::new(), burst, emission };
        // The first charge of each is made here, so that no word is there which nobody logged.
        let mut first = Vec::new();
        for key in 0..bench.names.len() {
            let Answer::Charged(charge) = bench.ask(key, 1, false) else { panic!("a fresh account") };
            let key = u32::try_from(key).unwrap();
            first.push(Admission { key, n: 1, now: charge.now, tat: charge.tat });
        }
        let pin = |name: &String| bench.table.pin(name.as_bytes(), Absent::Tell).ok().flatten().unwrap();
        bench.pins = bench.names.iter().map(pin).collect();
        (bench, first)
    }

    /// The key, the cost, and whether a handle is charged: of a thread's operation `at`.
    fn operation(&self, thread: usize, at: usize) -> (usize, u64, bool) {
        // Weyl's sequence, mixed as in SplitMix64.
        let mut mixed = ((thread as u64) << 32 | at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^= mixed >> 27;
        let key = usize::try_from(mixed % self.names.len() as u64).unwrap();
        let n = match mixed >> 32 & 63 {
            0 => self.burst / 2,
            small => 1 + small % 3,
        };
        (key, n, (mixed >> 40).is_multiple_of(8))
    }

    fn ask(&self, key: usize, n: u64, by_handle: bool) -> Answer {
        if by_handle {
            let taken = self.table.take_pinned(&self.pins[key], n).map(Answer::Charged);
            return taken.unwrap_or_else(|| self.table.charge_pinned(&self.pins[key], n));
        }
        let name = self.names[key].as_bytes();
        let taken = self.table.take::<false>(name, n).map(Answer::Charged);
        taken.unwrap_or_else(|trace| self.table.charge(name, trace, n, Absent::Charge(self.class)))
    }

    fn work(&self, thread: usize, count: usize) -> Vec<Entry> {
        let mut log = Vec::with_capacity(count);
        for at in 0..count {
            let (key, n, by_handle) = self.operation(thread, at);
            let Answer::Charged(charge) = self.ask(key, n, by_handle) else { panic!("a known account") };
            let debt = self.debt(charge.tat, charge.now, n);
            let passed = match charge.verdict {
                Verdict::Allow(new) => u64::from(new == charge.tat),
                Verdict::Deny(wait) => {
                    // A word may be ahead of a late thread's reading; nobody is told to wait for longer than from empty.
                    let most = u128::from(n) * u128::from(self.emission);
                    assert_eq!(u128::from(wait), (debt - self.tolerance()).min(most), "the wait that it told");
                    0
                }
                Verdict::Never => panic!("no more than the burst was asked for"),
            };
            if at % 1024 == 0 {
                assert!(charge.now <= self.table.time.now(), "a reading that is ahead of the clock");
            }
            log.push(Entry { stamp: charge.now << 1 | passed, tat: charge.tat });
        }
        log
    }

    fn tolerance(&self) -> u128 {
        u128::from(self.burst) * u128::from(self.emission)
    }

    /// What a bucket owes at `now` if `n` are taken of it.
    fn debt(&self, tat: Ticks, now: Ticks, n: u64) -> u128 {
        u128::from(tat.max(now)) + u128::from(n) * u128::from(self.emission) - u128::from(now)
    }

    /// All admissions by key and word. Every thread has seen each word rise.
    fn admissions(&self, logs: &[Vec<Entry>], mut all: Vec<Admission>) -> Vec<Admission> {
        for (thread, log) in logs.iter().enumerate() {
            let mut seen = vec![0; self.names.len()];
            for (at, entry) in log.iter().enumerate() {
                let (key, n, _) = self.operation(thread, at);
                let passed = entry.stamp & 1;
                assert!(entry.tat >= seen[key] + passed, "thread {thread} saw a word sink");
                seen[key] = entry.tat;
                if passed == 1 {
                    let (key, n) = (u32::try_from(key).unwrap(), u32::try_from(n).unwrap());
                    all.push(Admission { key, n, now: entry.stamp >> 1, tat: entry.tat });
                }
            }
        }
        all.sort_unstable_by_key(|one| (one.key, one.tat));
        all
    }

    /// One account's admissions, made one after the other.
    fn replay(&self, key: usize, admitted: &mut [Admission]) {
        let mut word = 0;
        for one in &*admitted {
            let next = u128::from(word.max(one.now)) + u128::from(one.n) * u128::from(self.emission);
            assert_eq!(u128::from(one.tat), next, "key {key}: a charge was lost or made up after {word}");
            assert!(next - u128::from(one.now) <= self.tolerance(), "key {key}: over the limit at {}", one.now);
            word = one.tat;
        }
        assert_eq!(self.table.look_pinned(&self.pins[key]).tat, word, "key {key}: the last word");
        // The promise itself, without words: in no window of readings more than B and what flowed in.
        admitted.sort_unstable_by_key(|one| one.now);
        let (mut sum, mut least) = (0, i128::MAX);
        for one in &*admitted {
            least = least.min(sum - i128::from(one.now));
            sum += i128::from(one.n) * i128::from(self.emission);
            let most = i128::try_from(self.tolerance()).unwrap() + least;
            assert!(sum - i128::from(one.now) <= most, "key {key}: too much in a window that ends at {}", one.now);
        }
        admitted.sort_unstable_by_key(|one| one.tat);
    }

    /// Every denial found a word that an admission had left, and by its reading that was too far ahead.
    fn denials(&self, logs: &[Vec<Entry>], of_key: &[&mut [Admission]]) -> u64 {
        let mut denied = 0;
        for (thread, log) in logs.iter().enumerate() {
            for (at, entry) in log.iter().enumerate().filter(|(_, entry)| entry.stamp & 1 == 0) {
                let (key, n, _) = self.operation(thread, at);
                let known = of_key[key].binary_search_by_key(&entry.tat, |one| one.tat);
                assert!(known.is_ok(), "key {key}: a denial found {}, which nobody left", entry.tat);
                assert!(
                    self.debt(entry.tat, entry.stamp >> 1, n) > self.tolerance(),
                    "key {key}: it would have passed"
                );
                denied += 1;
            }
        }
        denied
    }
}

/// Eight threads; then what they were told, in order. Returns how many were admitted and denied.
fn round(keys: u64, each: u64) -> (u64, u64) {
    let (mut bench, first) = Bench::new(keys, each * THREADS as u64);
    let (start, count) = (Barrier::new(THREADS), usize::try_from(each).unwrap());
    let logs: Vec<Vec<Entry>> = thread::scope(|scope| {
        let work = |thread| {
            let (bench, start) = (&bench, &start);
            scope.spawn(move || {
                start.wait();
                bench.work(thread, count)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(work).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut all = bench.admissions(&logs, first);
    let mut of_key: Vec<&mut [Admission]> = all.chunk_by_mut(|one, other| one.key == other.key).collect();
    assert_eq!(of_key.len(), bench.names.len());
    for (key, admitted) in of_key.iter_mut().enumerate() {
        bench.replay(key, admitted);
    }
    let denied = bench.denials(&logs, &of_key);
    let admitted = of_key.iter().map(|admitted| admitted.len() as u64).sum();
    assert!(admitted > keys && denied > keys, "{admitted} admitted and {denied} denied: both must be tried");
    assert_eq!(admitted + denied, each * THREADS as u64 + keys);
    bench.pins.drain(..).for_each(|pin| bench.table.unpin(pin));
    (admitted, denied)
}

fn replayed(keys: u64) {
    let (mut left, mut admitted, mut denied) = (size::of(50_000, AT_ONCE), 0, 0);
    while left > 0 {
        let each = left.min(AT_ONCE);
        left -= each;
        let (yes, no) = round(keys, each);
        (admitted, denied) = (admitted + yes, denied + no);
    }
    size::did(admitted, "admissions");
    size::did(denied, "denials");
}

// HAZARD race-k-tokens
#[test]
fn eight_threads_on_one_key_were_told_what_one_would_have_been_told() {
    replayed(1);
}

#[test]
fn eight_threads_on_a_thousand_keys_were_told_what_one_would_have_been_told() {
    replayed(1_000);
}
