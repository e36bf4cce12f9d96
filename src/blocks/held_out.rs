//! Log densities of all rows, and of every row given all others, at draws of φ, b integrated.
//!
//! With Q the precision of y, b integrated, and `α = V₀⁻¹(y − Xĉ)/σ²`, a row given all others has the
//! mean `y − α/Q` and the variance `1/Q`; `σ²Q = 1 − zᵀTz − x̃ᵀF_II⁻¹x̃/σ²`, where T is the covariance
//! of all coefficients over σ² and x̃ the row's `V₀⁻¹X`.

use super::eliminate::Elimination;
use super::nodes::{Population, population};
use super::products::Products;
use super::within::{AllRows, Within};
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
                let within = Within::new(&elimination);
                let sigma = draws.sigma[draw];
                let of_draw = OfDraw { within, population: &population, sigma };
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
    within: Within<'a>,
    population: &'a Population,
    sigma: f64,
}

impl OfDraw<'_> {
    fn leave_out(&self, rows: &AllRows<'_>, row: usize) -> [f64; 3] {
        let u = &self.population.u;
        let w = u.len();
        let mut rest = rows.xy[row * w..(row + 1) * w].to_vec();
        let inside = self.within.inside(rows, row, &mut rest);
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
}
