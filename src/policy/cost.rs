//! What a request costs: one number for every limit, or a number of its own for limits that are named.
//!
//! A call to a language model costs one request and 400 tokens; an upload costs one upload and its bytes. A [`Cost`] says so in
//! one value, which all limits of the key are charged by, or none.

use std::sync::Arc;

use super::{Limit, Rule};

/// A limit's name, and what a request costs that limit.
type Named = (Arc<str>, u64);

/// What a request costs each limit of its key.
///
/// A clone shares the names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    each: u64,
    /// In no order, each name once.
    named: Option<Arc<[Named]>>,
}

impl Cost {
    /// The same cost for every limit.
    #[inline]
    #[must_use]
    pub const fn new(each: u64) -> Self {
        Self { each, named: None }
    }

    /// A cost of its own for the limits of these names. The last of two equal names counts.
    #[must_use]
    pub fn with<N: Into<Arc<str>>>(mut self, named: impl IntoIterator<Item = (N, u64)>) -> Self {
        let mut all: Vec<(Arc<str>, u64)> = self.named.as_deref().unwrap_or_default().to_vec();
        for (name, n) in named {
            let name = name.into();
            match all.iter_mut().find(|(other, _)| *other == name) {
                Some((_, known)) => *known = n,
                None => all.push((name, n)),
            }
        }
        self.named = (!all.is_empty()).then(|| all.into());
        self
    }

    /// What limits cost that have no cost of their own.
    #[inline]
    #[must_use]
    pub const fn each(&self) -> u64 {
        self.each
    }

    /// The names of limits with a cost of their own, and that cost.
    #[must_use]
    pub fn named(&self) -> &[(Arc<str>, u64)] {
        self.named.as_deref().unwrap_or_default()
    }

    /// The same names with another cost for all others.
    #[must_use]
    pub(crate) fn with_each(&self, each: u64) -> Self {
        Self { each, named: self.named.clone() }
    }

    /// The one number, where there is one.
    #[inline]
    pub(crate) fn uniform(&self) -> Option<u64> {
        if self.named.is_none() { Some(self.each) } else { None }
    }

    /// What it costs this limit.
    #[inline]
    pub(crate) fn on(&self, limit: &Limit) -> u64 {
        match &self.named {
            None => self.each,
            Some(named) => named.iter().find(|(name, _)| *name == limit.name).map_or(self.each, |&(_, n)| n),
        }
    }

    /// What it costs the only limit of a policy that has one.
    pub(crate) fn on_only(&self, limits: &[Limit]) -> u64 {
        match limits {
            // A closed door holds for every request that asks for anything.
            [limit] if matches!(limit.rule, Rule::Closed) && !self.is_zero() => self.on(limit).max(1),
            [limit] => self.on(limit),
            _ => self.each,
        }
    }

    /// Whether it asks nothing of any limit.
    #[inline]
    pub(crate) fn is_zero(&self) -> bool {
        self.each == 0 && self.named().iter().all(|&(_, n)| n == 0)
    }
}

impl From<u64> for Cost {
    #[inline]
    fn from(each: u64) -> Self {
        Self::new(each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_limits_have_their_own_cost() {
        let cost = Cost::new(1).with([("tokens", 400), ("bytes", 7)]).with([("bytes", 9)]);
        let limit = |name: &str| Limit::in_flight(5).unwrap().named(name);
        assert_eq!(["tokens", "bytes", "requests"].map(|name| cost.on(&limit(name))), [400, 9, 1]);
        assert_eq!((cost.each(), cost.named().len(), cost.uniform()), (1, 2, None));
        assert_eq!(cost.with_each(3).on(&limit("requests")), 3);
        assert_eq!(cost.with_each(3).on(&limit("bytes")), 9);
        assert_eq!((cost.on_only(&[limit("bytes")]), cost.on_only(&[])), (9, 1));
        let others = Cost::new(0).with([("tokens", 1)]);
        assert_eq!((others.on_only(&[limit("bytes")]), others.on_only(&[Limit::closed()])), (0, 1));
        assert_eq!(Cost::new(0).on_only(&[Limit::closed()]), 0);
    }

    #[test]
    fn a_cost_is_zero_only_if_every_number_is() {
        assert!(Cost::new(0).is_zero() && !Cost::new(1).is_zero());
        assert!(!Cost::new(0).with([("tokens", 1)]).is_zero());
        assert!(Cost::new(0).with([("tokens", 0)]).is_zero() && !Cost::new(2).with([("tokens", 0)]).is_zero());
        let none: [(&str, u64); 0] = [];
        assert_eq!(Cost::from(5).with(none).uniform(), Some(5));
    }
}
