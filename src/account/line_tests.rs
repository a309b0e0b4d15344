//! A line for one key: who is ahead, who has left, and what a grant is worth.

use super::*;
use crate::limit::{Edge, Rate};
use crate::ticks::PER_NANO;

const SECOND: Ticks = 1_000_000_000 * PER_NANO;

struct Bench {
    cold: Cold,
    limits: Vec<Limit>,
    line: Line,
    after: After,
    number: u64,
}

/// A key that may send once a second, five times at once, and has done so.
fn bench() -> Bench {
    exhausted(Limit::rate(Rate::new(5, 5_000_000_000)).unwrap())
}

fn exhausted(limit: Limit) -> Bench {
    let (most, limits) = (limit.capacity(), vec![limit]);
    let mut cold = Cold::fresh(&limits, 0);
    assert!(cold.decide(&limits, 100 * SECOND, &Cost::new(most), Purpose::Charge).passes());
    Bench { cold, limits, line: Line::new(), after: After::default(), number: 0 }
}

impl Bench {
    fn join(&mut self, n: u64, timeout_s: Option<u64>) -> Result<u64, Refused> {
        let asked = Asked { cost: Cost::new(n), class: 0, group: 7, joint: None };
        let (timeout, waker) = (timeout_s.map(|seconds| seconds * SECOND), Arc::new(Waker::noop().clone()));
        self.number += 1;
        self.line.join((&self.cold, &self.limits), 100 * SECOND, asked, timeout, (self.number, &waker))
    }

    fn serve(&mut self, second: u64) {
        self.line.serve((&mut self.cold, &self.limits), second * SECOND, None, || second, &mut self.after);
    }

    fn leave(&mut self, ticket: u64) -> bool {
        self.line.leave((&mut self.cold, &self.limits), ticket, 100 * SECOND, &mut self.after)
    }
}

#[test]
fn those_ahead_count_until_they_have_left_or_were_served() {
    let mut bench = bench();
    let first = bench.join(3, None).unwrap();
    assert_eq!(bench.join(1, Some(3)), Err(Refused::TooLate(4 * SECOND)));
    assert!(bench.leave(first) && !bench.leave(first));
    let alone = bench.join(1, Some(1)).unwrap();
    bench.serve(101);
    assert_eq!(bench.after.wake.len(), 1, "whose turn has come");
    let seen = bench.line.look((&mut bench.cold, &bench.limits), alone, 101 * SECOND, &mut bench.after);
    assert_eq!(seen, Seen::Granted(Some(101)));
    assert!(bench.line.is_empty() && bench.line.sums.is_empty());
    assert_eq!(bench.cold.leases.last_expiry(), Some((101 + 600) * SECOND), "ten minutes to notice");
}

#[test]
fn one_who_was_told_that_it_is_too_late_counts_no_more_when_it_leaves() {
    let mut bench = bench();
    let late = bench.join(2, Some(2)).unwrap();
    bench.join(1, None).unwrap();
    bench.cold.block(&bench.limits, 100 * SECOND, 110 * SECOND);
    bench.serve(102);
    assert_eq!(bench.line.queue.called(), 1);
    assert!(bench.leave(late));
    bench.cold.block(&bench.limits, 100 * SECOND, 0);
    assert_eq!(bench.join(1, Some(0)), Err(Refused::TooLate(2 * SECOND)), "the one that stayed is ahead");
}

#[test]
fn who_asks_for_nothing_waits_for_nobody() {
    let mut bench = bench();
    bench.join(5, None).unwrap();
    assert!(bench.join(0, Some(0)).is_ok());
    assert_eq!(bench.join(1, Some(5)), Err(Refused::TooLate(6 * SECOND)));
}

#[test]
fn a_window_serves_so_many_in_each_of_its_widths() {
    let mut bench = exhausted(Limit::window(3, 10_000_000_000, Edge::HalfOpen).unwrap());
    bench.join(2, None).unwrap();
    assert_eq!(bench.join(1, Some(0)), Err(Refused::TooLate(10 * SECOND)), "the third of the next three");
    bench.join(2, None).unwrap();
    assert_eq!(bench.join(1, Some(0)), Err(Refused::TooLate(20 * SECOND - 1)), "the fifth");
    assert_eq!(bench.join(4, None), Err(Refused::Never), "more than there ever is room for");
    assert!(bench.join(0, Some(0)).is_ok());
}

#[test]
fn a_window_that_empties_bit_by_bit_serves_bit_by_bit() {
    let limits = vec![Limit::window(3, 10_000_000_000, Edge::HalfOpen).unwrap()];
    let mut cold = Cold::fresh(&limits, 0);
    assert!([98, 99, 100].iter().all(|at| cold.decide(&limits, at * SECOND, &Cost::new(1), Purpose::Charge).passes()));
    let mut bench = Bench { cold, limits, line: Line::new(), after: After::default(), number: 0 };
    for wait in [8, 9, 10] {
        assert_eq!(bench.join(1, Some(0)), Err(Refused::TooLate(wait * SECOND)));
        bench.join(1, None).unwrap();
    }
}

#[test]
fn a_head_of_another_loop_is_asked_whether_it_is_there() {
    let mut bench = bench();
    bench.line.probe(8, &mut bench.after);
    assert!(bench.after.wake.is_empty(), "nobody is");
    bench.join(1, None).unwrap();
    bench.line.probe(7, &mut bench.after);
    assert!(bench.after.wake.is_empty(), "it is of the same loop");
    bench.line.probe(8, &mut bench.after);
    assert_eq!(bench.after.wake.len(), 1);
    assert_eq!(format!("{:?}", bench.line), "Line { waiting: 1, .. }");
}

#[test]
fn in_a_forked_process_nobody_waits_and_what_was_granted_is_given_back() {
    let mut bench = bench();
    bench.join(1, None).unwrap();
    bench.join(1, None).unwrap();
    bench.serve(101);
    assert!(bench.cold.is_held());
    bench.line.process += 1; // as if this were the child
    bench.serve(101);
    assert!(!bench.cold.is_held() && bench.line.is_empty());
    assert_eq!(bench.line.process, std::process::id());
    assert!(bench.join(1, Some(1)).is_ok(), "nobody is ahead");
}
