//! Weighted cross-products of a linear predictor's columns, and least squares from them: population
//! coefficients and one factor's jointly, an arrow matrix.

use super::Estimate;
use crate::general::Part;
use crate::linalg::{cholesky_ridged, solve_ridged};
use crate::predictor::dot;
use crate::whitening::Whitening;

/// What one reweighting leaves fixed: XᵀWX, and the same of each factor's columns.
pub(super) struct Products<'a> {
    part: &'a Part,
    weights: &'a [f64],
    pub population: Vec<f64>,
    /// Of each factor, level by level: ZᵀWZ as information, ZᵀWX as cross; the target is set apart.
    pub levels: Vec<Whitening>,
}

impl<'a> Products<'a> {
    pub fn new(part: &'a Part, weights: &'a [f64]) -> Self {
        let levels = (0..part.factors.len()).map(|g| of_levels(part, weights, g)).collect();
        Self { part, weights, population: of_population(part, weights), levels }
    }

    /// Set a factor's targets to its scores, ZᵀWe.
    pub fn set_scores(&mut self, e: &[f64], g: usize) {
        self.set_targets(&weighted(e, self.weights), g);
    }

    fn set_targets(&mut self, weighted: &[f64], g: usize) {
        let (grouping, target) = (&self.part.columns.groupings[g], &mut self.levels[g].target);
        target.fill(0.0);
        grouping.gather(0..weighted.len(), weighted, target);
    }

    /// Solve for c and one factor's r, which with the other factors where they are should give
    /// `target`; `None` where the system is singular.
    pub fn solve(&mut self, at: &mut Estimate, target: &[f64], g: usize) -> Option<()> {
        let (part, p) = (self.part, at.c.len());
        let mut rest = target.to_vec();
        for (other, (grouping, r)) in part.columns.groupings.iter().zip(&at.r).enumerate() {
            if other != g {
                let minus: Vec<f64> = r.iter().map(|r| -r).collect();
                grouping.add(0..rest.len(), &minus, &mut rest);
            }
        }
        let rest = weighted(&rest, self.weights);
        let columns = (0..p).map(|i| part.columns.column(i, &(0..rest.len())));
        let (mut a, mut c) =
            (self.population.clone(), columns.map(|x| dot(x, &rest)).collect::<Vec<_>>());
        add_prior_curvature(part, at, &mut a, &mut c);
        if self.levels.is_empty() {
            solve_ridged(&a, p, &mut c)?;
            at.c = c;
            return Some(());
        }
        self.set_targets(&rest, g);
        let (levels, precision) = (&mut self.levels[g], &at.precision[g]);
        let q = levels.q;
        for target in levels.target.chunks_exact_mut(q) {
            for i in 0..q {
                target[i] += (0..q).map(|j| precision[i * q + j] * at.mean[g][j]).sum::<f64>();
            }
        }
        eliminate_levels(levels, precision, &mut a, &mut c)?;
        solve_ridged(&a, p, &mut c)?;
        for (level, r) in at.r[g].chunks_exact_mut(q).enumerate() {
            let m = level_precision(levels, precision, level);
            for i in 0..q {
                let row = level * q + i;
                let cross = &levels.cross[row * p..][..p];
                r[i] = levels.target[row] - cross.iter().zip(&c).map(|(g, c)| g * c).sum::<f64>();
            }
            solve_ridged(&m, q, r)?;
        }
        at.c = c;
        Some(())
    }
}

/// Rows whose columns stay in the first-level cache.
const ROWS: usize = 128;

fn of_population(part: &Part, weights: &[f64]) -> Vec<f64> {
    let (n, p) = (part.columns.n, part.coefficients.len());
    let mut a = vec![0.0; p * p];
    for first in (0..n).step_by(ROWS) {
        let range = first..(first + ROWS).min(n);
        for i in 0..p {
            let x = weighted(part.columns.column(i, &range), &weights[range.clone()]);
            for j in 0..=i {
                a[i * p + j] += dot(&x, part.columns.column(j, &range));
            }
        }
    }
    mirror(&mut a, p);
    a
}

/// Copy the lower triangle to the upper one.
fn mirror(a: &mut [f64], p: usize) {
    for i in 0..p {
        for j in 0..i {
            a[j * p + i] = a[i * p + j];
        }
    }
}

fn weighted(column: &[f64], weights: &[f64]) -> Vec<f64> {
    column.iter().zip(weights).map(|(x, w)| x * w).collect()
}

fn of_levels(part: &Part, weights: &[f64], g: usize) -> Whitening {
    let (n, p) = (part.columns.n, part.coefficients.len());
    let grouping = &part.columns.groupings[g];
    let (q, all) = (grouping.q, 0..n);
    let mut levels = Whitening::none(q, p, grouping.n_levels);
    // What a column shares with those of every level.
    let mut shared = vec![0.0; levels.target.len()];
    let mut gathered = |column: &[f64], to: &mut [f64], width: usize| {
        shared.fill(0.0);
        grouping.gather(all.clone(), &weighted(column, weights), &mut shared);
        for (to, shared) in to.iter_mut().step_by(width).zip(&shared) {
            *to = *shared;
        }
    };
    for k in 0..q {
        gathered(grouping.column(k, &all), &mut levels.information[k..], q);
    }
    for j in 0..p {
        gathered(part.columns.column(j, &all), &mut levels.cross[j..], p);
    }
    levels
}

/// The priors of c, each as a normal one with its slope and curvature here.
pub(super) fn add_prior_curvature(part: &Part, at: &Estimate, a: &mut [f64], b: &mut [f64]) {
    let p = at.c.len();
    for prior in &part.coefficients.priors {
        let value: f64 = prior.row.iter().zip(&at.c).map(|(w, c)| w * c).sum();
        let x = value + prior.shift;
        let (slope, curvature) = (prior.prior.logp(x).1, prior.prior.curvature(x).max(0.0));
        for i in 0..p {
            for j in 0..p {
                a[i * p + j] += curvature * prior.row[i] * prior.row[j];
            }
            b[i] += (curvature * value + slope) * prior.row[i];
        }
    }
}

/// A level's information with the prior's.
pub(super) fn level_precision(levels: &Whitening, precision: &[f64], level: usize) -> Vec<f64> {
    let information = &levels.information[level * precision.len()..][..precision.len()];
    precision.iter().zip(information).map(|(p, h)| p + h).collect()
}

/// What is left for c once the factor's coefficients are solved for: `A − Σ GᵀM⁻¹G`, `b − Σ GᵀM⁻¹g`.
fn eliminate_levels(
    levels: &Whitening,
    precision: &[f64],
    a: &mut [f64],
    b: &mut [f64],
) -> Option<()> {
    let (q, p) = (levels.q, levels.p);
    for level in 0..levels.n_levels {
        let mut m = level_precision(levels, precision, level);
        cholesky_ridged(&mut m, q)?;
        let half = half_solved(&m, q, &levels.cross[level * q * p..][..q * p], p);
        let of_b = half_solved(&m, q, &levels.target[level * q..][..q], 1);
        take_out(&half, p, a);
        for (row, of_b) in half.chunks_exact(p.max(1)).zip(of_b) {
            b.iter_mut().zip(row).for_each(|(b, half)| *b -= half * of_b);
        }
    }
    Some(())
}

/// `L⁻¹ B` for B with q rows.
pub(super) fn half_solved(l: &[f64], q: usize, b: &[f64], width: usize) -> Vec<f64> {
    let mut half = b.to_vec();
    for i in 0..q {
        let (above, row) = half.split_at_mut(i * width);
        let row = &mut row[..width];
        for k in 0..i {
            let there = &above[k * width..][..width];
            row.iter_mut().zip(there).for_each(|(x, there)| *x -= l[i * q + k] * there);
        }
        row.iter_mut().for_each(|x| *x /= l[i * q + i]);
    }
    half
}

/// `A −= BᵀB` for B of rows as long as A has.
pub(super) fn take_out(b: &[f64], p: usize, a: &mut [f64]) {
    for row in b.chunks_exact(p.max(1)) {
        for (a, factor) in a.chunks_exact_mut(p).zip(row) {
            a.iter_mut().zip(row).for_each(|(a, x)| *a -= factor * x);
        }
    }
}
