//! Variances of the group coefficients: by EM, in longer steps where those are short.

use super::Estimate;
use super::nesting::{integrate, share_information};
use super::products::{Products, add_prior_curvature, level_precision};
use crate::general::{GroupPrior, Part};
use crate::linalg::{inverse_ridged, solve_ridged};
use crate::predictor::dot;
use crate::whitening::Whitening;

/// The longest step of a log sd.
const LONGEST: f64 = 0.5;

/// Steps of a log sd. Those of EM are short where levels say little about their coefficients, so
/// they are stretched as far as the last two of them tell (a secant), at most twice as far as before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stride {
    /// Log sd and the step that EM would have taken there.
    before: Option<(f64, f64)>,
    stretch: f64,
    pub last: f64,
}

impl Stride {
    fn step(&mut self, x: f64, em: f64) -> f64 {
        let stretch = match self.before {
            Some((x_before, em_before)) if x != x_before => {
                let slope = (em - em_before) / (x - x_before);
                let secant = if slope < 0.0 { -1.0 / slope } else { f64::INFINITY };
                secant.clamp(1.0, 2.0 * self.stretch)
            }
            _ => 1.0,
        };
        self.before = Some((x, em));
        self.stretch = stretch;
        self.last = (stretch * em).clamp(-LONGEST, LONGEST);
        self.last
    }
}

/// Covariances of each factor's coefficients, level by level: with those of nested factors
/// integrated out, and with what c and the levels around them may be.
pub(super) fn covariances(
    part: &Part,
    at: &Estimate,
    products: Products,
    weights: &[f64],
) -> Vec<Vec<f64>> {
    let p = at.c.len();
    let Products { mut population, mut levels, .. } = products;
    let plain = levels.clone();
    share_information(part, weights, &mut levels);
    add_prior_curvature(part, at, &mut population, &mut vec![0.0; p]);
    let remaining = integrate(part, at, &population, &mut levels);
    if remaining.is_none() {
        levels = plain;
    }
    let of_c = remaining.and_then(|left| inverse_ridged(&left, p)).unwrap_or(vec![0.0; p * p]);
    let mut all = vec![Vec::new(); levels.len()];
    for &g in &part.order {
        let own = &levels[g];
        let q = own.q;
        let mut each = vec![0.0; own.n_levels * q * q];
        for (level, each) in each.chunks_exact_mut(q * q).enumerate() {
            let m = level_precision(own, &at.precision[g], level);
            let Some(inverse) = inverse_ridged(&m, q) else { continue };
            let mut score = m;
            add_quadratic(&own.cross[level * q * p..][..q * p], &of_c, p, &mut score);
            for ancestor in &own.ancestors {
                let (k, outer) = (ancestor.q, ancestor.levels[level] as usize);
                let cross = &ancestor.cross[level * q * k..][..q * k];
                let there: &[f64] = &all[ancestor.factor];
                add_quadratic(cross, &there[outer * k * k..][..k * k], k, &mut score);
            }
            add_quadratic(&inverse, &score, q, each);
        }
        all[g] = each;
    }
    all
}

/// `sum += A V Aᵀ` with V symmetric, of size k × k.
fn add_quadratic(a: &[f64], v: &[f64], k: usize, sum: &mut [f64]) {
    let q = a.len() / k.max(1);
    for i in 0..q {
        let row = &a[i * k..][..k];
        let half: Vec<f64> = v.chunks_exact(k.max(1)).map(|v| dot(row, v)).collect();
        for j in 0..q {
            sum[i * q + j] += dot(&half, &a[j * k..][..k]);
        }
    }
}

/// Move coefficients to where their levels' rows and new variances would have them.
pub(super) fn follow_variances(
    levels: &[Whitening],
    old: &[Vec<f64>],
    at: &mut Estimate,
) -> Option<()> {
    for (g, levels) in levels.iter().enumerate() {
        let (q, mean) = (levels.q, &at.mean[g]);
        for (level, r) in at.r[g].chunks_exact_mut(q).enumerate() {
            let before = level_precision(levels, &old[g], level);
            let after = level_precision(levels, &at.precision[g], level);
            let mut there: Vec<f64> = (0..q)
                .map(|i| (0..q).map(|j| before[i * q + j] * (r[j] - mean[j])).sum())
                .collect();
            solve_ridged(&after, q, &mut there)?;
            for i in 0..q {
                r[i] = mean[i] + there[i];
            }
        }
    }
    Some(())
}

/// Variances by EM, with the start as one more level.
pub(super) fn improve_variances(
    part: &Part,
    covariances: &[Vec<f64>],
    at: &mut Estimate,
    held: Option<usize>,
) {
    for (g, (factor, covariances)) in part.factors.iter().zip(covariances).enumerate() {
        let GroupPrior::Hierarchical { sd, .. } = &factor.prior else { continue };
        if held == Some(g) {
            continue;
        }
        let q = sd.len();
        let mut sigma = vec![0.0; q * q];
        for (k, sd) in sd.iter().enumerate() {
            sigma[k * q + k] = sd.start * sd.start;
        }
        for (r, spread) in at.r[g].chunks_exact(q).zip(covariances.chunks_exact(q * q)) {
            for i in 0..q {
                for j in 0..q {
                    sigma[i * q + j] += r[i] * r[j] + spread[i * q + j];
                }
            }
        }
        let count = factor.whitening.n_levels as f64 + 1.0;
        sigma.iter_mut().for_each(|s| *s /= count);
        let Some(old) = inverse_ridged(&at.precision[g], q) else { continue };
        let scale: Vec<f64> = (0..q)
            .map(|k| {
                let (before, em) = (0.5 * old[k * q + k].ln(), 0.5 * sigma[k * q + k].ln());
                if !(before.is_finite() && em.is_finite()) {
                    return 1.0;
                }
                (at.strides[g][k].step(before, em - before) + before - em).exp()
            })
            .collect();
        for i in 0..q {
            for j in 0..q {
                sigma[i * q + j] *= scale[i] * scale[j];
            }
        }
        if let Some(precision) = inverse_ridged(&sigma, q) {
            at.precision[g] = precision;
        }
    }
}
