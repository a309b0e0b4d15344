//! A log against a sorted list of units, in both forms and across the switch between them; and what it costs.

use super::*;

fn all(log: &Log) -> Vec<(u64, u64)> {
    log.entries().collect()
}

/// The same units, one by one.
fn units(log: &Log) -> Vec<u64> {
    log.entries().flat_map(|(stamp, n)| (0..n).map(move |_| stamp)).collect()
}

fn is_weighted(log: &Log) -> bool {
    matches!(log.0, Form::Weighted(_))
}

/// Numbers without a pattern, the same each time.
fn noise() -> impl FnMut(u64) -> u64 {
    let mut state = 1_u64;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

fn add(log: &mut Log, list: &mut Vec<u64>, stamp: u64, n: u64) {
    log.push(stamp, n);
    let at = list.partition_point(|&other| other <= stamp);
    list.splice(at..at, (0..n).map(|_| stamp));
}

/// Everything that can be asked about one place of the log.
fn check(log: &Log, list: &[u64], at: u64, stamp: u64) {
    let place = usize::try_from(at).unwrap();
    assert_eq!((log.len(), log.is_empty()), (list.len() as u64, list.is_empty()));
    assert_eq!((log.first(), log.last()), (list.first().copied(), list.last().copied()));
    assert_eq!(log.nth_from_start(at), list.get(place).copied());
    assert_eq!(log.nth_from_end(at), list.iter().rev().nth(place).copied());
    let (below, through) =
        (list.partition_point(|&other| other < stamp), list.partition_point(|&other| other <= stamp));
    assert_eq!((log.rank_below(stamp), log.rank_through(stamp)), (below as u64, through as u64));
    assert_eq!(log.newer_than(stamp), (list.len() - through) as u64);
    if let Some((stamp, up_to)) = log.entry_of(at) {
        let end = list.partition_point(|&other| other <= stamp) as u64;
        assert_eq!((stamp, up_to), (list[place], if is_weighted(log) { end } else { at + 1 }));
    }
}

#[test]
fn it_is_a_sorted_list_of_units_in_every_form_and_order() {
    let mut random = noise();
    let (mut weighted, mut units_only, mut switched) = (0, 0, 0);
    for round in 0..120 {
        let (mut log, mut list) = (Log::new(), Vec::new());
        let (longest, mut newest) = (1 << (round / 3 % 12), 0);
        for step in 0..1_500 {
            // Of three rounds one has single units, one begins with them, and one has any number from the start.
            let n = if round % 3 == 0 || round % 3 == 1 && step < 700 { 1 } else { random(5) };
            match random(20) {
                0..=2 => add(&mut log, &mut list, newest - random(newest.min(300) + 1), n),
                3..=12 if list.len() < longest => {
                    newest += random(3);
                    add(&mut log, &mut list, newest, n);
                }
                13 => {
                    let now = newest - random(newest.min(4) + 1);
                    log.settle(now);
                    list = list.iter().map(|&stamp| now.min(stamp)).collect();
                    newest = now;
                }
                14..=18 if list.len() < longest => {}
                _ => {
                    let most = if random(99) == 0 { 4_000 } else { 9 };
                    let cut = list.first().map_or(0, |first| first + random(most));
                    let before = is_weighted(&log);
                    log.drop_before(cut);
                    list.retain(|&stamp| stamp >= cut);
                    assert_eq!(is_weighted(&log), before && !list.is_empty(), "an empty log begins anew");
                }
            }
            check(&log, &list, random(list.len() as u64 + 2), newest - random(newest.min(900) + 1));
            weighted += u32::from(is_weighted(&log));
            units_only += u32::from(!is_weighted(&log) && log.entry_count() > 64);
            switched += u32::from(is_weighted(&log) && n == 1 && log.entry_count() > 64);
        }
        assert_eq!(units(&log), list);
        if is_weighted(&log) {
            assert!(all(&log).windows(2).all(|pair| pair[0].0 < pair[1].0), "equal stamps are one entry");
        }
        assert!(round % 3 != 0 || !is_weighted(&log), "single units keep the short form");
    }
    assert!(weighted > 10_000 && units_only > 1_000 && switched > 0, "{weighted}, {units_only}, {switched}");
}

#[test]
fn ranks_count_equals_on_the_right_side() {
    for size in [0, 1, 5, 31, 32, 33, 200] {
        for heavy in [false, true] {
            let (mut log, mut list) = (Log::new(), Vec::new());
            (0..size).for_each(|n| add(&mut log, &mut list, n / 3 * 10, if heavy { n % 4 } else { 1 }));
            for stamp in 0..size * 4 {
                check(&log, &list, stamp, stamp);
            }
            assert_eq!(log.nth_from_end(list.len() as u64), None);
        }
    }
}

#[test]
fn sums_of_large_numbers_are_exact() {
    let (mut log, mut list, mut random) = (Log::new(), Vec::<(u64, u64)>::new(), noise());
    for step in 0..2_000_u64 {
        let (stamp, n) = (step - random(step.min(9) + 1), random(1 << 31) << 20);
        log.push(stamp, n);
        if step % 5 == 0 {
            let cut = step.saturating_sub(40);
            log.drop_before(cut);
            list.retain(|&(stamp, _)| stamp >= cut);
        }
        list.push((stamp, n));
        list.sort_unstable();
        let after = |stamp| list.iter().filter(|&&(other, _)| other > stamp).map(|&(_, n)| n).sum::<u64>();
        let edge = step - random(step.min(30) + 1);
        assert_eq!(log.newer_than(edge), after(edge));
        if let Some(unit) = after(edge).checked_sub(1) {
            let oldest = list.iter().find(|&&(stamp, n)| stamp > edge && n > 0).unwrap().0;
            assert_eq!(log.nth_from_end(unit), Some(oldest), "the oldest unit that is newer than {edge}");
            assert!(log.nth_from_end(unit + 1).is_none_or(|stamp| stamp <= edge));
        }
    }
}

#[test]
fn a_unit_costs_at_most_nine_bytes_from_a_thousand_on() {
    for size in [1_000_u64, 1_010, 1_026, 1_500, 4_000, 20_000] {
        let mut log = Log::new();
        (0..3 * size).for_each(|n| log.push(n * 10, 1));
        // However long it has been used, and wherever in its blocks it begins.
        for n in 0..2_000_u64 {
            log.drop_before((n + 2 * size) * 10 + 1);
            let newest = log.last().unwrap();
            while log.len() < size {
                log.push(log.last().unwrap() + 10, 1);
            }
            if n % 3 == 0 {
                log.drop_before(log.first().unwrap() + 1);
                log.push(newest - 15, 1);
            }
            assert_eq!(log.len(), size);
            assert!(log.bytes() as u64 <= 9 * size, "{} bytes for {size}", log.bytes());
        }
    }
}

#[test]
fn an_entry_of_any_number_costs_a_stamp_and_a_sum() {
    let mut log = Log::new();
    log.push(7, 4_000_000_000);
    assert!(log.bytes() < 200, "{}", log.bytes());
    let mut random = noise();
    for stamp in 0..10_000 {
        log.push(stamp * 10, 2 + random(1 << 31));
        let count = log.entry_count();
        assert!(count < 1_000 || log.bytes() <= 18 * count, "{} bytes for {count}", log.bytes());
    }
    // However long it has been used.
    for stamp in 10_000..30_000 {
        log.drop_before(stamp * 10 - 50_000);
        log.push(stamp * 10, 1 + random(1 << 31));
        let count = log.entry_count();
        assert!(log.bytes() <= 18 * count, "{} bytes for {count}", log.bytes());
    }
    assert_eq!(log.entry_count(), 5_001);
}

#[test]
fn the_future_becomes_now() {
    for size in [1, 5, 32, 33, 100] {
        let mut log = Log::new();
        (0..size).for_each(|n| log.push(n, 1));
        log.settle(size / 2);
        assert_eq!(units(&log), (0..size).map(|n| n.min(size / 2)).collect::<Vec<_>>());
        log.settle(size);
        assert_eq!(log.last(), Some(size / 2));
    }
}

#[test]
fn no_units_are_no_entry() {
    let mut log = Log::new();
    log.push(5, 0);
    assert!(log.is_empty() && log.bytes() == Log::new().bytes());
    log.push(5, 1);
    log.push(6, 0);
    assert_eq!((all(&log), is_weighted(&log)), (vec![(5, 1)], false));
    log.push(6, 2);
    log.push(9, 0);
    assert_eq!((all(&log), log.entry_count()), (vec![(5, 1), (6, 2)], 2));
}

#[test]
fn few_stamps_cost_little_and_none_cost_nothing() {
    let mut log = Log::new();
    let empty = log.bytes();
    assert!(empty <= 24, "{empty}");
    (0..5).for_each(|n| log.push(n, 1));
    assert_eq!(log.bytes(), empty + 64, "room for 2, 4, 8");
    log.drop_before(2);
    assert_eq!((log.len(), log.bytes()), (3, empty + 64), "three of eight are not few");
    log.drop_before(3);
    assert_eq!((log.len(), log.bytes()), (2, empty + 32), "two are");
    (5..10_000).for_each(|n| log.push(n, 1));
    log.drop_before(9_995);
    assert_eq!(units(&log), [9_995, 9_996, 9_997, 9_998, 9_999]);
    assert!(log.bytes() <= empty + 64, "{}", log.bytes());
    log.drop_before(10_000);
    assert_eq!((log.len(), log.bytes()), (0, empty));
}
