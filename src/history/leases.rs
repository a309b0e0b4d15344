//! When reservations expire whose sender was never heard of again.
//!
//! Nobody says which reservation ends, so the one that would expire first is taken to: none expires before its time.
//! A lost one is let go when its account has reserved nothing for the length of a lease.

use std::collections::VecDeque;

struct Lease {
    expiry: i64,
    count: u64,
}

/// The reservations of one key by the second in which they expire.
#[derive(Default)]
pub(super) struct Leases(VecDeque<Lease>);

impl Leases {
    /// Lets so many begin.
    pub(super) fn begin(&mut self, expiry: i64, count: u64) {
        let at = self.0.partition_point(|lease| lease.expiry < expiry);
        match self.0.get_mut(at) {
            Some(lease) if lease.expiry == expiry => lease.count += count,
            _ => self.0.insert(at, Lease { expiry, count }),
        }
    }

    /// Ends the one that would expire first.
    pub(super) fn end(&mut self) {
        if let Some(first) = self.0.front_mut() {
            first.count -= 1;
            if first.count == 0 {
                self.0.pop_front();
            }
        }
    }

    /// Ends all that have expired and returns how many they were. One that would last longer than a lease began before the
    /// clock was set back; it lasts a lease from now.
    pub(super) fn expire(&mut self, now: i64, lease: i64) -> u64 {
        let latest = now.saturating_add(lease);
        let mut beyond = 0;
        while let Some(last) = self.0.back().filter(|last| last.expiry > latest) {
            beyond += last.count;
            self.0.pop_back();
        }
        if beyond > 0 {
            self.begin(latest, beyond);
        }
        let mut expired = 0;
        while let Some(first) = self.0.front().filter(|first| first.expiry <= now) {
            expired += first.count;
            self.0.pop_front();
        }
        expired
    }

    pub(super) fn clear(&mut self) {
        self.0 = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_expires_early_and_a_lost_one_in_the_end() {
        let mut leases = Leases::default();
        leases.begin(60, 1); // lost
        leases.begin(70, 1);
        leases.end();
        assert_eq!(leases.expire(69, 60), 0);
        assert_eq!(leases.expire(70, 60), 1);
        leases.end();
        assert_eq!(leases.expire(1_000, 60), 0);
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nobody_for_longer_than_a_lease() {
        let mut leases = Leases::default();
        leases.begin(1_060, 2);
        leases.begin(1_061, 1);
        assert_eq!(leases.expire(500, 60), 0);
        leases.begin(560, 1);
        assert_eq!(leases.expire(559, 60), 0);
        assert_eq!(leases.expire(560, 60), 4);
    }
}
