//! What the rows say at some predictors: log likelihood, and its derivatives.
//!
//! Of two linear predictors, η of the mean and λ of log sigma, a row has second derivatives
//! `−[h₁₁ h₁₂; h₁₂ h₂₂]`. As `h₁₁x² + 2h₁₂xy + h₂₂y² = (h₁₁ − h₁₂/t)x² + (h₂₂ − h₁₂t)y² +
//! h₁₂/t (x + ty)²`, whatever t, such a row counts as three, which have one predictor and one weight
//! each: η, λ and η + tλ. So all that is made for weighted rows does for both, and is as sparse. All
//! rows of a kind stand side by side; t, which is about sigma, only keeps digits.

use crate::family::Likelihood;
use crate::predictor::{CHUNK, Columns, Grouping};
use std::ops::Range;

/// Share of the mean curvature that rows which curve upwards count on the way to a mode.
const LITTLE: f64 = 1e-3;

/// What the rows say at some predictors: log likelihood, its slopes, and its curvatures, negative.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub logp: f64,
    pub slopes: Vec<f64>,
    pub curvatures: Vec<f64>,
}

/// The rows as they were observed.
#[derive(Clone, Copy)]
pub struct Observed<'a> {
    pub likelihood: &'a Likelihood,
    /// t, where there are two linear predictors.
    pub tie: Option<f64>,
    /// What the log likelihood of the rows lacks.
    pub constant: f64,
}

impl Observed<'_> {
    /// Predictors that the likelihood takes: the first kinds of rows.
    pub fn n_predictors(&self) -> usize {
        1 + usize::from(self.tie.is_some())
    }

    /// What of the log likelihood no predictor has a part in.
    pub fn apart(&self, values: &[f64]) -> f64 {
        self.constant + self.likelihood.shared(values, &mut vec![0.0; values.len()])
    }

    /// Log likelihood at some predictors.
    pub fn logp(&self, eta: &[f64], values: &[f64]) -> f64 {
        self.apart(values) + self.swept(eta, values, &mut vec![0.0; values.len()], |_, _, _| {})
    }

    /// What is left of it, row by row, at some predictors, those of one kind after those of the other,
    /// which it writes over.
    pub fn each_row(&self, rows: Range<usize>, eta: &mut [f64], values: &[f64], each: &mut [f64]) {
        let (eta, log_sigma) = eta.split_at_mut(rows.len());
        let mut unused = vec![0.0; values.len()];
        self.likelihood.rows_in_vectors(rows, values, eta, log_sigma, &mut unused, each);
    }

    /// Log likelihood and slopes of the rows at some predictors; `None` where they are not finite.
    pub fn slopes(&self, eta: &[f64], values: &[f64], said: &mut Said) -> Option<()> {
        said.slopes.resize(eta.len(), 0.0);
        let n = self.likelihood.n_rows();
        let of_rows =
            self.swept(eta, values, &mut vec![0.0; values.len()], |first, slopes, of_sigma| {
                said.slopes[first..first + slopes.len()].copy_from_slice(slopes);
                if !of_sigma.is_empty() {
                    said.slopes[n + first..][..of_sigma.len()].copy_from_slice(of_sigma);
                }
            });
        said.logp = self.apart(values) + of_rows;
        // Without an early end, which would keep it from being vector code.
        let finite = said.slopes.iter().fold(true, |all, slope| all & slope.is_finite());
        (said.logp.is_finite() && finite).then_some(())
    }

    /// Log likelihood of all rows, less what is apart; slopes, chunk by chunk, to `with`.
    fn swept(
        &self,
        eta: &[f64],
        values: &[f64],
        by_values: &mut [f64],
        mut with: impl FnMut(usize, &[f64], &[f64]),
    ) -> f64 {
        let n = self.likelihood.n_rows();
        let (mut slopes, mut of_sigma) = ([0.0; CHUNK], [0.0; CHUNK]);
        let mut logp = 0.0;
        for first in (0..n).step_by(CHUNK) {
            let rows = first..(first + CHUNK).min(n);
            let slopes = &mut slopes[..rows.len()];
            slopes.copy_from_slice(&eta[rows.clone()]);
            let own = if self.tie.is_some() { rows.len() } else { 0 };
            let of_sigma = &mut of_sigma[..own];
            if own > 0 {
                of_sigma.copy_from_slice(&eta[n + first..][..own]);
            }
            let none = &mut [];
            logp +=
                self.likelihood.rows_in_vectors(rows, values, slopes, of_sigma, by_values, none);
            with(first, slopes, of_sigma);
        }
        logp
    }

    /// And their curvatures: the weights of the rows.
    pub fn curvatures(&self, eta: &[f64], values: &[f64], said: &mut Said) {
        said.curvatures.resize(eta.len(), 0.0);
        let (n, out) = (self.likelihood.n_rows(), &mut said.curvatures);
        let Some(t) = self.tie else { return self.likelihood.curvatures(values, eta, out) };
        let (mean, log_sigma) = (&eta[..n], &eta[n..2 * n]);
        self.likelihood.bends(values, mean, log_sigma, |i, bend| {
            let [own, both, of_sigma] = bend.seconds();
            (out[i], out[n + i]) = (own - both / t, of_sigma - both * t);
            out[2 * n + i] = both / t;
        });
    }

    /// Let weights lead to a matrix that is positive whatever the rows: without what predictors have
    /// to do with one another, and none that curves upwards.
    pub fn downwards(&self, weights: &mut [f64]) {
        let n = self.likelihood.n_rows();
        if let Some(t) = self.tie {
            for i in 0..n {
                let both = std::mem::take(&mut weights[2 * n + i]);
                weights[i] += both;
                weights[n + i] += both * t * t;
            }
        }
        for weights in weights.chunks_mut(n.max(1)).take(self.n_predictors()) {
            let sizes: f64 = weights.iter().map(|h| h.abs()).sum();
            let least = LITTLE * sizes / weights.len() as f64;
            weights.iter_mut().for_each(|h| *h = h.max(least));
        }
    }

    /// What third derivatives pull at where predictors of all rows have these variances, over 2:
    /// `½ Σ ∂³ℓ/∂ηₖ∂ηᵢ∂ηⱼ Vᵢⱼ`. Slopes are `here`.
    pub fn pulls(&self, eta: &[f64], here: &[f64], values: &[f64], variances: &[f64]) -> Vec<f64> {
        let n = self.likelihood.n_rows();
        let Some(t) = self.tie else {
            let thirds = self.likelihood.thirds(values, eta, here);
            return thirds.iter().zip(variances).map(|(third, v)| 0.5 * third * v).collect();
        };
        let mut pulls = vec![0.0; eta.len()];
        let (mean, log_sigma) = (&eta[..n], &eta[n..2 * n]);
        self.likelihood.bends(values, mean, log_sigma, |i, bend| {
            let [a, b, c, d] = bend.thirds();
            let (v, of_sigma) = (variances[i], variances[n + i]);
            let both = 0.5 * (variances[2 * n + i] - v - t * t * of_sigma) / t;
            pulls[i] = 0.5 * (a * v + 2.0 * b * both + c * of_sigma);
            pulls[n + i] = 0.5 * (b * v + 2.0 * c * both + d * of_sigma);
        });
        pulls
    }

    /// Slopes of the log likelihood by dispersion parameters, or thresholds.
    pub fn by_values(&self, eta: &[f64], values: &[f64]) -> Vec<f64> {
        let mut by_values = vec![0.0; values.len()];
        if !values.is_empty() {
            self.likelihood.shared(values, &mut by_values);
            self.swept(eta, values, &mut by_values, |_, _, _| {});
        }
        by_values
    }
}

/// The columns of both predictors for the three kinds of rows.
pub fn tied(mean: &Columns, of_sigma: &Columns, t: f64) -> Columns {
    let n = mean.n;
    let blocks = |column: &[f64], scales: [f64; 3]| -> Vec<f64> {
        scales.iter().flat_map(|scale| column.iter().map(move |x| scale * x)).collect()
    };
    let both = [(mean, [1.0, 0.0, 1.0]), (of_sigma, [0.0, 1.0, t])];
    let mut found = Columns {
        n: 3 * n,
        p: mean.p + of_sigma.p,
        x: Vec::new(),
        offset: vec![0.0; 3 * n],
        groupings: Vec::new(),
    };
    for (columns, scales) in both {
        for column in columns.x.chunks_exact(n.max(1)) {
            found.x.extend(blocks(column, scales));
        }
        let offset = blocks(&columns.offset, scales);
        found.offset.iter_mut().zip(offset).for_each(|(sum, more)| *sum += more);
        for grouping in &columns.groupings {
            let z = grouping.z.chunks_exact(n.max(1)).flat_map(|z| blocks(z, scales)).collect();
            found.groupings.push(Grouping::new(grouping.codes.repeat(3), grouping.n_levels, z));
        }
    }
    found
}
