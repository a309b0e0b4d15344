//! A float read as the simplest fraction that rounds to it: 2.7777777777777777 is 25/9.
//!
//! A rate of "10,000 an hour" arrives from Python as a float per second. Taken literally it is a
//! 53-bit number whose emission interval is no whole number of anything; read as the fraction that
//! was meant, it is exactly 0.36 seconds.

/// The fraction with the smallest denominator that lies nearer to `value` than to any other float.
///
/// `None` unless `value` is finite and between 2^-40 and 2^40: far beyond every rate that can be
/// limited, and near enough that all the arithmetic fits 128 bits.
#[must_use]
pub fn simplest_fraction(value: f64) -> Option<(u128, u128)> {
    const REACH: f64 = (1_u64 << 40) as f64;
    if !value.is_finite() || !(1.0 / REACH..=REACH).contains(&value) {
        return None;
    }
    let bits = value.to_bits();
    // Up to 2^40, a float is a whole number of 53 bits over a power of two.
    let shift = 1075 - (bits >> 52);
    let mantissa = u128::from(bits & ((1 << 52) - 1)) + (1 << 52);
    // Half-way to the neighbours, as fractions over a common denominator.
    let (below, above) = (2 * mantissa - 1, 2 * mantissa + 1);
    Some(simplest_between((below, 2 << shift), (above, 2 << shift)))
}

/// The fraction with the smallest denominator strictly between two others: the Stern-Brocot tree
/// walked a whole run at a time. A zero denominator stands for infinity.
fn simplest_between(low: (u128, u128), high: (u128, u128)) -> (u128, u128) {
    let whole = low.0 / low.1;
    if (whole + 1) * high.1 < high.0 {
        return (whole + 1, 1);
    }
    // Nothing whole between them: take the whole part off both and look among the reciprocals.
    let low_rest = (low.1, low.0 - whole * low.1);
    let high_rest = (high.1, high.0 - whole * high.1);
    let (p, q) = simplest_between(high_rest, low_rest);
    (whole * p + q, p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_an_hour_come_back_as_they_were_meant() {
        for (limit, period) in [(10_000_u32, 3600_u32), (100, 3600), (7, 60), (1, 86_400), (999, 1000)] {
            let read = simplest_fraction(f64::from(limit) / f64::from(period)).unwrap();
            let g = num_integer_gcd(u128::from(limit), u128::from(period));
            assert_eq!(read, (u128::from(limit) / g, u128::from(period) / g));
        }
    }

    #[test]
    fn whole_numbers_and_plain_decimals() {
        assert_eq!(simplest_fraction(1.0), Some((1, 1)));
        assert_eq!(simplest_fraction(8000.0), Some((8000, 1)));
        assert_eq!(simplest_fraction(0.1), Some((1, 10)));
        assert_eq!(simplest_fraction(2.5), Some((5, 2)));
    }

    #[test]
    fn every_fraction_rounds_back_to_its_float() {
        let mut state = 1_u64;
        for _ in 0..10_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = (state >> 11) as f64 / (1_u64 << (state & 63).min(50)) as f64;
            if let Some((p, q)) = simplest_fraction(value) {
                let exact = num_rational::BigRational::new(p.into(), q.into());
                let float = num_rational::BigRational::from_float(value).unwrap();
                let up = num_rational::BigRational::from_float(value.next_up()).unwrap();
                let down = num_rational::BigRational::from_float(value.next_down()).unwrap();
                let two = num_rational::BigRational::from_integer(2.into());
                assert!(exact < (&float + up) / &two && exact > (&float + down) / two, "{value}: {p}/{q}");
            }
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, 5e-324] {
            assert_eq!(simplest_fraction(value), None);
        }
    }

    fn num_integer_gcd(a: u128, b: u128) -> u128 {
        if b == 0 { a } else { num_integer_gcd(b, a % b) }
    }
}
