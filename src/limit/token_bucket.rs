//! The token bucket as GCRA: one word of state, the theoretical arrival time `tat`.
//!
//! `tat - now` is the time the bucket needs to become full. A token costs T, the emission interval; a
//! request of n passes if the debt `max(tat, now) + n*T - now` stays within B*T, B the burst.
//! Source: ITU-T I.371, "generic cell rate algorithm", virtual scheduling form.
//!
//! RUNS PER DECISION: [`TokenBucket::decide`], a handful of integer operations.

use crate::ticks::{LONGEST, RANGE, SKEW, Ticks};

/// The rule of one limit: what a word means and when it may rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenBucket {
    emission: Ticks,
    burst: u64,
    tolerance: Ticks,
    advance: Ticks,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Metered,
    Closed,
    Open,
    Elsewhere,
}

/// What the rule says to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes; the word becomes this. The same word as before means that there is nothing to write.
    Allow(Ticks),
    /// Not now; the same request passes after this long.
    Deny(Ticks),
    /// Not ever: more than the burst, or a closed account.
    Never,
}

/// What the rule says to a request that is willing to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// Charged; the word becomes `tat`, and the caller may act after `wait`.
    Granted {
        /// The word after the charge.
        tat: Ticks,
        /// How long the caller must wait before it acts.
        wait: Ticks,
    },
    /// It would take this long, which is longer than the caller would wait. Nothing changes.
    TooLong(Ticks),
    /// Not ever.
    Never,
}

/// What a bucket holds at a reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Balance {
    /// Tokens, with their fraction.
    pub tokens: f64,
    /// Whole tokens.
    pub remaining: u64,
    /// Time until the bucket is full.
    pub reset_after: Ticks,
}

/// How the debt of an account is carried over when its limit changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Migration {
    /// The tokens owed stay the same number.
    #[default]
    AsIs,
    /// The tokens owed keep their share of the burst.
    Proportional,
    /// The bucket starts full.
    Reset,
}

impl TokenBucket {
    /// A token every `emission`, up to `burst` at once. [`super::Rate`] checks the ranges.
    pub(super) const fn metered(emission: Ticks, burst: u64) -> Self {
        Self { emission, burst, tolerance: emission * burst, advance: 0, kind: Kind::Metered }
    }

    /// The rule of an account that may not send: every request is [`Verdict::Never`].
    #[must_use]
    pub const fn closed() -> Self {
        Self { emission: 0, burst: 0, tolerance: 0, advance: 0, kind: Kind::Closed }
    }

    /// The rule of an account without a limit: every request passes and nothing is written.
    #[must_use]
    pub const fn open() -> Self {
        Self { emission: 0, burst: 0, tolerance: 0, advance: 0, kind: Kind::Open }
    }

    /// The rule of an account that is decided about elsewhere, for its state is more than a word: nothing passes here. The
    /// word is the time from which on the account equals a fresh one.
    #[must_use]
    pub(crate) const fn elsewhere() -> Self {
        Self { emission: 0, burst: 0, tolerance: LONGEST, advance: 0, kind: Kind::Elsewhere }
    }

    /// Whether the account is decided about elsewhere.
    #[inline]
    #[must_use]
    pub(crate) const fn is_elsewhere(&self) -> bool {
        matches!(self.kind, Kind::Elsewhere)
    }

    /// The same rule where charges may run ahead by up to `advance` (reservations that wait, debits).
    #[must_use]
    pub const fn with_advance(mut self, advance: Ticks) -> Self {
        self.advance = advance;
        self
    }

    /// The emission interval T: the time that one token takes to flow back.
    #[must_use]
    pub const fn emission(&self) -> Ticks {
        self.emission
    }

    /// The burst B: what a full bucket holds.
    #[must_use]
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    /// B*T: the time an empty bucket takes to become full.
    #[must_use]
    pub const fn tolerance(&self) -> Ticks {
        self.tolerance
    }

    /// May `n` tokens be taken at `now`? A cost of 0 asks for nothing and always passes.
    ///
    /// `max(tat, now)` makes a stale reading only stricter: it can never mint tokens.
    #[inline]
    #[must_use]
    pub const fn decide(&self, tat: Ticks, now: Ticks, n: u64) -> Verdict {
        // One comparison sends both rare cases, n = 0 and n > burst, out of the way.
        if n.wrapping_sub(1) >= self.burst {
            return self.decide_rare(tat, n);
        }
        let base = if tat > now { tat } else { now };
        let new = base + n * self.emission; // n <= burst, so this is below RANGE + LONGEST + advance
        let debt = new - now;
        if debt <= self.tolerance {
            Verdict::Allow(new)
        } else {
            let farthest = self.tolerance + self.advance + n * self.emission;
            Verdict::Deny(if debt < farthest { debt } else { farthest } - self.tolerance)
        }
    }

    #[cold]
    const fn decide_rare(&self, tat: Ticks, n: u64) -> Verdict {
        match (n, &self.kind) {
            (0, _) | (_, Kind::Open) => Verdict::Allow(tat),
            _ => Verdict::Never,
        }
    }

    /// Takes `n` tokens that will be there within `max_wait`; the caller acts at now + wait.
    #[must_use]
    pub const fn reserve(&self, tat: Ticks, now: Ticks, n: u64, max_wait: Ticks) -> Reserved {
        if n.wrapping_sub(1) >= self.burst {
            return match self.decide_rare(tat, n) {
                Verdict::Allow(tat) => Reserved::Granted { tat, wait: 0 },
                _ => Reserved::Never,
            };
        }
        let new = self.debit(tat, now, n);
        let wait = (new - now).saturating_sub(self.tolerance);
        if wait <= max_wait { Reserved::Granted { tat: new, wait } } else { Reserved::TooLong(wait) }
    }

    /// Takes `n` tokens whatever the balance, into debt if need be. Returns the word.
    #[must_use]
    pub const fn debit(&self, tat: Ticks, now: Ticks, n: u64) -> Ticks {
        let base = if tat > now { tat } else { now };
        base.saturating_add(n.saturating_mul(self.emission))
    }

    /// Gives back `n` tokens of a charge that left the word at `receipt`. Returns the word.
    ///
    /// Exact where nothing was charged in between, otherwise it may give back less; it never mints: a
    /// plain `tat - n*T` would give back tokens that have already flowed in.
    #[must_use]
    pub const fn refund(&self, tat: Ticks, now: Ticks, n: u64, receipt: Ticks) -> Ticks {
        let unspent = receipt.saturating_sub(now);
        let given = n.saturating_mul(self.emission);
        tat.saturating_sub(if given < unspent { given } else { unspent })
    }

    /// The first moment at which `n` pass whose word is `tat`; n is no more than the burst.
    #[must_use]
    pub(crate) const fn passes_at(&self, tat: Ticks, n: u64) -> Ticks {
        tat.saturating_add(n.saturating_mul(self.emission)).saturating_sub(self.tolerance)
    }

    /// How many whole tokens the bucket holds at `now`.
    #[must_use]
    pub(crate) fn remaining(&self, tat: Ticks, now: Ticks) -> u64 {
        let held = self.tolerance.saturating_sub(tat.saturating_sub(now));
        held.checked_div(self.emission).unwrap_or(0)
    }

    /// How many tokens are missing at `now`, a part of one counted whole.
    #[must_use]
    pub(crate) const fn owed(&self, tat: Ticks, now: Ticks) -> u64 {
        if self.emission == 0 { 0 } else { self.clamp(tat, now).saturating_sub(now).div_ceil(self.emission) }
    }

    /// Whether this bucket owes fewer tokens than another, parts of one included.
    #[must_use]
    pub(crate) fn owes_less(&self, tat: Ticks, (other, others): (&Self, Ticks), now: Ticks) -> bool {
        let time = |bucket: &Self, tat: Ticks| u128::from(bucket.clamp(tat, now).saturating_sub(now));
        time(self, tat) * u128::from(other.emission) < time(other, others) * u128::from(self.emission)
    }

    /// Whether `to` cannot hold what this bucket owes, so that [`TokenBucket::migrate`] would forget some of it.
    #[must_use]
    pub(crate) fn overflows(&self, to: &Self, tat: Ticks, now: Ticks) -> bool {
        let owed = u128::from(self.clamp(tat, now).saturating_sub(now));
        match (self.kind, to.kind) {
            (Kind::Metered, Kind::Metered) => {
                owed * u128::from(to.emission) > u128::from(to.tolerance) * u128::from(self.emission)
            }
            (Kind::Metered, Kind::Closed) => owed > 0,
            _ => false,
        }
    }

    /// The same rule with a burst that takes at least so long to flow back.
    #[must_use]
    pub(crate) const fn at_least(self, tolerance: Ticks) -> Self {
        if tolerance <= self.tolerance || self.burst == 0 {
            return self;
        }
        let emission = tolerance.div_ceil(self.burst);
        Self { emission, tolerance: emission * self.burst, ..self }
    }

    /// The word no farther ahead of `now` than any charge could have left it.
    ///
    /// A word beyond that was written before the clock stepped back (or before time wrapped); with
    /// this, the lock-out after a step is at most B*T.
    #[inline]
    #[must_use]
    pub const fn clamp(&self, tat: Ticks, now: Ticks) -> Ticks {
        let farthest = now + self.tolerance + self.advance;
        if tat < farthest { tat } else { farthest }
    }

    /// Whether the word shows that the clock has stepped back, and not just that two threads read it
    /// at slightly different moments. Only then may the clamped word be stored.
    #[inline]
    #[must_use]
    pub const fn is_ahead(&self, tat: Ticks, now: Ticks) -> bool {
        tat > now && tat - now > self.tolerance + self.advance + SKEW
    }

    /// What the bucket holds at `now`.
    #[must_use]
    pub fn balance(&self, tat: Ticks, now: Ticks) -> Balance {
        if self.kind != Kind::Metered {
            return Balance { tokens: 0.0, remaining: 0, reset_after: 0 };
        }
        let owed = self.clamp(tat, now).saturating_sub(now);
        let held = self.tolerance.saturating_sub(owed);
        let debt = owed.saturating_sub(self.tolerance);
        let emission = self.emission as f64;
        Balance {
            tokens: held as f64 / emission - debt as f64 / emission,
            remaining: held / self.emission,
            reset_after: owed,
        }
    }

    /// The word of the same account under another rule.
    ///
    /// A rule that is not metered has no tokens to count: the debt then stays as time, so that closing
    /// an account and opening it again refills nothing.
    #[must_use]
    pub fn migrate(&self, to: &Self, tat: Ticks, now: Ticks, how: Migration) -> Ticks {
        if how == Migration::Reset {
            return now;
        }
        if self.kind != Kind::Metered || to.kind != Kind::Metered {
            return if to.kind == Kind::Metered { to.clamp(tat, now) } else { tat };
        }
        let owed = u128::from(self.clamp(tat, now).saturating_sub(now));
        let (num, den) = match how {
            Migration::Proportional => (to.tolerance, self.tolerance),
            _ => (to.emission, self.emission),
        };
        // owed < 2^63, num <= 2^61: the product fits. Rounded up, so nothing is given away.
        let owed = (owed * u128::from(num)).div_ceil(u128::from(den));
        let owed = Ticks::try_from(owed).unwrap_or(RANGE).min(to.tolerance + to.advance);
        now + owed
    }
}

#[cfg(test)]
#[path = "token_bucket_tests.rs"]
mod tests;
