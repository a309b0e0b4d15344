//! The bucket by pen and paper: what passes, what a wait is, what a refund gives, what becomes of it under another rule.

use super::*;

const RULE: TokenBucket = TokenBucket::metered(100, 10);

#[test]
fn a_fresh_bucket_allows_its_burst_and_then_a_token_each_interval() {
    let (mut tat, now) = (0, 5000);
    for _ in 0..10 {
        let Verdict::Allow(new) = RULE.decide(tat, now, 1) else { panic!("denied") };
        tat = new;
    }
    assert_eq!(RULE.decide(tat, now, 1), Verdict::Deny(100));
    assert_eq!(RULE.decide(tat, now + 99, 1), Verdict::Deny(1));
    assert_eq!(RULE.decide(tat, now + 100, 1), Verdict::Allow(tat + 100));
}

#[test]
fn nothing_passes_above_the_burst_and_a_cost_of_zero_always() {
    assert_eq!(RULE.decide(0, 0, 11), Verdict::Never);
    assert_eq!(RULE.decide(0, 0, u64::MAX), Verdict::Never);
    assert_eq!(RULE.decide(77, 0, 0), Verdict::Allow(77));
    assert_eq!(RULE.decide(0, 0, 10), Verdict::Allow(1000));
}

#[test]
fn closed_and_open_accounts() {
    assert_eq!(TokenBucket::closed().decide(0, 9, 1), Verdict::Never);
    assert_eq!(TokenBucket::closed().decide(0, 9, 0), Verdict::Allow(0));
    assert_eq!(TokenBucket::open().decide(7, 9, u64::MAX), Verdict::Allow(7));
    assert_eq!(TokenBucket::open().reserve(7, 9, 5, 0), Reserved::Granted { tat: 7, wait: 0 });
    assert_eq!(TokenBucket::closed().reserve(7, 9, 5, 0), Reserved::Never);
}

// HAZARD clock-back, HAZARD incident-stale-now (golang/go#71360)
#[test]
fn an_older_reading_is_only_stricter() {
    let Verdict::Allow(tat) = RULE.decide(0, 10_000, 10) else { panic!("denied") };
    for back in [1, 500, 9_999] {
        assert!(matches!(RULE.decide(tat, 10_000 - back, 1), Verdict::Deny(_)));
    }
}

#[test]
fn the_clamp_bounds_the_lock_out_after_a_step() {
    let far = 1_000_000_000_000_000;
    assert_eq!(RULE.clamp(far, 50), 1050);
    assert_eq!(RULE.clamp(600, 50), 600);
    assert!(RULE.is_ahead(far, 50));
    assert!(!RULE.is_ahead(1050 + SKEW, 50));
    assert_eq!(RULE.decide(far, 50, 3), Verdict::Deny(300), "the wait is that of an empty bucket");
    let advanced = RULE.with_advance(70);
    assert_eq!(advanced.clamp(far, 50), 1120);
    assert_eq!(advanced.decide(far, 50, 3), Verdict::Deny(370));
    assert!(advanced.is_ahead(1121 + SKEW, 50) && !advanced.is_ahead(1120 + SKEW, 50));
}

// The case that a plain `tat - n*T` gets wrong: reserve at 0, charge at 2, cancel, charge again at 2.
// HAZARD incident-refund (golang/go#56924)
#[test]
fn a_refund_never_mints() {
    let rule = TokenBucket::metered(1, 1);
    let Verdict::Allow(receipt) = rule.decide(0, 0, 1) else { panic!("denied") };
    let Verdict::Allow(tat) = rule.decide(receipt, 2, 1) else { panic!("denied") };
    let after = rule.refund(tat, 2, 1, receipt);
    assert_eq!(after, tat, "what was reserved at 0 has long flowed back");
    assert!(matches!(rule.decide(after, 2, 1), Verdict::Deny(_)));
}

#[test]
fn a_refund_is_exact_where_nothing_was_charged_since() {
    let Verdict::Allow(receipt) = RULE.decide(0, 5000, 4) else { panic!("denied") };
    assert_eq!(RULE.refund(receipt, 5000, 4, receipt), 5000);
    assert_eq!(RULE.refund(receipt, 5000, 1, receipt), 5300, "a part of it");
    assert_eq!(RULE.refund(receipt, 5100, 4, receipt), 5100, "only what has not flowed back");
    assert_eq!(RULE.refund(receipt, 9000, 4, receipt), receipt);
}

#[test]
fn a_reservation_waits_exactly_as_long_as_a_denial_says() {
    let Verdict::Allow(tat) = RULE.decide(0, 0, 10) else { panic!("denied") };
    assert_eq!(RULE.decide(tat, 0, 3), Verdict::Deny(300));
    assert_eq!(RULE.reserve(tat, 0, 3, 299), Reserved::TooLong(300));
    assert_eq!(RULE.reserve(tat, 0, 3, 300), Reserved::Granted { tat: 1300, wait: 300 });
    assert_eq!(RULE.reserve(0, 0, 3, 0), Reserved::Granted { tat: 300, wait: 0 });
    assert_eq!(RULE.reserve(6000, 5000, 3, 299), Reserved::TooLong(300), "whatever the time is");
    assert_eq!(RULE.reserve(0, 0, 11, u64::MAX), Reserved::Never);
}

#[test]
fn balances() {
    let full = RULE.balance(0, 5000);
    assert_eq!((full.remaining, full.reset_after), (10, 0));
    let some = RULE.balance(5250, 5000);
    assert!((some.tokens - 7.5).abs() < 1e-12);
    assert_eq!((some.remaining, some.reset_after), (7, 250));
    let debt = RULE.with_advance(500).balance(6300, 5000);
    assert!((debt.tokens + 3.0).abs() < 1e-12);
    assert_eq!(debt.remaining, 0);
}

#[test]
fn migration_carries_the_debt_over_as_declared() {
    let wide = TokenBucket::metered(50, 40);
    // 4 tokens owed of 10.
    assert_eq!(RULE.migrate(&wide, 5400, 5000, Migration::AsIs), 5000 + 4 * 50);
    assert_eq!(RULE.migrate(&wide, 5400, 5000, Migration::Proportional), 5000 + 16 * 50);
    assert_eq!(RULE.migrate(&wide, 5400, 5000, Migration::Reset), 5000);
    assert_eq!(RULE.migrate(&wide, 4000, 5000, Migration::AsIs), 5000);
    // 40 owed of 40, into 10: no more than empty.
    assert_eq!(wide.migrate(&RULE, 7000, 5000, Migration::AsIs), 5000 + 1000);
    // 45 owed of 40, where so much may be owed: no more than the other rule lets anybody owe.
    let (from, to) = (wide.with_advance(1000), RULE.with_advance(300));
    assert_eq!(from.migrate(&to, 5000 + 45 * 50, 5000, Migration::AsIs), 5000 + 1300);
}

#[test]
fn closing_an_account_and_opening_it_again_refills_nothing() {
    for detour in [TokenBucket::closed(), TokenBucket::open()] {
        let away = RULE.migrate(&detour, 6000, 5000, Migration::AsIs);
        assert_eq!(detour.migrate(&RULE, away, 5000, Migration::AsIs), 6000);
        assert_eq!(detour.migrate(&RULE, away, 5500, Migration::Proportional), 6000);
    }
}
