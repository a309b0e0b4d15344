//! Waiting for several keys in threads, in all orders of the keys, beside threads that wait for one: each comes through.

mod size;

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tollbar::{Ask, Limiter, Policy, Rate, Turn};

const SECOND: u64 = 1_000_000_000;

#[test]
fn threads_with_overlapping_sets_all_come_through() {
    const SETS: [&[&str]; 8] =
        [&["x", "y", "z"], &["z", "y", "x"], &["y", "x"], &["y", "z"], &["z", "x"], &["x"], &["y"], &["z"]];
    let turns = size::of(500, 20_000);
    let policy = Policy::rate(Rate::new(1_000_000, SECOND).burst(1)).unwrap();
    let limiter = Arc::new(Limiter::builder(policy).build().unwrap());
    let (done, ended) = mpsc::channel();
    for keys in SETS {
        let (limiter, done) = (limiter.clone(), done.clone());
        std::thread::spawn(move || {
            for turn in 0..turns {
                let ask = Ask::new(1).priority(u8::try_from(turn % 3).unwrap()).unwrap();
                match keys {
                    [key] => assert!(matches!(limiter.acquire_blocking(key.as_bytes(), ask), Ok(Turn::Come(None)))),
                    _ => assert!(matches!(limiter.acquire_all_blocking(keys, ask).unwrap().turn, Turn::Come(None))),
                }
            }
            done.send(()).unwrap();
        });
    }
    for _ in SETS {
        ended.recv_timeout(Duration::from_secs(120)).expect("they wait for each other, or one has failed");
    }
    assert_eq!(limiter.stats().allowed, turns * SETS.len() as u64);
    size::did(limiter.stats().allowed, "turns");
}
