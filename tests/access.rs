//! Accesses of clients: what is forgotten and when, a full table, the limiter's own clock, threads.

use std::sync::Arc;
use std::thread;

use tollbar::limit::Jail;
use tollbar::{ClientAccess, Clock, Error, ManualClock};

const SECOND: i64 = 1_000_000_000;

fn access(limit: u64, seconds: u64) -> ClientAccess {
    ClientAccess::new(limit, seconds * 1_000_000_000, Clock::Monotonic).unwrap()
}

fn ask(access: &ClientAccess, client: &str, second: i64) -> bool {
    access.is_allowed(client.as_bytes(), Some(second * SECOND)).unwrap()
}

#[test]
fn a_full_table_refuses_strangers_until_somebody_has_gone() {
    let access = access(2, 10).max_clients(3).unwrap();
    assert!(["a", "b", "c"].iter().all(|client| ask(&access, client, 100)));
    assert!(!ask(&access, "d", 100) && !ask(&access, "d", 119), "a time of 109.9 may still come");
    assert!(ask(&access, "a", 119));
    assert!(ask(&access, "d", 121), "b or c had gone by 120");
    let stats = access.stats();
    assert_eq!((stats.allowed, stats.full, stats.denied), (5, 2, 0));
    assert!(stats.clients <= 3 && access.contains(b"a").unwrap() && access.contains(b"d").unwrap());
}

/// However often strangers ask meanwhile, and however many they are.
#[test]
fn places_are_found_within_a_64th_of_the_time_that_clients_are_remembered() {
    let access = access(1, 10).max_clients(20).unwrap();
    let ask = |client: i64, ms: i64| access.is_allowed(&client.to_le_bytes(), Some(ms * 1_000_000)).unwrap();
    assert!((0..20).all(|client| ask(client, 0)));
    let admitted: Vec<i64> = (1..30_000).filter(|&ms| ask(1_000 + ms, ms)).collect();
    assert!((20_000..=20_000 + 20_000 / 64 + 1).contains(&admitted[0]), "{}", admitted[0]);
    assert_eq!(admitted.len(), 20);
}

#[test]
fn strikes_and_timeouts_are_not_forgotten_by_room_making() {
    let jail = Jail::new(1, 1, 100_000_000_000).unwrap().escalating(2.0, None).unwrap();
    let access = access(1, 10).jail(jail).max_clients(1).unwrap();
    assert!(ask(&access, "a", 0) && !ask(&access, "a", 1), "in jail until 101, a strike until 201");
    for second in [50, 150, 210] {
        assert!(!ask(&access, "b", second));
    }
    assert!(ask(&access, "b", 211), "a time of 201 may come until then");
    assert!(!access.contains(b"a").unwrap());
}

/// Whoever is forgotten and comes back with a time from before must not find a fresh limit.
#[test]
fn forgetting_forgives_nobody() {
    let access = access(1, 10).max_clients(1).unwrap();
    assert!(ask(&access, "a", 100) && ask(&access, "b", 1_000));
    assert!(!access.contains(b"a").unwrap());
    assert!(!ask(&access, "a", 105), "late: 100 was admitted");
    assert!(access.forget(b"b").unwrap());
    assert!(!ask(&access, "a", 109), "and so it is where there is a place");
    assert!(ask(&access, "a", 112));
    assert!(!ask(&access, "a", 103), "late, though within a period of 112");
    assert_eq!((access.stats().late, access.stats().full), (3, 0));
}

#[test]
fn the_clock_is_read_where_no_time_is_given() {
    let manual = Arc::new(ManualClock::new(0, 0));
    let access = ClientAccess::new(2, 10, Clock::Manual(manual.clone())).unwrap().lateness(0);
    let ask = || access.is_allowed(b"a", None).unwrap();
    assert_eq!([ask(), ask(), ask()], [true, true, false]);
    manual.advance_ns(9);
    assert!(!ask());
    manual.advance_ns(1);
    assert_eq!([ask(), ask(), ask()], [true, true, false]);
    // HAZARD clock-back
    manual.advance_ns(-5);
    assert!(!ask());
    manual.advance_ns(15);
    assert!(ask());
    assert_eq!(access.stats().late, 0, "what the clock says is never late");
}

#[test]
fn a_clock_that_steps_back_makes_nobody_late_and_forgives_nobody() {
    let manual = Arc::new(ManualClock::new(0, 0));
    let access = ClientAccess::new(1, 10, Clock::Manual(manual.clone())).unwrap().max_clients(1).unwrap();
    let ask = |client: &[u8]| access.is_allowed(client, None).unwrap();
    assert!(ask(b"a"));
    manual.advance_ns(20);
    assert!(ask(b"b") && access.forget(b"b").unwrap());
    manual.advance_ns(-19);
    assert!(ask(b"a"), "a was there at 0, and is taken to come at 10");
    manual.advance_ns(18);
    assert!(!ask(b"a"));
    manual.advance_ns(1);
    assert!(ask(b"a"));
    assert_eq!((access.stats().late, access.stats().denied), (0, 1));
}

#[test]
fn a_million_strangers_leave_little_behind() {
    let access = access(5, 1);
    for number in 0..1_000_000_i64 {
        // A thousand new ones a second, forgotten after two.
        assert!(access.is_allowed(&number.to_le_bytes(), Some(number * SECOND / 1_000)).unwrap());
    }
    assert!(access.len() < 12_000, "{}", access.len());
}

// HAZARD race-k-tokens
#[test]
fn threads_on_one_client_get_exactly_the_limit() {
    for limit in [1, 7, 1_000] {
        let access = access(limit, 1_000);
        let allowed: u64 = thread::scope(|scope| {
            let ask = || (0..2_000).filter(|_| access.is_allowed(b"a", None).unwrap()).count() as u64;
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(allowed, limit);
        assert_eq!((access.stats().allowed, access.stats().denied), (limit, 16_000 - limit));
    }
}

#[test]
fn what_cannot_be_a_limit_or_a_client_is_refused() {
    let message = |made: Result<ClientAccess, Error>| made.err().unwrap().to_string();
    assert_eq!(message(ClientAccess::new(0, 1, Clock::Monotonic)), "limit must be at least 1, not 0");
    assert_eq!(message(ClientAccess::new(1, 0, Clock::Monotonic)), "period must be at least 1 ns, not 0");
    assert_eq!(message(access(1, 1).max_clients(0)), "max_clients must be at least 1, not 0");
    let (access, long) = (access(1, 1), vec![b'x'; (1 << 20) + 1]);
    assert_eq!(access.is_allowed(&long, None), Err(Error::KeyTooLong(long.len())));
    assert!(access.is_empty() && access.stats() == tollbar::access::AccessStats::default());
}
