//! `General`: the joint density of a model of any family.

mod predictor;

use super::arguments::{ScalarSpec, scalar, shape_error, vector};
use super::explore::PyDensity;
use super::family::likelihood;
use crate::general::{Dispersion, General, GeneralDensity};
use crate::pilot::calibrate;
use crate::sampler::{Density, generator};
use numpy::{PyArray1, PyReadonlyArray1};
pub use predictor::PyPart;
use predictor::{PyFactor, RowSpec, prior_row};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::Arc;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyFactor>()?;
    module.add_class::<PyPart>()?;
    module.add_class::<PyGeneral>()
}

/// The joint density of a model of any family (see general/).
#[pyclass(frozen, extends = PyDensity, name = "General", module = "partialpool._core")]
pub struct PyGeneral {
    pub model: Arc<General>,
}

/// Units of the increments from one threshold to the next, and the thresholds' priors.
#[derive(FromPyObject)]
struct ThresholdsSpec {
    increments: Vec<f64>,
    priors: Vec<RowSpec>,
}

#[pymethods]
impl PyGeneral {
    /// `dispersion` has one specification a parameter; `thresholds` stand in its place. `merged` are
    /// how many rows each stands for and what these scatter by, `constant` is added to the log density;
    /// `walked` says whether NUTS will walk on it, for which it needs coordinates.
    #[new]
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (
        *, family, link, y, trials, weights, merged, constant, parts, dispersion, thresholds,
        walked
    ))]
    fn new(
        py: Python<'_>,
        family: &str,
        link: &str,
        y: PyReadonlyArray1<'_, f64>,
        trials: Option<PyReadonlyArray1<'_, f64>>,
        weights: Option<PyReadonlyArray1<'_, f64>>,
        merged: Option<(PyReadonlyArray1<'_, f64>, PyReadonlyArray1<'_, f64>)>,
        constant: f64,
        parts: Vec<PyRef<'_, PyPart>>,
        dispersion: Vec<ScalarSpec>,
        thresholds: Option<ThresholdsSpec>,
        walked: bool,
    ) -> PyResult<PyClassInitializer<Self>> {
        let optional = |values: Option<PyReadonlyArray1<'_, f64>>| {
            values.map_or_else(Vec::new, |v| v.as_array().to_vec())
        };
        let y = y.as_array().to_vec();
        let n = y.len();
        let mut likelihood = likelihood(family, link, y, optional(trials), optional(weights))?;
        if let Some((copies, within)) = merged {
            let (copies, within) = (copies.as_array().to_vec(), within.as_array().to_vec());
            likelihood = likelihood.merged(copies, within).map_err(PyValueError::new_err)?;
        }
        if parts.is_empty() || parts.len() > 2 || parts.iter().any(|p| p.part.columns.n != n) {
            return Err(shape_error("linear predictors"));
        }
        let p = parts[0].part.columns.p;
        let dispersion = match thresholds {
            None => Dispersion::Scalars(dispersion.iter().map(scalar).collect::<PyResult<_>>()?),
            Some(ThresholdsSpec { increments, priors }) => {
                if priors.len() != increments.len() + 1
                    || priors.iter().any(|prior| prior.row.len() != p)
                {
                    return Err(shape_error("thresholds"));
                }
                let priors = priors.iter().map(prior_row).collect::<PyResult<_>>()?;
                Dispersion::Thresholds { increments, priors }
            }
        };
        let start = parts.iter().map(|part| part.start.clone()).collect();
        let parts = parts.iter().map(|part| part.part.clone()).collect();
        let mut model = General::new(likelihood, parts, dispersion);
        model.constant = constant;
        let n_aux = model.likelihood.n_aux() - usize::from(model.parts.len() > 1);
        // Categories beyond those that occur, as where a part of the rows is left out, have
        // thresholds too.
        let fits = match model.dispersion {
            Dispersion::Thresholds { .. } => model.n_values() >= n_aux,
            Dispersion::Scalars(_) => model.n_values() == n_aux,
        };
        if !fits || (model.parts.len() > 1 && !model.likelihood.has_sigma()) {
            return Err(shape_error("dispersion parameters"));
        }
        let coordinates = py.detach(|| calibrate(&model, start, walked));
        let coordinates = coordinates.map_err(PyValueError::new_err)?;
        let model = Arc::new(model.in_coordinates(coordinates));
        let shared = model.clone();
        let density = PyDensity::new(move || GeneralDensity::new(shared.clone()));
        Ok(PyClassInitializer::from(density).add_subclass(Self { model }))
    }

    #[getter]
    fn n_rows(&self) -> usize {
        self.model.likelihood.n_rows()
    }

    /// The row of output at the unconstrained `u`.
    fn constrain<'py>(
        &self,
        py: Python<'py>,
        u: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let u = vector(&u, self.model.dim(), "u")?;
        let mut out = vec![f64::NAN; self.model.n_outputs()];
        let mut density = GeneralDensity::new(self.model.clone());
        // Nothing is drawn here; a point outside leaves NaN.
        density.output(&u, &mut generator(0, 0, 0), &mut out);
        Ok(PyArray1::from_vec(py, out))
    }
}
