//! What to write in place of a rate that is refused: the nearest one that is none.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyFloat;

use super::convert;
use crate::limit::{Rate, simplest_fraction};

/// The most tokens a second that a rate can have.
const FASTEST: u128 = 10_000_000;
const SECOND: u128 = 1_000_000_000;

/// The argument `limit` of a rate. For a fraction the error names the whole rate that is the same.
pub(super) fn limit(limit: &Bound<'_, PyAny>, per_ns: u64, burst: Option<u64>, strict: bool) -> PyResult<u64> {
    convert::whole("limit", limit).map_err(|error| match whole_rate(limit, per_ns, burst, strict) {
        Some(rate) => PyValueError::new_err(format!("{}: write {rate}", error.value(limit.py()))),
        None => error,
    })
}

/// Half a token a second is one in two seconds.
fn whole_rate(limit: &Bound<'_, PyAny>, per_ns: u64, burst: Option<u64>, strict: bool) -> Option<String> {
    let float = limit.cast::<PyFloat>().ok()?.value();
    let (tokens, periods) = simplest_fraction(float)?;
    let tokens = u64::try_from(tokens).ok()?;
    let per_ns = u64::try_from(u128::from(per_ns).checked_mul(periods)?).ok()?;
    // A float between 0 and 2^40 here; its burst is what one period brings, rounded up.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let burst = burst.or((!strict).then_some(float.ceil() as u64)).filter(|&burst| burst != tokens);
    let plain = Rate::new(tokens, per_ns);
    let rate = burst.map_or(plain, |burst| plain.burst(burst));
    (if strict { rate.strict() } else { rate }).rule().ok()?;
    Some(shown(tokens, per_ns, burst, strict))
}

/// A rate that is too fast in this unit and not in a larger one; `None` where the speed is not what is wrong.
pub(super) fn larger_unit(limit: u64, per_ns: u64, burst: Option<u64>, strict: bool) -> Option<String> {
    let most = u128::from(per_ns) * FASTEST / SECOND;
    if most == 0 || u128::from(limit) <= most {
        return None;
    }
    let units = [(1_000, "thousands"), (1_000_000, "millions"), (1_000_000_000, "thousand millions")];
    let (unit, name) = units.into_iter().find(|&(unit, _)| u128::from(limit.div_ceil(unit)) <= most)?;
    let rate = shown(limit / unit, per_ns, burst.map(|burst| burst.div_ceil(unit)), strict);
    Some(format!("count {name} instead: {rate}, with costs divided by {unit} and rounded up"))
}

fn shown(tokens: u64, per_ns: u64, burst: Option<u64>, strict: bool) -> String {
    let burst = burst.map_or_else(String::new, |burst| format!(", burst={burst}"));
    let strict = if strict { ", strict=True" } else { "" };
    format!("Rate({tokens}, per={}{burst}{strict})", per_ns as f64 / 1e9)
}
