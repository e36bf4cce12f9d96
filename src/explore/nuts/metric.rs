//! Coordinates in which a density is about standard normal: `u = centre + A z`, where A is dense over
//! the first coordinates, which may hang together, and diagonal over all others.
//!
//! A is learned from draws and the gradients there: with their covariances C and G, Σ = AAᵀ is what
//! solves `ΣGΣ = C`. For a normal density that is its covariance however few the draws, as
//! soon as they are more than the dimensions (Carpenter & Seyboldt 2024, "Fisher divergence").

use crate::sampler::Density;
use faer::{Mat, Side};

/// Half the distance of slopes that tell a curvature.
const STEP: f64 = 1e-4;
/// Curvatures below this say nothing: there the coordinates' own units are as good.
const LEAST_BEND: f64 = 0.1;

/// Draws at the identity that count with those of the first coordinates.
const AS_MANY: f64 = 3.0;
/// Logarithms of sds of other coordinates are left as they are within so many 1/√draws.
const TOLERANCE: f64 = 2.0;

#[derive(Clone, Debug)]
pub struct Metric {
    centre: Vec<f64>,
    dense: usize,
    /// A and its inverse over the first coordinates, by rows.
    root: Vec<f64>,
    inverse: Vec<f64>,
    /// A over the others.
    sd: Vec<f64>,
}

/// Draws and gradients there.
pub struct Moments {
    dense: usize,
    pub count: usize,
    /// Of the first coordinates, draw by draw: deviations are taken at the end.
    first: [Vec<f64>; 2],
    /// Means and sums of squares of the others, of draws and of gradients.
    others: Vec<[f64; 4]>,
}

/// What draws say of the metric in which they were made.
pub struct Found {
    pub metric: Metric,
    /// The largest change of a log sd: of a combination of the first coordinates, of another one.
    pub moved: (f64, f64),
}

impl Metric {
    /// The identity around a point, of which so many coordinates may hang together.
    pub fn new(centre: Vec<f64>, dense: usize) -> Self {
        let identity = |i: usize| f64::from(u8::from(i / dense == i % dense));
        let root: Vec<f64> = (0..dense * dense).map(identity).collect();
        let sd = vec![1.0; centre.len() - dense];
        Self { centre, dense, inverse: root.clone(), root, sd }
    }

    /// As the curvature at a point says, of the first coordinates.
    pub fn curved<D: Density>(density: &mut D, at: &[f64], centre: Vec<f64>, dense: usize) -> Self {
        let mut metric = Self::new(centre, dense);
        let (mut u, mut slopes) = (at.to_vec(), vec![0.0; at.len()]);
        let mut bend = vec![0.0; dense * dense];
        for k in 0..dense {
            for step in [STEP, -STEP] {
                u[k] = at[k] + step;
                if density.logp_and_grad(&u, &mut slopes).is_none() {
                    return metric;
                }
                for (bend, slope) in bend[k * dense..].iter_mut().zip(&slopes[..dense]) {
                    *bend -= slope / (2.0 * step);
                }
            }
            u[k] = at[k];
        }
        let root = power(&bend, dense, -0.5, LEAST_BEND).zip(power(&bend, dense, 0.5, LEAST_BEND));
        if let Some(((root, _), (inverse, _))) = root {
            (metric.root, metric.inverse) = (root, inverse);
        }
        metric
    }

    pub fn to_position(&self, z: &[f64], u: &mut [f64]) {
        let (first, others) = z.split_at(self.dense);
        let (to_first, to_others) = u.split_at_mut(self.dense);
        for (i, u) in to_first.iter_mut().enumerate() {
            let row = &self.root[i * self.dense..][..self.dense];
            *u = self.centre[i] + row.iter().zip(first).map(|(a, z)| a * z).sum::<f64>();
        }
        let others = others.iter().zip(&self.sd).zip(&self.centre[self.dense..]);
        for (u, ((z, sd), centre)) in to_others.iter_mut().zip(others) {
            *u = centre + sd * z;
        }
    }

    pub fn to_white(&self, u: &[f64]) -> Vec<f64> {
        let from: Vec<f64> = u.iter().zip(&self.centre).map(|(u, centre)| u - centre).collect();
        let (first, others) = from.split_at(self.dense);
        let mut z = times(&self.inverse, first);
        z.extend(others.iter().zip(&self.sd).map(|(u, sd)| u / sd));
        z
    }

    /// Slopes by u → slopes by z, in place.
    pub fn pull_back(&self, slopes: &mut [f64]) {
        let (first, others) = slopes.split_at_mut(self.dense);
        if self.dense > 0 {
            let by_u = first.to_vec();
            first.fill(0.0);
            for (row, by_u) in self.root.chunks_exact(self.dense).zip(by_u) {
                for (to, a) in first.iter_mut().zip(row) {
                    *to += a * by_u;
                }
            }
        }
        for (slope, sd) in others.iter_mut().zip(&self.sd) {
            *slope *= sd;
        }
    }

    pub fn moments(&self) -> Moments {
        Moments {
            dense: self.dense,
            count: 0,
            first: [Vec::new(), Vec::new()],
            others: vec![[0.0; 4]; self.sd.len()],
        }
    }

    /// The metric that draws made in this one tell.
    pub fn improved(&self, moments: &Moments) -> Option<Found> {
        let (dense, mut metric) = (self.dense, self.clone());
        let mut moved = (0.0_f64, 0.0_f64);
        if dense > 0 {
            let (mean, c) = moments.covariance(0);
            let (slope, g) = moments.covariance(1);
            let sigma = between(&c, &g, dense)?;
            let (root, largest) = power(&sigma, dense, 0.5, 0.0)?;
            let (inverse, _) = power(&sigma, dense, -0.5, 0.0)?;
            moved.0 = largest;
            let towards: Vec<f64> =
                times(&sigma, &slope).iter().zip(&mean).map(|(a, b)| a + b).collect();
            for (centre, step) in metric.centre.iter_mut().zip(times(&self.root, &towards)) {
                *centre += step;
            }
            metric.root = product(&self.root, &root, dense);
            metric.inverse = product(&inverse, &self.inverse, dense);
        }
        let tolerance = TOLERANCE / (moments.count as f64).sqrt();
        for (k, [mean, draws, slope, slopes]) in moments.others.iter().enumerate() {
            let log_sd = 0.25 * (draws / slopes).ln();
            if !log_sd.is_finite() {
                continue;
            }
            let excess = (log_sd.abs() - tolerance).max(0.0).copysign(log_sd);
            moved.1 = moved.1.max(excess.abs());
            let variance = (2.0 * log_sd).exp();
            if excess != 0.0 {
                metric.centre[dense + k] += self.sd[k] * (mean + variance * slope);
                metric.sd[k] *= excess.exp();
            }
        }
        Some(Found { metric, moved })
    }
}

impl Moments {
    pub fn add(&mut self, z: &[f64], gradient: &[f64]) {
        self.count += 1;
        let count = self.count as f64;
        for (kept, new) in self.first.iter_mut().zip([z, gradient]) {
            kept.extend_from_slice(&new[..self.dense]);
        }
        let (z, gradient) = (&z[self.dense..], &gradient[self.dense..]);
        for ([mean, draws, slope, slopes], (z, g)) in
            self.others.iter_mut().zip(z.iter().zip(gradient))
        {
            let (dz, dg) = (z - *mean, g - *slope);
            *mean += dz / count;
            *slope += dg / count;
            *draws += dz * (z - *mean);
            *slopes += dg * (g - *slope);
        }
    }

    /// Mean and covariance of the first coordinates of draws (0) or gradients (1), with some draws
    /// of a standard normal density.
    fn covariance(&self, which: usize) -> (Vec<f64>, Vec<f64>) {
        let (d, count, all) = (self.dense, self.count as f64, &self.first[which]);
        let mean: Vec<f64> =
            (0..d).map(|k| all.iter().skip(k).step_by(d).sum::<f64>() / count).collect();
        let mut squares = vec![0.0; d * d];
        for k in 0..d {
            squares[k * (d + 1)] = AS_MANY;
        }
        for row in all.chunks_exact(d) {
            for i in 0..d {
                for j in 0..d {
                    squares[i * d + j] += (row[i] - mean[i]) * (row[j] - mean[j]);
                }
            }
        }
        squares.iter_mut().for_each(|s| *s /= count + AS_MANY);
        (mean, squares)
    }

    /// The largest correlation of one draw with the next, of a first coordinate or of its square.
    pub fn slowest(&self) -> f64 {
        let (d, all) = (self.dense, &self.first[0]);
        let each = |k: usize| -> Vec<f64> { all.iter().skip(k).step_by(d).copied().collect() };
        let mut largest = 0.0_f64;
        for mut each in (0..d).map(each) {
            largest = largest.max(correlation(&mut each));
            each.iter_mut().for_each(|x| *x *= *x);
            largest = largest.max(correlation(&mut each));
        }
        largest
    }
}

/// Correlation of one number with the next; leaves deviations from the mean.
fn correlation(x: &mut [f64]) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    x.iter_mut().for_each(|x| *x -= mean);
    let square: f64 = x.iter().map(|x| x * x).sum();
    x.windows(2).map(|x| x[0] * x[1]).sum::<f64>() / square
}

fn times(a: &[f64], x: &[f64]) -> Vec<f64> {
    let rows = a.chunks_exact(x.len().max(1));
    rows.map(|row| row.iter().zip(x).map(|(a, x)| a * x).sum()).collect()
}

fn product(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let entry = |i: usize, j: usize| (0..n).map(|k| a[i * n + k] * b[k * n + j]).sum();
    (0..n * n).map(|at| entry(at / n, at % n)).collect()
}

/// Σ with `ΣGΣ = C`: `G^{−½}(G^½ C G^½)^½ G^{−½}`.
fn between(c: &[f64], g: &[f64], n: usize) -> Option<Vec<f64>> {
    let (half, _) = power(g, n, 0.5, 0.0)?;
    let (inverse_half, _) = power(g, n, -0.5, 0.0)?;
    let (middle, _) = power(&product(&product(&half, c, n), &half, n), n, 0.5, 0.0)?;
    Some(product(&product(&inverse_half, &middle, n), &inverse_half, n))
}

/// A power of a positive definite matrix, whose eigenvalues are at least so large or raised to it,
/// and the largest logarithm of those of its root.
fn power(a: &[f64], n: usize, exponent: f64, least: f64) -> Option<(Vec<f64>, f64)> {
    let symmetric = |i: usize, j: usize| 0.5 * (a[i * n + j] + a[j * n + i]);
    let eigen = Mat::from_fn(n, n, symmetric).self_adjoint_eigen(Side::Lower).ok()?;
    let (axes, values) = (eigen.U(), eigen.S().column_vector());
    let mut largest = 0.0_f64;
    let mut powers = vec![0.0; n];
    for k in 0..n {
        let value = if values[k] > least { values[k] } else { least };
        if !(value > 0.0 && value.is_finite()) {
            return None;
        }
        powers[k] = value.powf(exponent);
        largest = largest.max((0.5 * value.ln()).abs());
    }
    let entry = |i: usize, j: usize| (0..n).map(|k| axes[(i, k)] * powers[k] * axes[(j, k)]).sum();
    Some(((0..n * n).map(|at| entry(at / n, at % n)).collect(), largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws of a normal density over three coordinates that hang together and two that do not.
    fn moments(of: &Metric, count: usize) -> (Moments, [f64; 9], [f64; 2]) {
        let precision = [4.0, 1.0, 0.0, 1.0, 2.0, -0.5, 0.0, -0.5, 0.3];
        let other = [25.0, 0.04];
        let mut moments = of.moments();
        for draw in 0..count {
            let wave = |k: usize| ((1.7 + 0.31 * k as f64) * draw as f64 + k as f64).sin();
            let z: Vec<f64> = (0..5).map(wave).collect();
            let mut slopes: Vec<f64> = times(&precision, &z[..3]).iter().map(|g| -g).collect();
            slopes.extend((0..2).map(|k| -z[3 + k] * other[k]));
            moments.add(&z, &slopes);
        }
        (moments, precision, other)
    }

    #[test]
    fn a_normal_density_is_found_from_few_draws() {
        let before = Metric::new(vec![0.0; 5], 3);
        // Draws that stand for a standard normal density are few among these.
        let (moments, precision, other) = moments(&before, 3000);
        let found = before.improved(&moments).unwrap().metric;
        let mut sigma = product(&found.root, &found.root, 3);
        sigma = product(&sigma, &precision, 3);
        for (at, entry) in sigma.iter().enumerate() {
            let identity = f64::from(u8::from(at / 3 == at % 3));
            // Those draws count most where slopes are small.
            assert!((entry - identity).abs() < 0.06, "{sigma:?}");
        }
        for (sd, precision) in found.sd.iter().zip(other) {
            let log_ratio = (sd * f64::sqrt(precision)).ln().abs();
            assert!(log_ratio <= TOLERANCE / 3000f64.sqrt() + 1e-9, "{sd} {precision}");
        }
    }

    #[test]
    fn coordinates_and_slopes_go_to_and_fro() {
        let plain = Metric::new(vec![0.3, -1.0, 2.0, 0.5, 0.0], 3);
        let metric = plain.improved(&moments(&plain, 50).0).unwrap().metric;
        let z = [0.4, -0.2, 1.1, 0.7, -2.0];
        let mut u = [0.0; 5];
        metric.to_position(&z, &mut u);
        for (back, z) in metric.to_white(&u).iter().zip(z) {
            assert!((back - z).abs() < 1e-12);
        }
        // Slopes of Σ wᵢ uᵢ by z, by differences.
        let weights = [1.0, -2.0, 0.5, 3.0, -1.5];
        let mut slopes = weights;
        metric.pull_back(&mut slopes);
        for k in 0..5 {
            let (mut moved, mut there) = (z, [0.0; 5]);
            moved[k] += 1.0;
            metric.to_position(&moved, &mut there);
            let change: f64 = (0..5).map(|i| weights[i] * (there[i] - u[i])).sum();
            assert!((slopes[k] - change).abs() < 1e-12);
        }
    }
}
