//! `Marginal`: the density of a Gaussian model, all group coefficients integrated out.

mod averaged;
mod conditional;
mod crossproducts;
mod held_out;

pub use crossproducts::PyCrossProducts;

use super::arguments::{
    CovarianceSpec, ScalarSpec, ScaleSpec, flat, scalar, scale, shape_error, vector,
};
use super::blocks::PyBlocks;
use super::explore::PyDensity;
use crate::blocks::Blocks;
use crate::covariance::Covariance;
use crate::marginal::{Marginal, MarginalDensity, Narrow, Parameters, Reduced, Wide};
use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyCrossProducts>()?;
    module.add_class::<PyMarginal>()?;
    module.add_class::<held_out::PyIntegrated>()?;
    module.add_function(wrap_pyfunction!(conditional::group_draws, module)?)?;
    module.add_function(wrap_pyfunction!(averaged::node_coefficients, module)?)?;
    module.add_function(wrap_pyfunction!(averaged::level_summary, module)?)?;
    module.add_function(wrap_pyfunction!(averaged::row_summary, module)?)
}

/// Rows of a model with at most one factor, or with several.
#[derive(FromPyObject)]
enum DataSpec<'py> {
    Levels(PyRef<'py, PyCrossProducts>),
    Blocks(PyRef<'py, PyBlocks>),
}

impl DataSpec<'_> {
    /// Columns of Z, and of `[X y]`.
    fn sizes(&self) -> (usize, usize) {
        match self {
            Self::Levels(data) => (data.inner.q(), data.inner.width()),
            Self::Blocks(data) => (data.inner.q(), data.inner.width()),
        }
    }
}

/// The marginal density of a Gaussian model (see marginal/ and blocks/).
#[pyclass(frozen, extends = PyDensity, name = "Marginal", module = "partialpool._core")]
pub struct PyMarginal {
    parameters: Parameters,
}

#[pymethods]
impl PyMarginal {
    #[new]
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (
        *, data, sd, covariances, sigma, sampled, sampled_map, sampled_shift, prior_rows,
        constant
    ))]
    fn new(
        data: DataSpec<'_>,
        sd: Vec<ScaleSpec>,
        covariances: Vec<CovarianceSpec>,
        sigma: ScaleSpec,
        sampled: Vec<ScalarSpec>,
        sampled_map: PyReadonlyArray2<'_, f64>,
        sampled_shift: Vec<f64>,
        prior_rows: PyReadonlyArray2<'_, f64>,
        constant: f64,
    ) -> PyResult<PyClassInitializer<Self>> {
        let (q, w) = data.sizes();
        let s = sampled.len();
        let covariances: Vec<_> =
            covariances.iter().map(CovarianceSpec::covariance).collect::<PyResult<_>>()?;
        let covariance = Covariance::join(covariances);
        if sd.len() != q || covariance.q != q || s >= w || sampled_map.as_array().dim() != (s, s) {
            return Err(shape_error("sd or sampled coefficients"));
        }
        if sampled_shift.len() != s || prior_rows.as_array().dim() != (w, w) {
            return Err(shape_error("prior rows"));
        }
        let parameters = Parameters {
            covariance,
            sd: sd.iter().map(scale).collect::<PyResult<_>>()?,
            sigma: scale(&sigma)?,
            sampled: sampled.iter().map(scalar).collect::<PyResult<_>>()?,
            sampled_map: flat(sampled_map.as_array().iter()),
            sampled_shift,
        };
        let prior_rows = flat(prior_rows.as_array().iter());
        let shared = parameters.clone();
        let density = match data {
            DataSpec::Blocks(data) => {
                let data = data.inner.clone();
                let model = Arc::new(Marginal { data, parameters, prior_rows, constant });
                PyDensity::new(move || MarginalDensity::<Blocks>::new(model.clone()))
            }
            DataSpec::Levels(data) => {
                let data = data.inner.clone();
                let model = Arc::new(Marginal { data, parameters, prior_rows, constant });
                if model.is_wide() {
                    PyDensity::new(move || MarginalDensity::<Wide>::new(model.clone()))
                } else {
                    PyDensity::new(move || MarginalDensity::<Narrow>::new(model.clone()))
                }
            }
        };
        Ok(PyClassInitializer::from(density).add_subclass(Self { parameters: shared }))
    }

    /// Parameters at the unconstrained `u`, with their log prior (Jacobian included).
    fn constrain<'py>(
        &self,
        py: Python<'py>,
        u: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let u = vector(&u, self.parameters.dim(), "u")?;
        let at = self.parameters.constrained(&u);
        let out = PyDict::new(py);
        out.set_item("sd", PyArray1::from_vec(py, at.sd))?;
        out.set_item("cor", PyArray1::from_vec(py, at.cor))?;
        out.set_item("sigma", at.sigma)?;
        out.set_item("sampled", PyArray1::from_vec(py, at.sampled))?;
        out.set_item("log_prior", at.log_prior)?;
        Ok(out)
    }
}
