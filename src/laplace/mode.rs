//! The mode of the group coefficients given the parameters, by Newton's method.

use super::rows::{AtRows, Weights};
use super::{Laplace, Parameters};
use crate::blocks::{Elimination, Products, Rows};
use std::sync::Arc;

const STEPS: usize = 100;

/// Gain of a step of Newton's method below which it is the last.
const CLOSE: f64 = 1e-9;

/// Share of what rows add up to that rounding can hide.
const HIDDEN: f64 = 1e-13;

/// Where the group coefficients are most likely.
pub struct Mode {
    /// Of each factor, level by level.
    pub r: Vec<Vec<f64>>,
    /// The same in units in which they are standard normal.
    pub u: Vec<Vec<f64>>,
    pub eta: Vec<f64>,
    /// Of the rows, at it.
    pub slopes: Vec<f64>,
    /// H.
    pub weights: Weights,
    pub logp: f64,
    pub by_aux: Vec<f64>,
    /// log|V₀|.
    pub log_det: f64,
}

impl Mode {
    /// Log likelihood, by Laplace's formula.
    pub fn value(&self) -> f64 {
        self.logp - 0.5 * squares(&self.u) - 0.5 * self.log_det
    }
}

pub fn squares(u: &[Vec<f64>]) -> f64 {
    u.iter().flatten().map(|u| u * u).sum()
}

/// Numbers of each factor, level by level.
type Levels = Vec<Vec<f64>>;

/// Coefficients, and the same in units in which they are standard normal, where these are known.
type Start = (Levels, Option<Levels>);

impl Laplace {
    /// Climb from some coefficients; `None` where there is no mode.
    pub fn mode(&self, at: Parameters<'_>, start: &[Vec<f64>]) -> Option<Mode> {
        let mut r: Vec<Vec<f64>> = start.to_vec();
        let mut u: Option<Vec<Vec<f64>>> = None;
        if r.iter().flatten().all(|r| *r == 0.0) {
            u = Some(r.clone());
        }
        let mut last = false;
        for _ in 0..STEPS {
            let eta = self.predictors(at.c, &r);
            let rows = self.at_rows(&eta, 0.0, at.aux);
            let curvatures = self.curvatures(&eta, at.aux);
            if r.is_empty() || last {
                let weights = Weights::of(&curvatures);
                return self.arrived(at, (r, u.unwrap_or_default()), eta, rows, weights);
            }
            let step = self.step(at, &r, &rows.slopes, &Weights::of(&curvatures));
            let (next_r, next_u) = match step {
                Some(step) => step,
                None => self.step(at, &r, &rows.slopes, &Weights::downwards(&curvatures))?,
            };
            let Some(here) = u else {
                // Earlier coefficients, in units that are not known: one step tells, if it is good.
                (r, u) = self.better(at, next_r, next_u);
                continue;
            };
            let before = rows.logp - 0.5 * squares(&here);
            let by_u = self.pulled(&rows.slopes, at.lambda);
            let gain: f64 = (by_u.iter().flatten().zip(here.iter().flatten()))
                .zip(next_u.iter().flatten())
                .map(|((s, u), next)| (s - u) * (next - u))
                .sum();
            last = gain < CLOSE;
            let (mut share, mut found) = (1.0, None);
            for _ in 0..40 {
                let moved = (between(&r, &next_r, share), between(&here, &next_u, share));
                let eta = self.predictors(at.c, &moved.0);
                let value = self.at_rows(&eta, 0.0, at.aux).logp - 0.5 * squares(&moved.1);
                if value >= before - 1e-12 * before.abs() || (last && share < 1.0) {
                    found = Some(moved);
                    break;
                }
                share *= 0.5;
            }
            match found {
                Some(moved) => (r, u) = (moved.0, Some(moved.1)),
                // Rounding hides what there is to gain: it has arrived.
                None if gain < HIDDEN * (1.0 + Self::size_of(rows.logp, &eta, &curvatures)) => {
                    (u, last) = (Some(here), true);
                }
                None => return None,
            }
        }
        None
    }

    /// Size of the numbers whose sum the log likelihood is.
    fn size_of(logp: f64, eta: &[f64], curvatures: &[f64]) -> f64 {
        let each = eta.iter().zip(curvatures).map(|(eta, h)| h.abs() * (1.0 + eta.abs()));
        logp.abs() + each.sum::<f64>()
    }

    /// What there is to know at the mode.
    fn arrived(
        &self,
        at: Parameters<'_>,
        (r, u): (Levels, Levels),
        eta: Vec<f64>,
        rows: AtRows,
        weights: Weights,
    ) -> Option<Mode> {
        let log_det = if r.is_empty() {
            0.0
        } else {
            self.eliminated(&self.weighted(&weights), &vec![0.0; eta.len()], at.lambda)?.1
        };
        let AtRows { logp, slopes, by_aux } = rows;
        let found = Mode { r, u, eta, slopes, weights, logp, by_aux, log_det };
        found.value().is_finite().then_some(found)
    }

    /// Some coefficients, or zeros where these are more likely.
    fn better(&self, at: Parameters<'_>, r: Levels, u: Levels) -> Start {
        let value = |r: &[Vec<f64>], u: &[Vec<f64>]| {
            self.at_rows(&self.predictors(at.c, r), 0.0, at.aux).logp - 0.5 * squares(u)
        };
        let zeros: Vec<Vec<f64>> = r.iter().map(|r| vec![0.0; r.len()]).collect();
        if value(&r, &u) >= value(&zeros, &zeros) {
            return (r, Some(u));
        }
        (zeros.clone(), Some(zeros))
    }

    /// Where Newton's method would go.
    fn step(
        &self,
        at: Parameters<'_>,
        r: &[Vec<f64>],
        slopes: &[f64],
        weights: &Weights,
    ) -> Option<(Levels, Levels)> {
        // The response √|H| (Zr + s/H) of rows √|H| Z.
        let target: Vec<f64> = (self.of_levels(r).iter().zip(slopes).enumerate())
            .map(|(i, (own, slope))| weights.root[i] * (own + slope / weights.at(i)))
            .collect();
        let (mut elimination, _) = self.eliminated(&self.weighted(weights), &target, at.lambda)?;
        let next: Vec<Vec<f64>> = (0..r.len()).map(|k| elimination.means(k)).collect();
        let rest: Vec<f64> = (self.of_levels(&next).iter().zip(&target).enumerate())
            .map(|(i, (own, target))| weights.at(i) * (target / weights.root[i] - own))
            .collect();
        let u = self.pulled(&rest, at.lambda);
        Some((next, u))
    }

    /// What the coefficients add to the rows' predictors.
    pub fn of_levels(&self, r: &[Vec<f64>]) -> Vec<f64> {
        let mut eta = vec![0.0; self.columns.n];
        for (grouping, r) in self.columns.groupings.iter().zip(r) {
            grouping.add(0..eta.len(), r, &mut eta);
        }
        eta
    }

    /// `ΛᵀZᵀx` of each factor.
    pub fn pulled(&self, x: &[f64], lambda: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let gathered = self.gathered(x).into_iter().zip(lambda).zip(&self.columns.groupings);
        gathered
            .map(|((sums, lambda), grouping)| {
                let q = grouping.q;
                let of = |t: &[f64], a: usize| (0..q).map(|b| lambda[b * q + a] * t[b]).sum();
                sums.chunks_exact(q)
                    .flat_map(|t| (0..q).map(|a| of(t, a)).collect::<Vec<f64>>())
                    .collect()
            })
            .collect()
    }

    /// The coefficients of all levels eliminated from weighted rows with these responses.
    pub fn eliminated(
        &self,
        rows: &[Rows],
        target: &[f64],
        lambda: &[Vec<f64>],
    ) -> Option<(Elimination, f64)> {
        let width = target.len() / self.columns.n.max(1);
        let data = Arc::new(Products::new(rows, target, width));
        let joined = data.join(lambda);
        let mut elimination = Elimination::new(data);
        let log_det = elimination.evaluate(&joined, &mut vec![0.0; width * width])?;
        Some((elimination, log_det))
    }
}

fn between(from: &[Vec<f64>], to: &[Vec<f64>], share: f64) -> Vec<Vec<f64>> {
    let step = |(a, b): (&f64, &f64)| a + share * (b - a);
    from.iter().zip(to).map(|(from, to)| from.iter().zip(to).map(step).collect()).collect()
}
