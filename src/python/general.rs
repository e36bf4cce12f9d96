//! The door to models of any family: linear predictors, factors, and their joint density.

use super::{
    BoundedSpec, PriorSpec, ScalarSpec, correlation_prior, flat, likelihood, prior, sampled,
    scalar, shape_error,
};
use crate::covariance::{Block, CorrelationPrior, Covariance};
use crate::general::{
    Coefficients, Dispersion, Factor, General, GeneralDensity, GroupPrior, Part, PriorRow,
};
use crate::pilot::calibrate;
use crate::predictor::{Columns, Grouping};
use crate::sampler::{Density, Plan};
use crate::whitening::Whitening;
use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;
use std::time::Instant;

/// (prior, row over c, shift)
type RowSpec = (PriorSpec, Vec<f64>, f64);

fn prior_row((kernel, row, shift): &RowSpec) -> PyResult<PriorRow> {
    Ok(PriorRow { prior: prior(kernel)?, row: row.clone(), shift: *shift })
}

/// A grouping factor with the prior of its coefficients.
#[pyclass(frozen, name = "Factor", module = "partialpool._core")]
pub struct PyFactor {
    grouping: Grouping,
    prior: GroupPrior,
    twin: Vec<f64>,
}

fn grouping(
    codes: &PyReadonlyArray1<'_, i64>,
    z: &PyReadonlyArray2<'_, f64>,
    n_levels: usize,
) -> PyResult<Grouping> {
    let (codes, z) = (codes.as_array(), z.as_array());
    let inside = |c: &i64| *c >= 0 && (*c as usize) < n_levels;
    if z.nrows() != codes.len() || z.ncols() == 0 || !codes.iter().all(inside) {
        return Err(shape_error("rows of Z and codes"));
    }
    let codes = codes.iter().map(|c| *c as u32).collect();
    Ok(Grouping::new(codes, n_levels, flat(z.t().iter())))
}

#[pymethods]
impl PyFactor {
    /// r ~ N(0, Σ) with sampled sds and correlations; `twin` is the shift of the working
    /// coefficients (p × q) that a shift of all levels is like, where other factors have one too.
    #[staticmethod]
    #[allow(clippy::too_many_arguments)]
    fn hierarchical(
        codes: PyReadonlyArray1<'_, i64>,
        z: PyReadonlyArray2<'_, f64>,
        n_levels: usize,
        sd: Vec<ScalarSpec>,
        blocks: Vec<(usize, usize, bool)>,
        lkj_eta: f64,
        correlations: Option<Vec<BoundedSpec>>,
        twin: Option<PyReadonlyArray2<'_, f64>>,
    ) -> PyResult<Self> {
        let grouping = grouping(&codes, &z, n_levels)?;
        let q = grouping.q;
        if sd.len() != q || blocks.iter().any(|b| b.0 >= b.1 || b.1 > q) {
            return Err(shape_error("sds or blocks"));
        }
        let blocks: Vec<Block> = blocks
            .into_iter()
            .map(|(start, stop, correlated)| Block { start, stop, correlated })
            .collect();
        let own = correlation_prior(lkj_eta, correlations)?;
        let n_priors = match &own {
            CorrelationPrior::Elementwise(list) => Some(list.len()),
            CorrelationPrior::Lkj { .. } => None,
        };
        let covariance = Covariance::new(q, &blocks, own);
        if n_priors.is_some_and(|n| n != covariance.n_correlations()) {
            return Err(shape_error("one prior for each correlation"));
        }
        let sd = sd.iter().map(scalar).collect::<PyResult<_>>()?;
        let twin = twin.map_or_else(Vec::new, |t| flat(t.as_array().iter()));
        if !twin.len().is_multiple_of(q) {
            return Err(shape_error("twin"));
        }
        Ok(Self { grouping, prior: GroupPrior::Hierarchical { sd, covariance }, twin })
    }

    /// r ~ N(mean, ΛΛᵀ), both fixed.
    #[staticmethod]
    fn normal(
        codes: PyReadonlyArray1<'_, i64>,
        z: PyReadonlyArray2<'_, f64>,
        n_levels: usize,
        factor: PyReadonlyArray2<'_, f64>,
        mean: Vec<f64>,
    ) -> PyResult<Self> {
        let grouping = grouping(&codes, &z, n_levels)?;
        if factor.as_array().dim() != (grouping.q, grouping.q) || mean.len() != grouping.q {
            return Err(shape_error("mean or factor of the prior"));
        }
        let lambda = flat(factor.as_array().iter());
        Ok(Self { grouping, prior: GroupPrior::Normal { lambda, mean }, twin: vec![] })
    }

    /// Each coefficient by itself; one specification a column.
    #[staticmethod]
    fn separate(
        codes: PyReadonlyArray1<'_, i64>,
        z: PyReadonlyArray2<'_, f64>,
        n_levels: usize,
        scalars: Vec<ScalarSpec>,
    ) -> PyResult<Self> {
        let grouping = grouping(&codes, &z, n_levels)?;
        if scalars.len() != grouping.q {
            return Err(shape_error("priors of the coefficients"));
        }
        let one = scalars.iter().map(scalar).collect::<PyResult<Vec<_>>>()?;
        Ok(Self { grouping, prior: GroupPrior::Separate(one.repeat(n_levels)), twin: vec![] })
    }
}

/// A linear predictor: population columns, their priors, and its factors.
#[pyclass(frozen, name = "Part", module = "partialpool._core")]
pub struct PyPart {
    part: Part,
    start: Vec<f64>,
}

#[pymethods]
impl PyPart {
    #[new]
    #[allow(clippy::too_many_arguments)]
    fn new(
        x: PyReadonlyArray2<'_, f64>,
        offset: Option<PyReadonlyArray1<'_, f64>>,
        start: Vec<f64>,
        bounded: Vec<Option<ScalarSpec>>,
        map: PyReadonlyArray2<'_, f64>,
        unmap: PyReadonlyArray2<'_, f64>,
        shift: Vec<f64>,
        priors: Vec<RowSpec>,
        factors: Vec<PyRef<'_, PyFactor>>,
    ) -> PyResult<Self> {
        let (n, p) = x.as_array().dim();
        let offset = offset.map_or_else(Vec::new, |o| o.as_array().to_vec());
        if map.as_array().dim() != (p, p)
            || unmap.as_array().dim() != (p, p)
            || [start.len(), bounded.len(), shift.len()] != [p; 3]
            || priors.iter().any(|(_, row, _)| row.len() != p)
            || !(offset.is_empty() || offset.len() == n)
            || factors.iter().any(|f| f.grouping.codes.len() != n)
            || factors.iter().any(|f| ![0, p * f.grouping.q].contains(&f.twin.len()))
        {
            return Err(shape_error("linear predictor"));
        }
        let bounded = bounded
            .iter()
            .map(|spec| spec.as_ref().map(scalar).transpose())
            .collect::<PyResult<Vec<_>>>()?;
        let coefficients = Coefficients {
            map: flat(map.as_array().iter()),
            unmap: flat(unmap.as_array().iter()),
            shift,
            priors: priors.iter().map(prior_row).collect::<PyResult<_>>()?,
            centre: Vec::new(),
            basis: Vec::new(),
            bounded,
        };
        let columns = Columns {
            n,
            p,
            x: flat(x.as_array().t().iter()),
            offset,
            groupings: factors.iter().map(|f| f.grouping.clone()).collect(),
        };
        let factors = factors
            .iter()
            .map(|f| Factor {
                prior: f.prior.clone(),
                whitening: Whitening::none(f.grouping.q, p, f.grouping.n_levels),
                twin: f.twin.clone(),
            })
            .collect::<Vec<_>>();
        let order = (0..factors.len()).collect();
        Ok(Self { part: Part { columns, coefficients, factors, order }, start })
    }
}

/// The joint density of a model of any family (see general/).
#[pyclass(frozen, name = "General", module = "partialpool._core")]
pub struct PyGeneral {
    model: Arc<General>,
}

#[pymethods]
impl PyGeneral {
    /// `dispersion` has one specification a parameter; with `thresholds` there are the units of
    /// their increments and their priors instead.
    #[new]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        family: &str,
        link: &str,
        y: PyReadonlyArray1<'_, f64>,
        trials: Option<PyReadonlyArray1<'_, f64>>,
        weights: Option<PyReadonlyArray1<'_, f64>>,
        parts: Vec<PyRef<'_, PyPart>>,
        dispersion: Vec<ScalarSpec>,
        thresholds: Option<(Vec<f64>, Vec<RowSpec>)>,
    ) -> PyResult<Self> {
        let optional = |values: Option<PyReadonlyArray1<'_, f64>>| {
            values.map_or_else(Vec::new, |v| v.as_array().to_vec())
        };
        let y = y.as_array().to_vec();
        let n = y.len();
        let likelihood = likelihood(family, link, y, optional(trials), optional(weights))?;
        if parts.is_empty() || parts.len() > 2 || parts.iter().any(|p| p.part.columns.n != n) {
            return Err(shape_error("linear predictors"));
        }
        let p = parts[0].part.columns.p;
        let dispersion = match thresholds {
            None => Dispersion::Scalars(dispersion.iter().map(scalar).collect::<PyResult<_>>()?),
            Some((increments, priors)) => {
                if priors.len() != increments.len() + 1 || priors.iter().any(|r| r.1.len() != p) {
                    return Err(shape_error("thresholds"));
                }
                let priors = priors.iter().map(prior_row).collect::<PyResult<_>>()?;
                Dispersion::Thresholds { increments, priors }
            }
        };
        let start = parts.iter().map(|part| part.start.clone()).collect();
        let parts = parts.iter().map(|part| part.part.clone()).collect();
        let mut model = General { likelihood, parts, dispersion, start: Vec::new() };
        let n_aux = model.likelihood.n_aux() - usize::from(model.parts.len() > 1);
        if model.n_values() != n_aux || (model.parts.len() > 1 && !model.likelihood.has_sigma()) {
            return Err(shape_error("dispersion parameters"));
        }
        let model = py
            .detach(|| calibrate(&mut model, start).map(|()| model))
            .map_err(PyValueError::new_err)?;
        Ok(Self { model: Arc::new(model) })
    }

    #[getter]
    fn dim(&self) -> usize {
        self.model.dim()
    }

    #[getter]
    fn n_outputs(&self) -> usize {
        self.model.n_outputs()
    }

    fn start(&self) -> Vec<f64> {
        self.model.start.clone()
    }

    /// Log density and gradient at the unconstrained `u`; −inf outside the support.
    fn logp_and_grad<'py>(
        &self,
        py: Python<'py>,
        u: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<(f64, Bound<'py, PyArray1<f64>>)> {
        let u = self.unconstrained(&u)?;
        let mut grad = vec![0.0; u.len()];
        let logp = GeneralDensity::new(self.model.clone()).evaluate(&u, &mut grad);
        Ok((logp.unwrap_or(f64::NEG_INFINITY), PyArray1::from_vec(py, grad)))
    }

    /// The row of output at the unconstrained `u`.
    fn constrain<'py>(
        &self,
        py: Python<'py>,
        u: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let u = self.unconstrained(&u)?;
        let mut out = vec![f64::NAN; self.model.n_outputs()];
        let mut density = GeneralDensity::new(self.model.clone());
        // Nothing is drawn here; a point outside leaves NaN.
        density.output(&u, &mut crate::sampler::generator(0, 0, 0), &mut out);
        Ok(PyArray1::from_vec(py, out))
    }

    /// Mean seconds per evaluation of density and gradient, over `repeats` evaluations.
    fn time_evaluation(&self, py: Python<'_>, repeats: u32) -> f64 {
        py.detach(|| {
            let mut density = GeneralDensity::new(self.model.clone());
            let u = self.model.start.clone();
            let mut grad = vec![0.0; u.len()];
            let clock = Instant::now();
            for _ in 0..repeats {
                std::hint::black_box(density.evaluate(std::hint::black_box(&u), &mut grad));
            }
            clock.elapsed().as_secs_f64() / f64::from(repeats)
        })
    }

    /// Sample with NUTS. `progress(iterations, divergences)` is called about ten times a second.
    #[allow(clippy::too_many_arguments)]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        chains: usize,
        draws: usize,
        warmup: usize,
        seed: u64,
        threads: usize,
        max_depth: u64,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let plan = Plan { chains, draws, warmup, seed, threads, max_depth };
        sampled(py, &GeneralDensity::new(self.model.clone()), &plan, progress)
    }
}

impl PyGeneral {
    fn unconstrained(&self, u: &PyReadonlyArray1<'_, f64>) -> PyResult<Vec<f64>> {
        let u = u.as_array().to_vec();
        if u.len() == self.model.dim() { Ok(u) } else { Err(shape_error("u")) }
    }
}
