//! What the table is asked, and what it answers.

use super::Ruled;
use super::slot::Charged;
use crate::account::Wait;
use crate::classes::ClassId;
use crate::limit::Verdict;
use crate::ticks::Ticks;

/// What to do about a key that the table does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// Answer that it is unknown.
    Tell,
    /// Create an account of this class if the charge passes.
    Charge(ClassId),
    /// Create an account of this class whatever the answer.
    Create(ClassId),
}

/// What a charge found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The account's own answer.
    Charged(Charge),
    /// The answer of an account with several limits.
    Ruled(Ruled),
    /// No such account, and none was asked for.
    Unknown,
    /// No account could go; the nearest to going is this far from it (`None`: all are pinned).
    Full(Option<Ticks>),
}

impl Answer {
    /// A plain yes, without a shadow limit that would have said no.
    #[inline]
    pub(crate) fn is_allowance(&self) -> bool {
        match self {
            Self::Charged(charge) => matches!(charge.verdict, Verdict::Allow(_)),
            Self::Ruled(ruled) => ruled.ruling.passes() && ruled.ruling.shadowed == 0,
            Self::Unknown | Self::Full(_) => false,
        }
    }

    /// Whether all limits that deny let it pass; one that is a word alone says so of itself, a shadow or not.
    pub(super) fn passes(&self) -> bool {
        self.is_allowance() || matches!(self, Self::Ruled(ruled) if ruled.ruling.passes())
    }

    /// Whether it can never pass.
    pub(super) fn is_never(&self) -> bool {
        match self {
            Self::Charged(charge) => charge.verdict == Verdict::Never,
            Self::Ruled(ruled) => ruled.ruling.wait == Wait::Never,
            Self::Unknown | Self::Full(_) => false,
        }
    }

    /// The same without a word on whether it is to be told.
    pub(super) fn untold(self) -> Self {
        match self {
            Self::Charged(charge) => Self::Charged(Charge { notice: None, ..charge }),
            Self::Ruled(ruled) => Self::Ruled(Ruled { notice: None, ..ruled }),
            other => other,
        }
    }
}

/// One account's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) verdict: Verdict,
    /// The word that the charge left, or found.
    pub(crate) tat: Ticks,
    /// The reading that was decided by.
    pub(crate) now: Ticks,
    pub(crate) class: ClassId,
    /// This denial is to be told, with the number of those before it that were not.
    pub(crate) notice: Option<u32>,
}

/// An account as it stands at a reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) tat: Ticks,
    pub(crate) now: Ticks,
    pub(crate) class: ClassId,
    /// What is left where the word does not say it.
    pub(crate) left: Option<u64>,
}

impl Charge {
    #[inline]
    pub(super) fn of((verdict, tat, now, class): Charged, notice: Option<u32>) -> Self {
        Self { verdict, tat, now, class, notice }
    }
}
