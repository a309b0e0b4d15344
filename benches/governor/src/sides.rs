//! The two limiters that are compared, under the same limits.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tollbar::{Limiter, Policy, Rate};

/// Ten million a second, and four thousand million at once: nothing is ever denied.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(10_000_000).expect("not zero");
const BURST: NonZeroU32 = NonZeroU32::new(4_000_000_000).expect("not zero");

/// `max_keys` unless more are needed: tollbar's own default.
const USUAL_KEYS: u32 = 1_000_000;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Theirs,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Ours, Self::Theirs];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|side| side.name() == name)
    }
}

/// tollbar with room for `max_keys`.
pub(crate) fn tollbar(max_keys: u32) -> Arc<Limiter> {
    let rate = Rate::new(u64::from(PER_SECOND.get()), 1_000_000_000).burst(u64::from(BURST.get()));
    let limiter = Limiter::builder(Policy::rate(rate).expect("a rate")).max_keys(max_keys as usize).build();
    Arc::new(limiter.expect("a limiter"))
}

/// tollbar with its default room, or twice what is needed.
pub(crate) fn roomy_tollbar(keys: u32) -> Arc<Limiter> {
    tollbar(USUAL_KEYS.max(2 * keys))
}

/// One decision of tollbar.
#[inline]
pub(crate) fn ours(limiter: &Limiter, key: &str) -> bool {
    limiter.try_acquire(key.as_bytes(), 1).expect("a short key")
}

/// governor for keys that it keeps a copy of.
pub(crate) type Governor = DefaultKeyedRateLimiter<String>;

/// governor with its default map, hasher and clock. It has no bound on the number of keys.
pub(crate) fn governor() -> Governor {
    RateLimiter::keyed(Quota::per_second(PER_SECOND).allow_burst(BURST))
}

/// One decision of governor. A bool like ours: to hand its whole result on would cost a copy.
#[inline]
pub(crate) fn theirs(limiter: &Governor, key: &String) -> bool {
    limiter.check_key(key).is_ok()
}
