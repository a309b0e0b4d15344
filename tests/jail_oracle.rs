//! Timeouts against an oracle that keeps every denial; and a settled record against a fresh one.

mod size;

use proptest::prelude::*;
use tollbar::limit::{Jail, Record};

const START: u64 = 1_000;

#[derive(Clone, Debug)]
struct Said {
    denials: u64,
    within: u64,
    duration: u64,
    factor: u32,
    longest: Option<u64>,
}

impl Said {
    fn jail(&self) -> Jail {
        let jail = Jail::new(self.denials, self.within, self.duration).unwrap();
        jail.escalating(self.factor.into(), self.longest.map(|more| self.duration + more)).unwrap()
    }
}

fn said() -> impl Strategy<Value = Said> {
    let longest = prop::option::of(0_u64..200);
    (1_u64..6, 1_u64..40, 1_u64..40, 1_u32..4, longest).prop_map(|(denials, within, duration, factor, longest)| Said {
        denials,
        within,
        duration,
        factor,
        longest,
    })
}

/// All denials since the last timeout, and what follows from them.
#[derive(Default)]
struct Oracle {
    denials: Vec<u64>,
    until: u64,
    strikes: u64,
    quiet_since: u64,
}

impl Oracle {
    fn denied(&mut self, said: &Said, at: u64, newest: u64) -> bool {
        // One strike less for each whole duration that has passed without a denial.
        let mut quiet = self.quiet_since;
        while quiet + said.duration <= at && self.strikes > 0 {
            quiet += said.duration;
            self.strikes -= 1;
        }
        self.quiet_since = self.quiet_since.max(at);
        self.denials.push(at);
        let crowded = self.denials.iter().any(|&start| {
            let window = start..=start + said.within;
            let inside = self.denials.iter().filter(|denial| window.contains(denial)).count() as u64;
            window.contains(&at) && inside >= said.denials
        });
        if crowded {
            let mut length = said.duration;
            for _ in 0..self.strikes {
                length = length.saturating_mul(said.factor.into());
            }
            length = length.min(said.longest.map_or(u64::MAX, |more| said.duration + more));
            self.strikes += 1;
            self.until = newest.saturating_add(length);
            self.quiet_since = self.until;
            self.denials.clear();
        }
        crowded
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size::schedules(), ..ProptestConfig::default() })]

    #[test]
    fn every_timeout_is_that_of_an_oracle_that_keeps_every_denial(
        said in said(),
        lateness in 0_u64..30,
        steps in prop::collection::vec((prop_oneof![4 => 0_u64..6, 1 => 0_u64..300], 0_u64..30, 0_u8..12), 1..80),
    ) {
        size::schedule();
        let (jail, mut record, mut oracle, mut newest) = (said.jail(), Record::default(), Oracle::default(), START);
        for (forward, back, release) in steps {
            newest += forward;
            let at = newest - back.min(lateness);
            prop_assert_eq!(record.holds(at), at < oracle.until);
            if release == 0 {
                let held = newest < oracle.until;
                prop_assert_eq!(record.release(newest), held);
                if held {
                    (oracle.until, oracle.quiet_since) = (0, newest);
                }
            } else if !record.holds(at) {
                let starts = jail.denied(&mut record, at, newest, newest - lateness);
                prop_assert_eq!(starts, oracle.denied(&said, at, newest));
                prop_assert_eq!(u64::from(record.strikes()), oracle.strikes);
                prop_assert_eq!(record.until(), oracle.until);
            }
        }
    }

    #[test]
    fn a_settled_record_says_no_more_than_none(
        said in said(),
        before in prop::collection::vec(0_u64..60, 1..20),
        after in prop::collection::vec(0_u64..20, 1..20),
    ) {
        size::schedule();
        let (jail, mut record, mut at) = (said.jail(), Record::default(), START);
        for pause in before {
            at += pause;
            if !record.holds(at) {
                jail.denied(&mut record, at, at, at);
            }
        }
        let (mut fresh, mut at) = (Record::default(), jail.settled(&record));
        for pause in after {
            prop_assert_eq!(record.holds(at), fresh.holds(at));
            if !record.holds(at) {
                prop_assert_eq!(jail.denied(&mut record, at, at, at), jail.denied(&mut fresh, at, at, at));
                prop_assert_eq!((record.strikes(), record.holds(at)), (fresh.strikes(), fresh.holds(at)));
                prop_assert!(!fresh.holds(at) || record.until() == fresh.until());
            }
            at += pause;
        }
    }
}
