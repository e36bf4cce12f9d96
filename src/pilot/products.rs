//! Weighted cross-products of a linear predictor's columns, and least squares from them: population
//! coefficients and one factor's jointly, an arrow matrix.

use super::Estimate;
use crate::general::Part;
use crate::linalg::{cholesky_ridged, solve_lower, solve_ridged};
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
        let (grouping, levels) = (&self.part.columns.groupings[g], &mut self.levels[g]);
        levels.target.fill(0.0);
        for k in 0..grouping.q {
            let z = grouping.column(k, &(0..e.len()));
            for row in 0..e.len() {
                let level = grouping.codes[row] as usize;
                levels.target[level * grouping.q + k] += self.weights[row] * z[row] * e[row];
            }
        }
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
        let (mut a, mut c) = (self.population.clone(), population_score(part, self.weights, &rest));
        add_prior_curvature(part, at, &mut a, &mut c);
        if self.levels.is_empty() {
            solve_ridged(&a, p, &mut c)?;
            at.c = c;
            return Some(());
        }
        self.set_scores(&rest, g);
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

fn of_population(part: &Part, weights: &[f64]) -> Vec<f64> {
    let (p, all) = (part.coefficients.len(), 0..part.columns.n);
    let mut a = vec![0.0; p * p];
    for i in 0..p {
        let x = weighted(part.columns.column(i, &all), weights);
        for j in 0..=i {
            let s = dot(&x, part.columns.column(j, &all));
            a[i * p + j] = s;
            a[j * p + i] = s;
        }
    }
    a
}

/// XᵀWe.
fn population_score(part: &Part, weights: &[f64], e: &[f64]) -> Vec<f64> {
    let columns = (0..part.coefficients.len()).map(|i| part.columns.column(i, &(0..e.len())));
    columns.map(|column| dot(&weighted(column, weights), e)).collect()
}

fn weighted(column: &[f64], weights: &[f64]) -> Vec<f64> {
    column.iter().zip(weights).map(|(x, w)| x * w).collect()
}

fn of_levels(part: &Part, weights: &[f64], g: usize) -> Whitening {
    let (n, p) = (part.columns.n, part.coefficients.len());
    let grouping = &part.columns.groupings[g];
    let (q, all) = (grouping.q, 0..n);
    let mut levels = Whitening::none(q, p, grouping.n_levels);
    for k in 0..q {
        let z = grouping.column(k, &all);
        for row in 0..n {
            let level = grouping.codes[row] as usize;
            let wz = weights[row] * z[row];
            for l in 0..=k {
                let product = wz * grouping.column(l, &all)[row];
                levels.information[(level * q + k) * q + l] += product;
                if l < k {
                    levels.information[(level * q + l) * q + k] += product;
                }
            }
            for j in 0..p {
                levels.cross[(level * q + k) * p + j] += wz * part.columns.x[j * n + row];
            }
        }
    }
    levels
}

/// The priors of c, each as a normal one with its slope and curvature here.
pub(super) fn add_prior_curvature(part: &Part, at: &Estimate, a: &mut [f64], b: &mut [f64]) {
    let p = at.c.len();
    for prior in &part.coefficients.priors {
        let value: f64 = prior.row.iter().zip(&at.c).map(|(w, c)| w * c).sum();
        let x = value + prior.shift;
        let step = 1e-4 * (1.0 + x.abs());
        let slope = prior.prior.logp(x).1;
        let change = prior.prior.logp(x + step).1 - prior.prior.logp(x - step).1;
        let curvature = (-change / (2.0 * step)).max(0.0);
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
        // Half-solved: L⁻¹ [G, g].
        let mut half = vec![vec![0.0; q]; p + 1];
        for (j, column) in half.iter_mut().enumerate() {
            for i in 0..q {
                let row = level * q + i;
                column[i] = if j < p { levels.cross[row * p + j] } else { levels.target[row] };
            }
            solve_lower(&m, q, column);
        }
        for i in 0..p {
            for j in 0..p {
                a[i * p + j] -= dot(&half[i], &half[j]);
            }
            b[i] -= dot(&half[i], &half[p]);
        }
    }
    Some(())
}
