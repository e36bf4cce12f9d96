//! `Laplace`: the likelihood of a model of any family, group coefficients integrated out; and
//! `Approximation`, the posterior with its priors.

use super::arguments::{flat, shape_error, vector};
use super::explore::{Asked, Told, explored};
use super::family::likelihood;
use super::general::{PyGeneral, PyPart};
use crate::explore::independent;
use crate::laplace::posterior::{InStages, Judging, Posterior, levels};
use crate::laplace::{Laplace, Mode, Parameters};
use crate::sampler::{ChainRun, Explored, Staged, generator};
use numpy::{PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Arc, Mutex};

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyLaplace>()?;
    module.add_class::<PyMode>()?;
    module.add_class::<PyApproximation>()
}

/// The rows of a model without priors (see laplace/).
#[pyclass(frozen, name = "Laplace", module = "partialpool._core")]
pub struct PyLaplace {
    inner: Laplace,
}

/// The mode of the group coefficients at some parameters.
#[pyclass(frozen, name = "Mode", module = "partialpool._core")]
pub struct PyMode {
    c: Vec<f64>,
    lambda: Vec<Vec<f64>>,
    aux: Vec<f64>,
    inner: Mode,
}

impl PyMode {
    fn parameters(&self) -> Parameters<'_> {
        Parameters { c: &self.c, lambda: &self.lambda, aux: &self.aux }
    }
}

type Matrix<'py> = Bound<'py, PyArray2<f64>>;
type Levels<'py> = Bound<'py, PyArray3<f64>>;

#[pymethods]
impl PyMode {
    /// Log likelihood by Laplace's formula.
    #[getter]
    fn value(&self) -> f64 {
        self.inner.value
    }

    /// The coefficients, levels × q a factor.
    #[getter]
    fn r<'py>(&self, py: Python<'py>) -> PyResult<Vec<Matrix<'py>>> {
        let factors = self.inner.point.r.iter().zip(&self.lambda);
        factors
            .map(|(r, lambda)| {
                let q = lambda.len().isqrt();
                PyArray1::from_slice(py, r).reshape([r.len() / q, q])
            })
            .collect()
    }
}

#[pymethods]
impl PyLaplace {
    #[new]
    /// `of_sigma` has the predictor of log sigma, if there is one, and what sigma is like.
    #[pyo3(signature = (*, family, link, y, trials, weights, part, of_sigma=None))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        family: &str,
        link: &str,
        y: PyReadonlyArray1<'_, f64>,
        trials: Option<PyReadonlyArray1<'_, f64>>,
        weights: Option<PyReadonlyArray1<'_, f64>>,
        part: &PyPart,
        of_sigma: Option<(PyRef<'_, PyPart>, f64)>,
    ) -> PyResult<Self> {
        let optional = |values: Option<PyReadonlyArray1<'_, f64>>| {
            values.map_or_else(Vec::new, |v| v.as_array().to_vec())
        };
        let y = y.as_array().to_vec();
        let of_sigma = of_sigma.as_ref().map(|(part, t)| (&part.part.columns, *t));
        if y.len() != part.part.columns.n || of_sigma.is_some_and(|(own, _)| own.n != y.len()) {
            return Err(shape_error("y and the linear predictors"));
        }
        let likelihood = likelihood(family, link, y, optional(trials), optional(weights))?;
        if of_sigma.is_some() && !likelihood.has_sigma() {
            return Err(shape_error("dispersion parameters"));
        }
        Ok(Self { inner: Laplace::new(likelihood, part.part.columns.clone(), of_sigma) })
    }

    /// The mode at these parameters, climbing from the coefficients `start`; None where there is
    /// none, or where rows do not curve downwards.
    #[pyo3(signature = (*, c, factors, aux, start=None))]
    fn mode(
        &self,
        py: Python<'_>,
        c: Vec<f64>,
        factors: Vec<PyReadonlyArray2<'_, f64>>,
        aux: Vec<f64>,
        start: Option<&PyMode>,
    ) -> PyResult<Option<PyMode>> {
        let groupings = &self.inner.columns.groupings;
        let fits = |(f, g): (&PyReadonlyArray2<'_, f64>, &crate::predictor::Grouping)| {
            f.as_array().dim() == (g.q, g.q)
        };
        if c.len() != self.inner.columns.p
            || factors.len() != groupings.len()
            || aux.len() < self.inner.n_aux()
            || !factors.iter().zip(groupings).all(fits)
        {
            return Err(shape_error("parameters"));
        }
        let lambda: Vec<Vec<f64>> = factors.iter().map(|f| flat(f.as_array().iter())).collect();
        let at = Parameters { c: &c, lambda: &lambda, aux: &aux };
        let near = start.map(|mode| &mode.inner);
        let found = py.detach(|| self.inner.mode(at, near));
        Ok(found.map(|inner| PyMode { c, lambda, aux, inner }))
    }

    /// Slopes of the log likelihood by c, by the covariance of each factor, and by `aux`.
    #[allow(clippy::type_complexity)]
    fn slopes<'py>(
        &self,
        py: Python<'py>,
        mode: &PyMode,
    ) -> PyResult<Option<(Bound<'py, PyArray1<f64>>, Vec<Matrix<'py>>, Bound<'py, PyArray1<f64>>)>>
    {
        let found = py.detach(|| self.inner.slopes(mode.parameters(), &mode.inner));
        let Some(found) = found else { return Ok(None) };
        let by_g = (found.by_g.into_iter())
            .map(|g| {
                let q = g.len().isqrt();
                PyArray1::from_vec(py, g).reshape([q, q])
            })
            .collect::<PyResult<_>>()?;
        let (by_c, by_aux) = (found.by_c, found.by_aux);
        Ok(Some((PyArray1::from_vec(py, by_c), by_g, PyArray1::from_vec(py, by_aux))))
    }

    /// What Laplace's formula leaves out of the integrals over the levels of a factor with one or two
    /// coefficients, those of all others being at their mode, by adaptive quadrature.
    #[pyo3(signature = (*, mode, factor, nodes, weights))]
    fn left_out(
        &self,
        py: Python<'_>,
        mode: &PyMode,
        factor: usize,
        nodes: Vec<f64>,
        weights: Vec<f64>,
    ) -> Option<f64> {
        let at = mode.parameters();
        py.detach(|| self.inner.left_out(at, &mode.inner, factor, &nodes, &weights))
    }

    /// Of each factor: covariances of the levels' coefficients (levels × q × q), and how their mode
    /// moves with c (levels × q × p), both given the parameters.
    fn conditionals<'py>(
        &self,
        py: Python<'py>,
        mode: &PyMode,
    ) -> PyResult<Option<Vec<(Levels<'py>, Levels<'py>)>>> {
        let found = py.detach(|| self.inner.conditionals(mode.parameters(), &mode.inner));
        let Some(found) = found else { return Ok(None) };
        let p = self.inner.columns.p;
        let factors = found.into_iter().zip(&self.inner.columns.groupings);
        let arrays = factors.map(|(own, grouping)| {
            let (levels, q) = (grouping.n_levels, grouping.q);
            Ok((
                PyArray1::from_vec(py, own.covariance).reshape([levels, q, q])?,
                PyArray1::from_vec(py, own.by_c).reshape([levels, q, p])?,
            ))
        });
        arrays.collect::<PyResult<_>>().map(Some)
    }
}

const NO_MODE: &str = "the coefficients have no mode where the search begins";
const NO_LEVELS: &str =
    "coefficients of levels have no mode at some of the draws, or take too much memory";
const NOT_FORETOLD: &str =
    "no polynomial foretells the approximate density of scales and dispersion";

fn failed(why: &str) -> Explored {
    let run = ChainRun { failure: Some(why.into()), ..ChainRun::default() };
    Explored { runs: vec![run], certificate: None }
}

/// The posterior of a model with its priors, coefficients nearly integrated out (see
/// laplace/posterior/).
#[pyclass(frozen, name = "Approximation", module = "partialpool._core")]
pub struct PyApproximation {
    of: Arc<Posterior>,
    /// What draws were made with.
    sampled: Arc<Mutex<Option<Arc<InStages>>>>,
}

impl PyApproximation {
    fn in_stages(&self) -> PyResult<InStages> {
        let judging = Judging::new(&self.of, 1, 0); // nothing is drawn
        InStages::new(self.of.clone(), judging, 1).ok_or_else(|| PyValueError::new_err(NO_MODE))
    }
}

#[pymethods]
impl PyApproximation {
    #[new]
    fn new(general: &PyGeneral) -> PyResult<Self> {
        let of = Posterior::new(general.model.clone()).map_err(PyValueError::new_err)?;
        Ok(Self { of: Arc::new(of), sampled: Arc::default() })
    }

    /// Where the search for the mode of θ begins: sds, correlations, dispersion.
    fn start(&self) -> PyResult<Vec<f64>> {
        Ok(self.in_stages()?.start())
    }

    /// Numbers in one row of output: the parameters of the joint density but coefficients of levels,
    /// those that a draw is judged by, and what its levels are drawn by.
    #[getter]
    fn n_outputs(&self) -> usize {
        self.of.n_outputs()
    }

    #[getter]
    fn n_parameters(&self) -> usize {
        self.of.n_parameters()
    }

    /// At θ, log density of the rows, the log prior of θ with Jacobians, and a row of output, drawn
    /// with a seed; None where coefficients have no mode.
    #[allow(clippy::type_complexity)]
    fn at<'py>(
        &self,
        py: Python<'py>,
        theta: PyReadonlyArray1<'_, f64>,
        seed: u64,
    ) -> PyResult<Option<(f64, f64, Bound<'py, PyArray1<f64>>)>> {
        let mut staged = self.in_stages()?;
        let theta = vector(&theta, staged.dims().0, "theta")?;
        let (mut value, mut row) = ([0.0], vec![f64::NAN; self.n_outputs()]);
        if !staged.features(&theta, &mut value) {
            return Ok(None);
        }
        let prior = staged.logp(&theta, &[], &[0.0]);
        let mut random = generator(seed, 0, 0);
        let drawn = staged.output(&theta, &[], &value, &mut random, &mut row);
        Ok(drawn.then(|| (value[0], prior, PyArray1::from_vec(py, row))))
    }

    /// Coefficients of all levels for rows of output, as they are written: rows × coefficients of each
    /// factor. By what `sample` drew these rows with; else by climbing at each.
    fn levels<'py>(
        &self,
        py: Python<'py>,
        rows: PyReadonlyArray2<'_, f64>,
        threads: usize,
    ) -> PyResult<Vec<Matrix<'py>>> {
        if rows.as_array().ncols() != self.of.n_outputs() {
            return Err(shape_error("rows"));
        }
        let rows = flat(rows.as_array().iter());
        let count = rows.len() / self.of.n_outputs();
        let sampled = self.sampled.lock().ok().and_then(|sampled| sampled.clone());
        let staged = sampled.map_or_else(|| self.in_stages().map(Arc::new), Ok)?;
        let found = py.detach(|| levels(&staged, &rows, threads));
        let found = found.ok_or_else(|| PyValueError::new_err(NO_LEVELS))?;
        let parts = self.of.model.parts.iter();
        let factors = found.into_iter().zip(parts.flat_map(|part| &part.columns.groupings));
        let arrays =
            factors.map(|(own, g)| PyArray1::from_vec(py, own).reshape([count, g.n_levels * g.q]));
        arrays.collect()
    }

    /// Independent draws, as `sample` of a density gives them.
    #[pyo3(signature = (*, asked, progress, judge=None))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        asked: Asked,
        progress: Option<Py<PyAny>>,
        judge: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let plan = asked.plan(false, Some(true));
        let told = Told { progress, judge, width: self.n_outputs() };
        let (of, sampled) = (self.of.clone(), self.sampled.clone());
        let judging = Judging::new(&of, asked.chains, asked.draws);
        explored(py, told, asked.chains, move |watch| {
            let Some(staged) = InStages::new(of, judging, plan.threads) else {
                return failed(NO_MODE);
            };
            let explored = independent(&staged, &plan, watch);
            if let Ok(mut sampled) = sampled.lock() {
                *sampled = Some(Arc::new(staged));
            }
            explored.unwrap_or_else(|| failed(NOT_FORETOLD))
        })
    }
}
