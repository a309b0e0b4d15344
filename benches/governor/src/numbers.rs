//! Medians and quantiles.

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// The median of the ratios within one repeat, so that a slow minute of the machine meets both.
pub(crate) fn ratio(over: &[f64], under: &[f64]) -> f64 {
    median(&over.iter().zip(under).map(|(over, under)| over / under).collect::<Vec<_>>())
}

/// The smallest of the sorted values that `per_10_000` of them do not exceed.
pub(crate) fn quantile(sorted: &[u32], per_10_000: usize) -> u32 {
    let place = (sorted.len() * per_10_000).div_ceil(10_000).max(1) - 1;
    sorted[place]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles_are_where_they_are_by_hand() {
        let (middle, between) = (median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 2.0, 3.0]));
        assert!((middle - 2.0).abs() < 1e-12 && (between - 2.5).abs() < 1e-12);
        let sorted: Vec<u32> = (1..=1_000).collect();
        let quantiles = [5_000, 9_900, 9_990, 10_000].map(|per| quantile(&sorted, per));
        assert_eq!(quantiles, [500, 990, 999, 1_000]);
    }

    #[test]
    fn a_ratio_is_taken_within_a_repeat() {
        // The second repeat met a slow machine on both sides.
        assert!((ratio(&[1.0, 10.0, 1.0], &[2.0, 20.0, 4.0]) - 0.5).abs() < 1e-12);
    }
}
