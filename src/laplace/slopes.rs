//! Slopes of the log likelihood by all parameters, and what is known of the levels.

use super::mode::Given;
use super::observed::Said;
use super::rows::Integrand;
use super::{Laplace, Mode, Parameters};
use crate::blocks::Elimination;
use std::sync::Arc;

/// Step of a dispersion parameter, relative to its size; and the least size, but of what has the unit
/// of the response: thresholds may be 0.
const STEP: f64 = 1e-5;
const LEAST: f64 = 1e-3;

/// Slopes of [`Mode::value`].
pub struct Slopes {
    pub by_c: Vec<f64>,
    /// Of each factor, q × q: by G.
    pub by_g: Vec<Vec<f64>>,
    pub by_aux: Vec<f64>,
}

/// Of one factor, given the parameters: per level the covariance of its coefficients (q × q), and
/// how their mode moves with c (q × p).
pub struct Conditionals {
    pub covariance: Vec<f64>,
    pub by_c: Vec<f64>,
}

impl Laplace {
    pub fn slopes(&self, at: Parameters<'_>, mode: &Mode) -> Option<Slopes> {
        let n = self.columns.n;
        let mut by_c = vec![0.0; at.c.len()];
        self.factorised(at, mode, |given, scales, climb| {
            let by_aux = given.observed().by_values(&mode.point.eta, at.aux);
            let Some(elimination) = &mut climb.elimination else {
                self.columns.gather(0..n, &mode.slopes, &mut by_c, &mut []);
                return Some(Slopes { by_c, by_g: Vec::new(), by_aux });
            };
            let precisions = elimination.slopes(&[0.0]);
            let (variance, away) = climb.pulled_by_thirds(given, scales, &mode.point);
            let shifts = of_levels(given, &away.r);
            let m: Vec<f64> = (climb.pulls.iter().zip(&mode.weights).zip(&shifts))
                .map(|((w, h), shift)| w - h * shift)
                .collect();
            let total: Vec<f64> = mode.slopes.iter().zip(&m).map(|(s, m)| s + m).collect();
            self.columns.gather(0..n, &total, &mut by_c, &mut []);
            let by_g = by_covariances(given, &mode.slopes, &m, &precisions);
            let more = by_dispersion(given, at.aux, mode, &variance, &shifts)?;
            let by_aux = by_aux.iter().zip(more).map(|(by, more)| by + more).collect();
            Some(Slopes { by_c, by_g, by_aux })
        })
    }

    /// What is known of the levels, given the parameters.
    pub fn conditionals(&self, at: Parameters<'_>, mode: &Mode) -> Option<Vec<Conditionals>> {
        let Some(products) = self.weighted(mode) else { return Some(Vec::new()) };
        let (p, joined) = (self.columns.p, products.join(at.lambda));
        let mut elimination = Elimination::new(Arc::new(products));
        elimination.evaluate(&joined, &mut vec![0.0; (p + 1) * (p + 1)])?;
        elimination.invert();
        let of = |k: usize| {
            let found = elimination.conditional(k);
            let rows = found.mean.chunks_exact(p + 1);
            let by_c = rows.flat_map(|row| row[..p].iter().map(|mean| -mean)).collect();
            Conditionals { covariance: found.covariance, by_c }
        };
        Some((0..self.columns.groupings.len()).map(of).collect())
    }
}

/// What the levels' coefficients add to the rows' predictors.
fn of_levels(given: &Given<'_>, r: &[Vec<f64>]) -> Vec<f64> {
    let columns = given.columns();
    let mut eta = vec![0.0; columns.n];
    for (grouping, r) in columns.groupings.iter().zip(r) {
        grouping.add(0..columns.n, r, &mut eta);
    }
    eta
}

fn by_covariances(
    given: &Given<'_>,
    slopes: &[f64],
    m: &[f64],
    precisions: &[Vec<f64>],
) -> Vec<Vec<f64>> {
    let factors = given.gathered(slopes).into_iter().zip(given.gathered(m)).zip(precisions);
    factors
        .map(|((t, m), precision)| {
            let q = precision.len().isqrt();
            let mut sum: Vec<f64> = precision.iter().map(|p| -0.5 * p).collect();
            for (t, m) in t.chunks_exact(q).zip(m.chunks_exact(q)) {
                for i in 0..q {
                    for j in 0..q {
                        sum[i * q + j] += 0.5 * (t[i] * t[j] + m[i] * t[j] + t[i] * m[j]);
                    }
                }
            }
            sum
        })
        .collect()
}

/// `−½ v·∂H/∂a + z·∂s/∂a` of each dispersion parameter, by differences.
fn by_dispersion(
    given: &Given<'_>,
    values: &[f64],
    mode: &Mode,
    variance: &[f64],
    shifts: &[f64],
) -> Option<Vec<f64>> {
    let (mut aux, mut said) = (values.to_vec(), Said::default());
    let mut found = vec![0.0; aux.len()];
    for (k, by) in found.iter_mut().enumerate() {
        let least = if given.observed().likelihood.has_sigma() { 0.0 } else { LEAST };
        let step = STEP * values[k].abs().max(least);
        for side in [1.0, -1.0] {
            aux[k] = values[k] + side * step;
            given.observed().slopes(&mode.point.eta, &aux, &mut said)?;
            given.observed().curvatures(&mode.point.eta, &aux, &mut said);
            let sum: f64 = (said.slopes.iter().zip(shifts))
                .zip(said.curvatures.iter().zip(variance))
                .map(|((s, shift), (h, v))| s * shift - 0.5 * h * v)
                .sum();
            *by += side * sum / (2.0 * step);
        }
        aux[k] = values[k];
    }
    Some(found)
}
