//! What Python passes → what the core takes: priors, scalars, covariances, arrays.

use crate::covariance::{Block, CorrelationPrior, Covariance};
use crate::marginal::Scale;
use crate::prior::{Prior, Scalar, Support};
use crate::walk::Bounded;
use numpy::PyReadonlyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// (kernel, its numbers)
pub type PriorSpec = (String, Vec<f64>);

/// A sampled parameter.
#[derive(FromPyObject)]
pub struct ScalarSpec {
    kernel: PriorSpec,
    low: f64,
    high: f64,
    unit: f64,
    start: f64,
    signed: bool,
}

/// A prior with the bounds of its parameter.
#[derive(FromPyObject)]
pub struct BoundedSpec {
    kernel: PriorSpec,
    low: f64,
    high: f64,
}

#[derive(FromPyObject)]
pub enum ScaleSpec {
    Sampled(ScalarSpec),
    Known(f64),
}

/// (first column, end, correlated)
pub type BlockSpec = (usize, usize, bool);

pub fn prior(spec: &PriorSpec) -> PyResult<Prior> {
    Ok(match (spec.0.as_str(), spec.1.as_slice()) {
        ("flat", []) => Prior::Flat,
        ("normal", &[loc, scale]) => Prior::Normal { loc, scale },
        ("student_t", &[df, loc, scale]) => Prior::StudentT { df, loc, scale },
        ("gamma", &[shape, rate]) => Prior::Gamma { shape, rate },
        ("inverse_gamma", &[shape, scale]) => Prior::InverseGamma { shape, scale },
        ("log_normal", &[mu, sigma]) => Prior::LogNormal { mu, sigma },
        _ => return Err(PyValueError::new_err(format!("unknown prior {spec:?}"))),
    })
}

pub fn scalar(spec: &ScalarSpec) -> PyResult<Scalar> {
    let ScalarSpec { kernel, low, high, unit, start, signed } = spec;
    let (low, high, unit, start) = (*low, *high, *unit, *start);
    let support = match (low.is_finite(), high.is_finite()) {
        _ if *signed => Support::Signed { unit, high },
        (false, false) => Support::Real { centre: start, unit },
        (true, false) => Support::Above { low, unit },
        (false, true) => Support::Below { high, unit },
        (true, true) => Support::Between { low, high },
    };
    Ok(Scalar { prior: prior(kernel)?, support, start })
}

pub fn scale(spec: &ScaleSpec) -> PyResult<Scale> {
    Ok(match spec {
        ScaleSpec::Sampled(spec) => Scale::Sampled(scalar(spec)?),
        ScaleSpec::Known(x) => Scale::Known(*x),
    })
}

pub fn shape_error(what: &str) -> PyErr {
    PyValueError::new_err(format!("shapes do not agree: {what}"))
}

pub fn bounded(spec: &BoundedSpec) -> PyResult<Bounded> {
    Ok(Bounded { prior: prior(&spec.kernel)?, low: spec.low, high: spec.high })
}

pub fn all_bounded(specs: &[BoundedSpec]) -> PyResult<Vec<Bounded>> {
    specs.iter().map(bounded).collect()
}

/// The shape and prior of a covariance: LKJ, or a prior for each correlation.
pub fn covariance(
    q: usize,
    blocks: &[BlockSpec],
    lkj_eta: f64,
    correlations: Option<&[BoundedSpec]>,
) -> PyResult<Covariance> {
    if blocks.iter().any(|&(start, stop, _)| start >= stop || stop > q) {
        return Err(shape_error("blocks"));
    }
    let block = |&(start, stop, correlated): &BlockSpec| Block { start, stop, correlated };
    let blocks: Vec<Block> = blocks.iter().map(block).collect();
    let own = match correlations {
        None => CorrelationPrior::Lkj { eta: lkj_eta },
        Some(list) => CorrelationPrior::Elementwise(
            list.iter()
                .map(|spec| Ok((prior(&spec.kernel)?, spec.low, spec.high)))
                .collect::<PyResult<_>>()?,
        ),
    };
    let covariance = Covariance::new(q, &blocks, own);
    if correlations.is_some_and(|list| list.len() != covariance.n_correlations()) {
        return Err(shape_error("one prior for each correlation"));
    }
    Ok(covariance)
}

/// The covariance of the coefficients of one factor.
#[derive(FromPyObject)]
pub struct CovarianceSpec {
    q: usize,
    blocks: Vec<BlockSpec>,
    lkj_eta: f64,
    correlations: Option<Vec<BoundedSpec>>,
}

impl CovarianceSpec {
    pub fn covariance(&self) -> PyResult<Covariance> {
        covariance(self.q, &self.blocks, self.lkj_eta, self.correlations.as_deref())
    }
}

/// Any array's numbers, row by row.
pub fn flat<'a>(values: impl Iterator<Item = &'a f64>) -> Vec<f64> {
    values.copied().collect()
}

/// The numbers of a vector that must have `length`.
pub fn vector(values: &PyReadonlyArray1<'_, f64>, length: usize, what: &str) -> PyResult<Vec<f64>> {
    let values = values.as_array().to_vec();
    if values.len() == length { Ok(values) } else { Err(shape_error(what)) }
}
