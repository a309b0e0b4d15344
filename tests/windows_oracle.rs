//! Windows over a log against an oracle that keeps every event and counts.

mod size;

use proptest::prelude::*;
use tollbar::limit::{Admission, Edge, Log, Window, admits};

#[derive(Clone, Debug)]
struct Said {
    limit: u64,
    width: u64,
    edge: Edge,
}

impl Said {
    fn window(&self) -> Window {
        Window::new(self.limit, self.width, self.edge).unwrap()
    }

    /// Whether an event still counts at `now`, in the words of the definition.
    fn counts(&self, event: u64, now: u64) -> bool {
        let (event, now, width) = (i128::from(event), i128::from(now), i128::from(self.width));
        match self.edge {
            Edge::Closed => event >= now - width,
            Edge::HalfOpen => event > now - width,
        }
    }

    fn passes(&self, events: &[u64], now: u64, n: u64) -> bool {
        n == 0 || events.iter().filter(|&&event| self.counts(event, now)).count() as u64 + n <= self.limit
    }

    /// Whether no window that ends at an event holds too much.
    fn is_kept(&self, events: &[u64]) -> bool {
        events.iter().all(|&end| {
            let inside = events.iter().filter(|&&event| event <= end && self.counts(event, end));
            inside.count() as u64 <= self.limit
        })
    }
}

/// Logs `n` units at once, or one by one, which the log keeps in another form: no answer may depend on it.
fn put(log: &mut Log, stamp: u64, n: u64, singly: bool) {
    let (times, n) = if singly { (n, 1) } else { (1, n) };
    (0..times).for_each(|_| log.push(stamp, n));
}

fn said() -> impl Strategy<Value = Said> {
    let edge = prop_oneof![Just(Edge::Closed), Just(Edge::HalfOpen)];
    (1_u64..7, 1_u64..40, edge).prop_map(|(limit, width, edge)| Said { limit, width, edge })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size::schedules(), ..ProptestConfig::default() })]

    #[test]
    fn several_windows_over_one_log_decide_as_counting_does(
        said in prop::collection::vec(said(), 1..4),
        steps in prop::collection::vec((0_u64..12, 0_u64..4, any::<bool>()), 1..60),
        singly in any::<bool>(),
    ) {
        size::schedule();
        let windows: Vec<Window> = said.iter().map(Said::window).collect();
        let (mut log, mut events, mut now) = (Log::new(), Vec::new(), 50);
        for (pause, n, forget) in steps {
            now += pause;
            let passes = |at| said.iter().all(|one| one.passes(&events, at, n));
            match admits(&windows, &log, now, n) {
                Admission::Allow => {
                    prop_assert!(passes(now));
                    put(&mut log, now, n, singly);
                    events.extend((0..n).map(|_| now));
                }
                Admission::Deny { earliest } => {
                    prop_assert!(earliest > now && passes(earliest), "at {earliest} it passes");
                    prop_assert!((now..earliest).all(|at| !passes(at)), "and not before");
                }
                Admission::Never => prop_assert!(said.iter().any(|one| n > one.limit)),
            }
            if forget {
                let oldest = windows.iter().map(|window| {
                    let mut copy = log.clone();
                    window.forget(&mut copy, now);
                    copy.len()
                });
                let kept = oldest.max().unwrap_or(0);
                log.nth_from_end(kept.saturating_sub(1)).into_iter().for_each(|stamp| log.drop_before(stamp));
            }
        }
    }

    #[test]
    fn stamps_in_any_order_join_unless_some_window_would_hold_too_much(
        said in said(),
        steps in prop::collection::vec((0_u64..150, 1_u64..4, 0_u8..8), 1..120),
        singly in any::<bool>(),
    ) {
        size::schedule();
        let (window, mut log, mut events, mut oldest) = (said.window(), Log::new(), Vec::new(), 0);
        for (stamp, n, forget) in steps {
            let stamp = stamp.max(oldest);
            let mut with: Vec<u64> = events.clone();
            with.extend((0..n).map(|_| stamp));
            let fits = window.fits(&log, stamp, n);
            prop_assert_eq!(fits, said.is_kept(&with), "{} of {} into {:?}", n, stamp, events);
            if fits {
                put(&mut log, stamp, n, singly);
                events = with;
            }
            if forget == 0 {
                // From here on nothing older comes.
                oldest = oldest.max(stamp.saturating_sub(20));
                window.forget(&mut log, oldest);
            }
        }
    }

    #[test]
    fn a_reading_older_than_the_log_admits_nothing_extra(
        said in said(),
        steps in prop::collection::vec((-9_i64..12, 1_u64..4), 1..60),
        singly in any::<bool>(),
    ) {
        size::schedule();
        let (window, mut log, mut events, mut now) = (said.window(), Log::new(), Vec::new(), 500_u64);
        for (step, n) in steps {
            now = now.saturating_add_signed(step);
            if admits(&[window], &log, now, n) == Admission::Allow {
                put(&mut log, now, n, singly);
                events.extend((0..n).map(|_| now));
                prop_assert!(said.is_kept(&events), "{:?}", events);
            }
        }
    }
}
