//! What a stranger can do to the others' speed: keys that are chosen to collide, and one key at full load. As ratios.
//!
//! `hostile collide`, `hostile hot`; PROOF says how often. Fails where a ratio is beyond its bound.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use tollbar::{Limiter, Policy, Rate};

#[path = "../tests/size/mod.rs"]
mod size;

type Key = [u8; 16];

const KEYS: usize = 1_000_000;
/// How many bits of the hash its chosen keys have in common, where they are found by trying.
const TRIED_BITS: u32 = 10;

fn limiter(max_keys: usize) -> Limiter {
    // Never reached: every decision is a yes.
    let rate = Rate::new(1_000_000, 1_000_000_000).burst(1_000_000_000);
    Limiter::builder(Policy::rate(rate).expect("a rate")).max_keys(max_keys).build().expect("a limiter")
}

fn key(words: [u64; 2]) -> Key {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&words[0].to_le_bytes());
    key[8..].copy_from_slice(&words[1].to_le_bytes());
    key
}

/// `SplitMix64`'s numbers.
fn mixed(at: u64) -> u64 {
    let mixed = at.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// `FxHash`, as rustc used it: a word at a time, without a key.
const FX: u64 = 0x517c_c1b7_2722_0a95;

fn fx(words: [u64; 2]) -> u64 {
    words.into_iter().fold(0_u64, |hash, word| (hash.rotate_left(5) ^ word).wrapping_mul(FX))
}

/// The second word undoes what the first has done: all of these have one `FxHash`.
fn alike_under_fx() -> Vec<Key> {
    let chosen = |first: u64| [first, first.wrapping_mul(FX).rotate_left(5) ^ 0x2a];
    let words: Vec<[u64; 2]> = (0..KEYS as u64).map(|at| chosen(mixed(at))).collect();
    assert!(words.iter().all(|&words| fx(words) == fx(chosen(0))));
    words.into_iter().map(key).collect()
}

/// Keys that would lie in few places if the table's own hash had the keys that anybody can read in its source, where the
/// model checker needs them.
fn alike_under_known_seeds() -> Vec<Key> {
    let known = ahash::RandomState::with_seeds(1, 2, 3, 4);
    let same = |key: &Key| {
        use std::hash::{BuildHasher, Hasher};
        let mut hasher = known.build_hasher();
        hasher.write(key);
        hasher.finish().trailing_zeros() >= TRIED_BITS
    };
    (0_u64..).map(|at| key([at, !at])).filter(same).take(KEYS).collect()
}

/// Nanoseconds for a first sight of each key and a second one.
fn visit(keys: &[Key]) -> f64 {
    let limiter = limiter(keys.len());
    let begun = Instant::now();
    let passed = keys.iter().chain(keys).filter(|key| limiter.try_acquire(black_box(*key), 1).expect("a key")).count();
    let took = begun.elapsed();
    assert_eq!(passed, 2 * keys.len(), "a key was refused");
    took.as_secs_f64() * 1e9 / passed as f64
}

fn median(took: &mut [f64]) -> f64 {
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}

/// Says a ratio and whether it is within its bound.
fn holds(what: &str, ratio: f64, most: f64) -> bool {
    println!("ratio: {ratio:.2} of at most {most}: {what}");
    ratio <= most
}

/// Rounds of which the medians are taken.
fn rounds() -> u64 {
    size::of(5, 15).max(5)
}

fn collide() -> bool {
    let random: Vec<Key> = (0..KEYS as u64).map(|at| key([mixed(2 * at), mixed(2 * at + 1)])).collect();
    let chosen = [("FxHash", alike_under_fx()), ("ahash with known seeds", alike_under_known_seeds())];
    let mut took: [Vec<f64>; 3] = Default::default();
    for _ in 0..rounds() {
        took[0].push(visit(&random));
        for (took, (_, keys)) in took[1..].iter_mut().zip(&chosen) {
            took.push(visit(keys));
        }
    }
    let plain = median(&mut took[0]);
    size::did(KEYS, "keys chosen to collide, of each kind");
    let ratios = took[1..].iter_mut().zip(chosen).map(|(took, (name, _))| {
        holds(&format!("keys alike under {name}, against random ones"), median(took) / plain, 2.0)
    });
    ratios.fold(true, |all, one| all & one)
}

/// What one thread is told while another one charges a single key as often as it can.
fn beside(others: &Limiter, names: &[Key], charged: &Limiter, hot: &Key) -> (f64, u64) {
    const DECISIONS: usize = 200_000;
    let (stop, ready, count) = (CachePadded::new(AtomicBool::new(false)), AtomicBool::new(false), AtomicU64::new(0));
    let mut took = Duration::ZERO;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut made = 0;
            while !stop.load(Ordering::SeqCst) {
                for _ in 0..64 {
                    black_box(charged.try_acquire(black_box(hot), 1).expect("a key"));
                }
                made += 64;
                ready.store(true, Ordering::SeqCst);
            }
            count.store(made, Ordering::SeqCst);
        });
        while !ready.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let begun = Instant::now();
        for name in names.iter().cycle().take(DECISIONS) {
            black_box(others.try_acquire(black_box(name), 1).expect("a key"));
        }
        took = begun.elapsed();
        stop.store(true, Ordering::SeqCst);
    });
    (took.as_secs_f64() * 1e9 / DECISIONS as f64, count.into_inner())
}

fn hot() -> bool {
    let names: Vec<Key> = (0..1_000).map(|at| key([mixed(at), at])).collect();
    let (shared, private, hot) = (limiter(10_000), limiter(10_000), key([7, 7]));
    for limiter in [&shared, &private] {
        assert!(names.iter().chain([&hot]).all(|name| limiter.try_acquire(name, 1).expect("a key")));
    }
    let (mut beside_hot, mut beside_private, mut charges) = (Vec::new(), Vec::new(), 0);
    for _ in 0..20 * rounds() {
        let (took, count) = beside(&shared, &names, &shared, &hot);
        beside_hot.push(took);
        charges += count;
        // The same work on an account of a limiter of its own: all that it takes from the others is the machine.
        beside_private.push(beside(&shared, &names, &private, &hot).0);
    }
    size::did(charges, "charges of the hot key");
    let ratio = median(&mut beside_hot) / median(&mut beside_private);
    holds("other keys beside a hot one, against beside private work", ratio, 1.2)
}

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    // Without a name, as `cargo test` starts it, it does nothing.
    let held = match asked.first().map(String::as_str) {
        Some("collide") => collide(),
        Some("hot") => hot(),
        _ => true,
    };
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
