//! Log densities of all rows, and of every row given all others, at draws of φ, b integrated.
//!
//! With Q the precision of y, b integrated, and `α = V₀⁻¹(y − Xĉ)/σ²`, a row given all others has the
//! mean `y − α/Q` and the variance `1/Q`; `σ²Q = 1 − zᵀTz − x̃ᵀF_II⁻¹x̃/σ²`, where T is the covariance
//! of all coefficients over σ² and x̃ the row's `V₀⁻¹X`.

use super::eliminate::Elimination;
use super::nodes::{Population, population};
use super::products::{Products, Rows};
use crate::linalg::solve_lower;
use crate::parallel::in_parts;
use crate::vmath::HALF_LOG_2PI;
use std::sync::Arc;

/// Of its own precision σ⁻², what others leave a row: below this, nothing else determines it.
const UNDETERMINED: f64 = 1e-9;

/// Draws of φ.
pub struct Draws<'a> {
    /// Per draw: Λ/σ, block diagonal over factors.
    pub lambda: &'a [Vec<f64>],
    pub sigma: &'a [f64],
    /// Normal priors of the coefficients as rows of unit variance, w × w.
    pub prior: &'a [f64],
    /// Per draw: the sampled coefficients, which are the last.
    pub sampled: &'a [f64],
}

impl Draws<'_> {
    /// Evaluate at a draw: log|V₀|, and the population there.
    pub fn evaluate(
        &self,
        elimination: &mut Elimination,
        k: &mut [f64],
        draw: usize,
    ) -> Option<(f64, Population)> {
        let log_det = elimination.evaluate(&self.lambda[draw], k)?;
        let s = self.sampled.len() / self.sigma.len().max(1);
        let sampled = &self.sampled[draw * s..(draw + 1) * s];
        let found = population(k, (elimination.data.width, self.sigma[draw]), self.prior, sampled)?;
        Some((log_det, found))
    }
}

/// Log density of all rows at every draw, up to what flat priors leave open; NaN where rounding
/// leaves none.
pub fn log_densities(data: &Arc<Products>, draws: &Draws<'_>, threads: usize) -> Vec<f64> {
    let mut out = vec![f64::NAN; draws.sigma.len()];
    let (w, rows) = (data.width, data.n_rows as f64);
    in_parts(&mut out, threads, |first, part| {
        let mut elimination = Elimination::new(data.clone());
        let mut k = vec![0.0; w * w];
        for (i, out) in part.iter_mut().enumerate() {
            let draw = first + i;
            if let Some((log_det, found)) = draws.evaluate(&mut elimination, &mut k, draw) {
                let own = -rows * (draws.sigma[draw].ln() + HALF_LOG_2PI) - 0.5 * log_det;
                *out = own - 0.5 * (found.quadratic + found.log_det);
            }
        }
    });
    out
}

/// The rows as they were reduced.
pub struct AllRows<'a> {
    pub factors: &'a [Rows],
    /// By rows, w numbers each.
    pub xy: &'a [f64],
}

/// At every draw and for every row: log density given the other rows, deviation of y from its mean
/// then, and log density of another such row given all; by draw, by row.
pub fn leave_rows_out(
    data: &Arc<Products>,
    rows: &AllRows<'_>,
    draws: &Draws<'_>,
    threads: usize,
) -> Option<Vec<[f64; 3]>> {
    let mut found: Vec<Option<Vec<[f64; 3]>>> = vec![None; draws.sigma.len()];
    in_parts(&mut found, threads, |first, part| {
        let mut elimination = Elimination::new(data.clone());
        let mut k = vec![0.0; data.width * data.width];
        for (i, out) in part.iter_mut().enumerate() {
            let draw = first + i;
            let at = draws.evaluate(&mut elimination, &mut k, draw);
            *out = at.map(|(_, population)| {
                elimination.solve();
                elimination.invert();
                let of_draw = OfDraw::new(&elimination, &population, draws.sigma[draw]);
                (0..data.n_rows).map(|row| of_draw.leave_out(rows, row)).collect()
            });
        }
    });
    let mut all = Vec::with_capacity(draws.sigma.len() * data.n_rows);
    for draw in found {
        all.extend(draw?);
    }
    Some(all)
}

/// What rows are held against at one draw.
struct OfDraw<'a> {
    elimination: &'a Elimination,
    population: &'a Population,
    sigma: f64,
    /// Of each level of the lead: its coefficients' means (q × w), their covariance (q × q), and that
    /// with those of the others that are linked (q a link).
    mean: Vec<f64>,
    covariance: Vec<f64>,
    beside: Vec<f64>,
}

impl<'a> OfDraw<'a> {
    fn new(elimination: &'a Elimination, population: &'a Population, sigma: f64) -> Self {
        let data = &elimination.data;
        let mut found = Self {
            elimination,
            population,
            sigma,
            mean: Vec::new(),
            covariance: Vec::new(),
            beside: Vec::new(),
        };
        let q = data.lead().q;
        for level in 0..data.lead().n_levels {
            let own = elimination.own_covariance(level);
            found.mean.extend(elimination.with_others(level, &own));
            let y = elimination.linked(level, &own);
            let columns = &data.linked[data.links(level)];
            for &row in columns {
                for a in 0..q {
                    let t =
                        |column: u32| elimination.rest.covariance(row as usize, column as usize);
                    let along = columns.iter().enumerate().map(|(c, &col)| t(col) * y[c * q + a]);
                    found.beside.push(-along.sum::<f64>());
                }
            }
            let shared = elimination.shared(level, &own);
            found.covariance.extend(own.iter().zip(&shared).map(|(a, b)| a + b));
        }
        found
    }

    fn leave_out(&self, rows: &AllRows<'_>, row: usize) -> [f64; 3] {
        let data = &self.elimination.data;
        let w = data.width;
        let mut rest = rows.xy[row * w..(row + 1) * w].to_vec();
        let inside = self.inside(rows, row, &mut rest);
        let u = &self.population.u;
        let residual: f64 = rest.iter().zip(u).map(|(x, u)| x * u).sum();
        let x = &mut rest[..self.population.n];
        solve_lower(&self.population.root, self.population.n, x);
        let variance = self.sigma * self.sigma;
        let taken = x.iter().map(|x| x * x).sum::<f64>() / variance;
        let share = 1.0 - inside - taken;
        let known = share > UNDETERMINED;
        let share = if known { share } else { f64::NAN };
        let square = residual * residual / variance;
        let spread = 2.0 - if known { share } else { 0.0 };
        [
            0.5 * (share / variance).ln() - 0.5 * square / share - HALF_LOG_2PI,
            residual / share,
            -0.5 * (spread * variance).ln() - 0.5 * square / spread - HALF_LOG_2PI,
        ]
    }

    /// zᵀTz of a row; turns its `[x y]` into the row of `V₀⁻¹[X y]`.
    fn inside(&self, rows: &AllRows<'_>, row: usize, rest: &mut [f64]) -> f64 {
        let (elimination, data) = (self.elimination, &self.elimination.data);
        let (w, n, q) = (data.width, data.n_rest, data.lead().q);
        let of = |k: usize| {
            let (factor, p) = (&rows.factors[k], data.factors[k].q);
            (&factor.z[row * p..(row + 1) * p], factor.codes[row] as usize)
        };
        let (z, level) = of(data.lead);
        let own = &self.covariance[level * q * q..][..q * q];
        let mut inside = 0.0;
        for a in 0..q {
            inside += z[a] * (0..q).map(|b| own[a * q + b] * z[b]).sum::<f64>();
            for (c, rest) in rest.iter_mut().enumerate() {
                *rest -= z[a] * self.mean[(level * q + a) * w + c];
            }
        }
        let links = data.links(level);
        let columns = &data.linked[links.clone()];
        let mut seen: Vec<(usize, f64)> = Vec::new();
        for &k in &data.others {
            let (z_other, other) = of(k);
            let at = data.factors[k].columns(other);
            let first = columns.partition_point(|&column| (column as usize) < at.start);
            for (b, (column, &z_other)) in at.zip(z_other).enumerate() {
                let beside = &self.beside[(links.start + first + b) * q..][..q];
                inside += 2.0 * z_other * beside.iter().zip(z).map(|(s, z)| s * z).sum::<f64>();
                for (c, rest) in rest.iter_mut().enumerate() {
                    *rest -= z_other * elimination.x[c * n + column];
                }
                for &(before, z_before) in &seen {
                    inside +=
                        2.0 * z_other * z_before * elimination.rest.covariance(column, before);
                }
                inside += z_other * z_other * elimination.rest.covariance(column, column);
                seen.push((column, z_other));
            }
        }
        inside
    }
}
