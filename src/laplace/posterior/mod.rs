//! An approximate posterior of a model of any family.
//!
//! θ are the sds and correlations of the group coefficients, and dispersion parameters or the
//! increments of thresholds. Given θ, population coefficients c and group coefficients `r = m + Λu`
//! are integrated out together. With `f(c, u) = ℓ(η) + log p(c) − ½‖u‖²`, its mode (ĉ, û) and the
//! matrix A of its second derivatives there, negative,
//!
//! `log p(y|θ) ≈ f(ĉ, û) − ½ log|A|`, and `c, u | θ, y ~ N(m, A⁻¹)`, nearly, where m is the mode and
//! what third derivatives add to it ([`climb`]): a mode of many coefficients is no mean.
//!
//! `log|A| = log|V₀| + log|K + P|`: V₀ and `K = XᵀH^½ V₀⁻¹ H^½X` are what [`crate::blocks`] gives for
//! rows weighted by H, and P are the second derivatives of the prior of c. Tierney & Kadane (1986);
//! Rue, Martino & Chopin (2009). Of a draw from both, the log of the posterior over the density that
//! it was drawn from is known, up to a constant:
//!
//! `ℓ(η) + log p(c) − ½‖u‖² + ½‖z‖² − ½ log|A| − log p̃(y|θ)`,
//!
//! z being the normal numbers behind it and p̃ what θ was drawn by.

mod draws;
mod emulated;
mod judging;
mod later;
mod levelled;
mod nearby;
mod polynomials;
mod staged;

pub use judging::Judging;
pub use later::levels;
use levelled::JUDGED;
pub use staged::InStages;

use super::Scales;
use super::observed::{Observed, tied};
use super::rows::{Integrand, weighing};
use crate::blocks::{Products, Weighing};
use crate::covariance::Covariance;
use crate::general::{Dispersion, Factor, General, GroupPrior, PriorRow, n_scales};
use crate::marginal::{Parameters, Scale};
use crate::predictor::Columns;
use std::sync::Arc;

/// Coordinates θ that polynomials can have.
const MOST: usize = 8;

/// Everything fixed before sampling starts.
pub struct Posterior {
    pub model: Arc<General>,
    /// Of the factors whose covariances are sampled, one after another.
    pub parameters: Parameters,
    weighing: Weighing,
    products: Option<Arc<Products>>,
    /// What the rows' predictors are where c and u are 0.
    base: Vec<f64>,
    /// Where there are two linear predictors.
    tied: Option<Tied>,
    /// Priors of the coefficients c of all predictors, one after another.
    priors: Vec<PriorRow>,
}

/// Two linear predictors as one of three kinds of rows: see [`crate::laplace::observed`].
struct Tied {
    columns: Columns,
    t: f64,
}

impl Tied {
    fn of(model: &General) -> Option<Self> {
        let [mean, of_sigma] = &model.parts[..] else { return None };
        let n = of_sigma.columns.n;
        let mut log_sigma = vec![0.0; n];
        of_sigma.columns.fill(0..n, &of_sigma.coefficients.around(), &[], &mut log_sigma);
        let t = (log_sigma.iter().sum::<f64>() / n.max(1) as f64).exp();
        Some(Self { columns: tied(&mean.columns, &of_sigma.columns, t), t })
    }
}

impl Posterior {
    /// Or why coefficients do not integrate out nearly.
    pub fn new(model: Arc<General>) -> Result<Self, String> {
        let dims = dims(&model);
        if dims > MOST {
            return Err(format!(
                "sds, correlations and dispersion have {dims} numbers, and it takes {MOST} at most"
            ));
        }
        if model.parts.iter().any(|part| part.coefficients.bounded.iter().any(Option::is_some)) {
            return Err("a population coefficient has a prior with bounds".into());
        }
        let tied = Tied::of(&model);
        let columns = tied.as_ref().map_or(&model.parts[0].columns, |tied| &tied.columns);
        let n = columns.n;
        let mut base =
            if columns.offset.is_empty() { vec![0.0; n] } else { columns.offset.clone() };
        let (mut covariances, mut sd) = (Vec::new(), Vec::new());
        for (factor, grouping) in
            model.parts.iter().flat_map(|p| &p.factors).zip(&columns.groupings)
        {
            match &factor.prior {
                GroupPrior::Hierarchical { sd: own, covariance } => {
                    covariances.push(covariance.clone());
                    sd.extend(own.iter().map(|scalar| Scale::Sampled(*scalar)));
                }
                GroupPrior::Normal { mean, .. } => {
                    grouping.add(0..n, &mean.repeat(grouping.n_levels), &mut base);
                }
                GroupPrior::Separate(_) => {
                    return Err("coefficients of levels have priors that are not normal".into());
                }
            }
        }
        let (weighing, products) = weighing(columns, columns.p);
        let parameters = Parameters {
            covariance: Covariance::join(covariances),
            sd,
            sigma: Scale::Known(1.0),
            sampled: Vec::new(),
            sampled_map: Vec::new(),
            sampled_shift: Vec::new(),
        };
        let (products, priors) = (products.map(Arc::new), priors(&model));
        Ok(Self { parameters, weighing, products, base, tied, priors, model })
    }

    /// All parameters but coefficients of levels: the first numbers of a row of output.
    pub fn n_parameters(&self) -> usize {
        self.model.n_outputs() - self.model.n_effects()
    }

    /// Then come those by which the draw is judged, and by which its levels are drawn: θ and a key.
    pub fn n_outputs(&self) -> usize {
        self.n_parameters() + JUDGED + dims(&self.model) + 1
    }

    /// Priors of c that are no bounds, each with what is added to its `row · c`.
    fn priors<'a>(&'a self, at: &'a Scales) -> impl Iterator<Item = (&'a PriorRow, f64)> {
        let own = self.priors.iter().map(|prior| (prior, 0.0));
        let thresholds: &[PriorRow] = match &self.model.dispersion {
            Dispersion::Thresholds { priors, .. } => priors,
            Dispersion::Scalars(_) => &[],
        };
        own.chain(thresholds.iter().zip(at.values.iter().copied()))
    }

    /// Where the climb begins: what the model's pilot found, and levels like their population.
    fn start(&self) -> (Vec<f64>, Vec<Vec<f64>>) {
        let zeros = self.columns().groupings.iter().map(|g| vec![0.0; g.n_levels * g.q]).collect();
        (self.model.parts.iter().flat_map(|part| part.coefficients.around()).collect(), zeros)
    }

    /// Of all predictors, one after another.
    fn factors(&self) -> impl Iterator<Item = &Factor> {
        self.model.parts.iter().flat_map(|part| &part.factors)
    }
}

/// Numbers of θ.
fn dims(model: &General) -> usize {
    let scales = model.parts.iter().flat_map(|part| &part.factors).map(n_scales);
    scales.sum::<usize>() + model.dispersion.dim()
}

/// Priors of each predictor's coefficients as rows over those of all.
fn priors(model: &General) -> Vec<PriorRow> {
    let total: usize = model.parts.iter().map(|part| part.coefficients.len()).sum();
    let mut first = 0;
    let mut found = Vec::new();
    for part in &model.parts {
        for prior in &part.coefficients.priors {
            let mut row = vec![0.0; total];
            row[first..first + prior.row.len()].copy_from_slice(&prior.row);
            found.push(PriorRow { row, ..prior.clone() });
        }
        first += part.coefficients.len();
    }
    found
}

impl Integrand for Posterior {
    fn observed(&self) -> Observed<'_> {
        Observed {
            likelihood: &self.model.likelihood,
            tie: self.tied.as_ref().map(|tied| tied.t),
            constant: self.model.constant,
        }
    }

    fn columns(&self) -> &Columns {
        self.tied.as_ref().map_or(&self.model.parts[0].columns, |tied| &tied.columns)
    }

    fn base(&self) -> &[f64] {
        &self.base
    }

    fn weighing(&self) -> &Weighing {
        &self.weighing
    }

    fn products(&self) -> Option<&Arc<Products>> {
        self.products.as_ref()
    }

    fn n_coefficients(&self) -> usize {
        self.columns().p
    }

    fn log_prior(&self, at: &Scales, c: &[f64], mut slopes: Option<&mut [f64]>) -> f64 {
        if let Some(slopes) = &mut slopes {
            slopes.fill(0.0);
        }
        let mut logp = 0.0;
        for (prior, extra) in self.priors(at) {
            let (value, slope) = prior.prior.logp(prior.at(c) + extra);
            logp += value;
            if let Some(slopes) = &mut slopes {
                slopes.iter_mut().zip(&prior.row).for_each(|(sum, w)| *sum += slope * w);
            }
        }
        logp
    }

    fn prior_curvatures(&self, at: &Scales, c: &[f64], curvatures: &mut [f64]) {
        curvatures.fill(0.0);
        for (prior, extra) in self.priors(at) {
            let curvature = prior.prior.curvature(prior.at(c) + extra);
            let rows = curvatures.chunks_exact_mut(c.len().max(1)).zip(&prior.row);
            for (sums, w) in rows.filter(|(_, w)| **w != 0.0) {
                sums.iter_mut().zip(&prior.row).for_each(|(sum, v)| *sum += curvature * w * v);
            }
        }
    }
}
