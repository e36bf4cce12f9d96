//! What draws of a quantity say of it: mean, sd and two quantiles, found without sorting.

/// Two order statistics with the share of the upper one, as numpy's linear quantiles have them.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    low: usize,
    share: f64,
}

impl Place {
    /// Of a probability among `n` draws.
    pub fn new(probability: f64, n: usize) -> Self {
        let at = probability * (n.max(1) - 1) as f64;
        Self { low: at.floor() as usize, share: at - at.floor() }
    }
}

/// Working storage for draws of one quantity after the other.
pub struct Summary {
    /// The lower place first.
    places: [Place; 2],
    keys: Vec<i64>,
}

impl Summary {
    pub fn new(probabilities: [f64; 2], n: usize) -> Self {
        Self { places: probabilities.map(|p| Place::new(p, n)), keys: Vec::with_capacity(n) }
    }

    /// Mean, sd and both quantiles; all NaN where a draw is.
    pub fn of(&mut self, draws: &[f64]) -> [f64; 4] {
        let n = draws.len();
        // As differences from the first: far from 0 sums lose the digits that sds need.
        let first = draws.first().copied().unwrap_or(f64::NAN);
        let origin = if first.is_finite() { first } else { 0.0 };
        let off = sum(draws, |x| x - origin) / n as f64;
        let squares = sum(draws, |x| {
            let d = x - origin - off;
            d * d
        });
        let sd = if n > 1 { (squares / (n - 1) as f64).sqrt() } else { 0.0 };
        if draws.iter().any(|x| x.is_nan()) || n == 0 {
            return [f64::NAN; 4];
        }
        self.keys.clear();
        self.keys.extend(draws.iter().map(|x| key(*x)));
        let [lower, upper] = self.places;
        let below = quantile(&mut self.keys, lower);
        // Those above the lower place stand behind it.
        let from = lower.low.min(upper.low);
        let rest = Place { low: upper.low - from, share: upper.share };
        [origin + off, sd, below, quantile(&mut self.keys[from..], rest)]
    }
}

/// Sum in eight parts, which the processor adds up side by side.
#[inline(always)]
fn sum(draws: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let mut parts = [0.0; 8];
    let chunks = draws.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().map(|x| of(*x)).sum();
    for chunk in chunks {
        for (part, x) in parts.iter_mut().zip(chunk) {
            *part += of(*x);
        }
    }
    parts.iter().sum::<f64>() + rest
}

fn quantile(keys: &mut [i64], place: Place) -> f64 {
    let (_, own, above) = keys.select_nth_unstable(place.low);
    let below = value(*own);
    let next = above.iter().min().map_or(below, |k| value(*k));
    if next > below { below + (next - below) * place.share } else { below }
}

/// Integers in the order of the numbers.
fn key(x: f64) -> i64 {
    let bits = (x + 0.0).to_bits() as i64; // −0 is 0
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

fn value(key: i64) -> f64 {
    f64::from_bits((key ^ (((key >> 63) as u64) >> 1) as i64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_sorted_draws() {
        for n in [1, 2, 3, 7, 8, 9, 100, 1001] {
            for seed in 0..40 {
                let number = |k: usize| ((k * 7919 + seed * 104_729) as f64 * 0.618_034).fract();
                // Ties, signs and sizes of all kinds.
                let draws: Vec<f64> = (0..n)
                    .map(|k| match seed % 4 {
                        0 => number(k) - 0.5,
                        1 => (number(k) * 3.0).floor() - 1.0,
                        2 => 1e12 + number(k),
                        _ => (number(k) - 0.5) * 10f64.powi((k % 40) as i32 - 20),
                    })
                    .collect();
                let probabilities = [[0.025, 0.975], [0.25, 0.75], [0.5, 0.5]][seed % 3];
                let found = Summary::new(probabilities, n).of(&draws);
                let mut sorted = draws.clone();
                sorted.sort_by(f64::total_cmp);
                for (found, p) in found[2..].iter().zip(probabilities) {
                    let at = p * (n - 1) as f64;
                    let (below, above) =
                        (sorted[at.floor() as usize], sorted[(at.floor() as usize + 1).min(n - 1)]);
                    assert_eq!(*found, below + (above - below) * at.fract());
                }
                let origin = draws[0];
                let mean = draws.iter().map(|x| x - origin).sum::<f64>() / n as f64;
                let square: f64 = draws.iter().map(|x| (x - origin - mean).powi(2)).sum();
                let sd = (square / (n.max(2) - 1) as f64).sqrt();
                let rounding = f64::EPSILON * (origin + mean).abs(); // what is given has that much
                let error = (found[0] - origin - mean).abs();
                assert!(error <= 1e-12 * (sd + mean.abs()) + rounding, "{error}");
                assert!((found[1] - sd).abs() <= 1e-12 * sd);
            }
        }
    }

    #[test]
    fn infinite_draws_stay_and_unknown_ones_spoil_all() {
        let found = Summary::new([0.1, 0.9], 3).of(&[1.0, f64::INFINITY, 2.0]);
        assert!(found[0] == f64::INFINITY && found[2] == 1.2 && found[3] == f64::INFINITY);
        let found = Summary::new([0.1, 0.9], 3).of(&[1.0, f64::NAN, 2.0]);
        assert!(found.iter().all(|x| x.is_nan()));
    }
}
