//! What can be wrong with a call: which argument, which value, and the rule it broke.

use std::fmt;

/// A refused call. Nothing was charged and nothing was created.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An argument outside its rule.
    Invalid {
        /// The argument's name, the same in every language.
        argument: &'static str,
        /// The value that was given, as text.
        value: String,
        /// The rule in words: "must be at least 1".
        rule: &'static str,
    },
    /// A key longer than [`crate::MAX_KEY_LEN`]; its length.
    KeyTooLong(usize),
    /// More different policies in one limiter than there are numbers for them (2^24).
    TooManyPolicies,
    /// More keys with limits of their own than the limiter may hold keys; how many that is.
    TooManyOwnLimits(usize),
}

impl Error {
    /// Shorthand for [`Error::Invalid`].
    pub(crate) fn invalid(argument: &'static str, value: impl fmt::Display, rule: &'static str) -> Self {
        let value = value.to_string();
        Self::Invalid { argument, value, rule }
    }

    /// A stable number for faces that have no exceptions. Numbers are never reused.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::Invalid { .. } => -1,
            Self::KeyTooLong(_) => -2,
            Self::TooManyPolicies => -3,
            Self::TooManyOwnLimits(_) => -12,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { argument, value, rule } => write!(f, "{argument} {rule}, not {value}"),
            Self::KeyTooLong(len) => {
                write!(f, "key must be at most {} bytes, not {len}", crate::MAX_KEY_LEN)
            }
            Self::TooManyOwnLimits(most) => write!(
                f,
                "max_keys must be more than {most} for another key to have limits of its own: so many have them already"
            ),
            Self::TooManyPolicies => f.write_str("more than 16,777,216 different limits in one limiter"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_argument_the_rule_and_the_value() {
        let error = Error::invalid("burst", 0, "must be at least 1");
        assert_eq!(error.to_string(), "burst must be at least 1, not 0");
        assert_eq!(error.code(), -1);
        assert_eq!(Error::KeyTooLong(9).code(), -2);
        assert_eq!(Error::TooManyPolicies.code(), -3);
    }
}
