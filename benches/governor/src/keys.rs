//! Keys and the orders in which they are visited, the same in every run.

use std::fmt::Write;

/// Keys are as long as an e-mail address of middling length.
pub(crate) const KEY_LENGTH: usize = 30;

/// A small generator of random numbers (splitmix64); good enough to visit keys by.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from((u128::from(self.next()) * u128::from(bound)) >> 64).expect("below a u32")
    }

    /// A number from 0 to 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(u32::try_from(last + 1).expect("few items"));
            items.swap(last, other as usize);
        }
    }
}

/// Which keys are visited how often.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Uniform,
    /// The n-th most frequent key 1/n as often as the most frequent one.
    Zipf,
}

impl Order {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "Zipf",
        }
    }

    /// So many visits to keys with numbers below `count`.
    pub(crate) fn visits(self, count: u32, visits: usize, seed: u64) -> Vec<u32> {
        let mut random = Random::seeded(seed);
        match self {
            Self::Uniform => (0..visits).map(|_| random.below(count)).collect(),
            Self::Zipf => {
                let (sums, keys) = (harmonic_sums(count), scattered(count));
                let total = sums[sums.len() - 1];
                let mut draw = || {
                    let drawn = random.fraction() * total;
                    keys[sums.partition_point(|&sum| sum <= drawn).min(keys.len() - 1)]
                };
                (0..visits).map(|_| draw()).collect()
            }
        }
    }
}

/// 1, 1 + 1/2, 1 + 1/2 + 1/3 and so on.
fn harmonic_sums(count: u32) -> Vec<f64> {
    let mut sum = 0.0;
    let up_to = |rank: u32| {
        sum += 1.0 / f64::from(rank);
        sum
    };
    (1..=count).map(up_to).collect()
}

/// All numbers below `count` in random order: keys that are visited often must not be neighbours.
fn scattered(count: u32) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..count).collect();
    Random::seeded(u64::from(count)).shuffle(&mut numbers);
    numbers
}

/// Overwrites `key` with the name of account `number`.
pub(crate) fn write_key(key: &mut String, number: u32) {
    key.clear();
    write!(key, "account{number:011}@example.org").expect("a string takes everything");
}

/// That many keys in random order, so that neighbours are neighbours neither in memory nor in a table.
pub(crate) fn shuffled_keys(count: u32) -> Vec<String> {
    let made = |number| {
        let mut key = String::with_capacity(KEY_LENGTH);
        write_key(&mut key, number);
        key
    };
    let mut keys: Vec<String> = (0..count).map(made).collect();
    Random::seeded(!u64::from(count)).shuffle(&mut keys);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_distinct_shuffled_and_of_the_stated_length() {
        let mut keys = shuffled_keys(1_000);
        assert!(!keys.is_sorted());
        assert!(keys.iter().all(|key| key.len() == KEY_LENGTH));
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 1_000);
    }

    #[test]
    fn uniform_visits_reach_all_keys_equally() {
        let mut times = [0_u32; 10];
        for visited in Order::Uniform.visits(10, 100_000, 1) {
            times[visited as usize] += 1;
        }
        assert!(times.iter().all(|times| (9_500..10_500).contains(times)), "{times:?}");
    }

    #[test]
    fn zipf_visits_the_second_half_and_the_third_a_third_as_often() {
        let mut times = [0_u32; 1_000];
        for visited in Order::Zipf.visits(1_000, 1_000_000, 1) {
            times[visited as usize] += 1;
        }
        times.sort_unstable_by_key(|&times| std::cmp::Reverse(times));
        let share = |rank: usize| f64::from(times[rank - 1]) / f64::from(times[0]);
        assert!((share(2) - 0.5).abs() < 0.01 && (share(3) - 1.0 / 3.0).abs() < 0.01, "{times:?}");
        assert!((share(100) - 0.01).abs() < 0.002, "{times:?}");
    }

    #[test]
    fn both_threads_meet_the_same_frequent_keys_which_are_no_neighbours() {
        let most = |seed| {
            let mut times = [0_u32; 1_000];
            Order::Zipf.visits(1_000, 100_000, seed).iter().for_each(|&key| times[key as usize] += 1);
            let mut keys: Vec<usize> = (0..1_000).collect();
            keys.sort_unstable_by_key(|&key| std::cmp::Reverse(times[key]));
            [keys[0], keys[1], keys[2]]
        };
        assert_eq!(most(1), most(2));
        assert!(most(1)[0].abs_diff(most(1)[1]) > 3 && most(1)[1].abs_diff(most(1)[2]) > 3, "{:?}", most(1));
    }
}
