//! What logged times cost, by what the allocator is asked for; and that a denial asks for nothing.

mod held;

use held::{asked, held};
use tollbar::limit::Log;
use tollbar::{ClientAccess, Clock};

const SECOND: i64 = 1_000_000_000;

fn ask(access: &ClientAccess, second: i64) -> bool {
    access.is_allowed(b"a", Some(second * SECOND)).unwrap()
}

#[test]
fn a_log_says_what_it_holds() {
    let before = held();
    let mut log = Log::new();
    for n in 0..5_000_u64 {
        // Single units at first.
        log.push(n ^ 5, if n < 2_500 { 1 } else { n * n });
        log.drop_before(n / 2);
        let inside = (log.bytes() - size_of::<Log>()).cast_signed();
        assert_eq!(held() - before, inside, "with {}", log.len());
    }
}

/// A client in constant use, at each length from a thousand on, whatever part of its time was late.
#[test]
fn a_logged_access_costs_at_most_nine_bytes_from_a_thousand_on() {
    for seconds in [500, 513, 1_000, 10_000] {
        let access = ClientAccess::new(1_000_000, seconds * 1_000_000_000, Clock::Monotonic).unwrap();
        let empty = held();
        let mut most = 0;
        for second in 0..5 * seconds.cast_signed() {
            assert!(ask(&access, if second % 7 == 0 { (second - 20).max(0) } else { second }));
            most = most.max(held() - empty);
        }
        // As many as a period and as much lateness hold; the map with the client's name is beside them.
        let (logged, beside) = (2 * isize::try_from(seconds).unwrap(), 1_000);
        assert!(most <= 9 * logged + beside, "{most} bytes for {logged}");
        assert!(most >= 8 * logged);
        // After idling, what was logged has gone.
        assert!(ask(&access, 100 * seconds.cast_signed()));
        assert!(held() - empty <= beside, "{}", held() - empty);
    }
}

#[test]
fn a_large_limit_costs_nothing_and_a_denial_asks_for_nothing() {
    // The first one ever seeds the hashes, too.
    drop(ClientAccess::new(1, 1, Clock::Monotonic));
    let empty = held();
    let access = ClientAccess::new(3, 1_000_000_000_000, Clock::Monotonic).unwrap();
    let made = held();
    let large = ClientAccess::new(1 << 53, 1_000_000_000_000, Clock::Monotonic).unwrap();
    assert_eq!(held() - made, made - empty);
    assert!(ask(&large, 1) && (1..4).all(|second| ask(&access, second)));
    let before = asked();
    assert!((4..1_000).all(|second| !ask(&access, second)));
    assert_eq!(asked(), before);
}
