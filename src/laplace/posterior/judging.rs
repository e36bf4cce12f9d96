//! Which draws are judged: half as many where their weights are nearly equal, for then few tell it.

use super::Posterior;
use super::levelled::evaluations_of_a_row;

/// Draws that are judged at most and at least, and evaluations of rows beyond which they are fewer.
const MANY: usize = 400;
const FEW: usize = 100;
const EVALUATIONS: usize = 100_000_000;

/// Draws of a chain from whose weights half of them can be spared; a quarter tells whether.
const SPARED: usize = 40;

/// Variance of log weights below which these are nearly equal: 0.9 of the draws are effective.
const EVEN: f64 = 0.1;

/// Of the draws of a chain.
#[derive(Clone)]
pub struct Judging {
    /// Of how many draws one is judged, and of how many where weights are not equal.
    every: usize,
    closely: usize,
    /// Draws before the next one that is judged.
    left: usize,
    /// Judged draws that tell whether weights are equal.
    needed: usize,
    count: f64,
    mean: f64,
    squares: f64,
}

impl Judging {
    /// With so many draws of each of several chains.
    pub fn new(of: &Posterior, chains: usize, draws: usize) -> Self {
        Self::of(of.n_judged(), chains, draws)
    }

    fn of(wanted: usize, chains: usize, draws: usize) -> Self {
        let share = (wanted / chains.max(1)).max(1);
        let each = (draws / share).max(1);
        let (every, needed) = if share < SPARED { (each, 0) } else { (2 * each, share / 4) };
        // So that there are as many in the end.
        let rest = draws.saturating_sub(needed * every) / (share - needed);
        let every = if draws < 2 * share { 1 } else { every };
        let closely = rest.clamp(1, every);
        Self { every, closely, left: 0, needed, count: 0.0, mean: 0.0, squares: 0.0 }
    }

    /// Whether the next draw is judged.
    pub fn is_next(&mut self) -> bool {
        let judged = self.left == 0;
        self.left = if judged { self.every } else { self.left } - 1;
        judged
    }

    /// Take note of the log weight of a draw that was judged.
    pub fn saw(&mut self, log_weight: f64) {
        self.count += 1.0;
        let away = log_weight - self.mean;
        self.mean += away / self.count;
        self.squares += away * (log_weight - self.mean);
        let even = self.squares < EVEN * self.count; // not where they are no numbers
        if self.count >= self.needed as f64 && !even {
            self.every = self.closely;
            self.left = self.left.min(self.every - 1);
        }
    }
}

impl Posterior {
    /// How many draws are judged where their weights are not equal.
    fn n_judged(&self) -> usize {
        let lead = self.products.as_ref().map(|products| products.lead().q);
        let each = self.model.likelihood.n_rows() * lead.map_or(1, evaluations_of_a_row);
        (EVALUATIONS / each.max(1)).clamp(FEW, MANY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of the draws are judged whose log weights these are.
    fn judged(mut judging: Judging, log_weights: impl Iterator<Item = f64>) -> usize {
        let mut count = 0;
        for log_weight in log_weights {
            if judging.is_next() {
                count += 1;
                judging.saw(log_weight);
            }
        }
        count
    }

    fn waves(sd: f64, n: usize) -> impl Iterator<Item = f64> {
        (0..n).map(move |k| 7.0 + sd * 2f64.sqrt() * (1.7 * k as f64).sin())
    }

    #[test]
    fn as_many_as_wanted_are_judged_or_half_of_them_where_weights_are_equal() {
        for (wanted, chains, draws) in
            [(400, 4, 1000), (400, 2, 3000), (200, 4, 700), (400, 1, 2000)]
        {
            let share = wanted / chains;
            let of = |sd: f64| judged(Judging::of(wanted, chains, draws), waves(sd, draws));
            let (equal, uneven) = (of(0.2), of(0.6));
            assert!((equal.abs_diff(share / 2)) <= 3, "{equal} of {share}");
            assert!(uneven >= share && uneven <= share + share / 2, "{uneven} of {share}");
        }
    }

    #[test]
    fn a_late_weight_far_from_the_others_is_looked_into() {
        let later = waves(0.1, 700).chain([30.0; 20]).chain(waves(0.1, 280));
        let count = judged(Judging::of(400, 4, 1000), later);
        assert!(count > 80, "{count}");
    }

    #[test]
    fn few_draws_are_all_judged_and_weights_that_are_no_numbers_are_not_equal() {
        assert_eq!(judged(Judging::of(400, 4, 60), waves(0.1, 60)), 60);
        assert_eq!(judged(Judging::of(100, 4, 1000), waves(0.1, 1000)), 25);
        assert!(judged(Judging::of(400, 4, 1000), [f64::NAN; 1000].into_iter()) >= 100);
        assert_eq!(judged(Judging::of(1, 1, 0), [1.0; 3].into_iter()), 3);
    }
}
