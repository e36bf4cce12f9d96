//! `Marginal`: the density of a Gaussian model with at most one factor.

mod averaged;
mod conditional;
mod crossproducts;
mod held_out;

pub use crossproducts::PyCrossProducts;

use super::arguments::{
    BlockSpec, BoundedSpec, ScalarSpec, ScaleSpec, covariance, flat, scalar, scale, shape_error,
    vector,
};
use super::explore::PyDensity;
use crate::marginal::{Marginal, MarginalDensity, Narrow, Wide};
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
    module.add_function(wrap_pyfunction!(averaged::level_summary, module)?)
}

/// The marginal density of a Gaussian model with at most one grouping factor (see marginal/).
#[pyclass(frozen, extends = PyDensity, name = "Marginal", module = "partialpool._core")]
pub struct PyMarginal {
    model: Arc<Marginal>,
}

#[pymethods]
impl PyMarginal {
    #[new]
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (
        *, data, sd, blocks, lkj_eta, correlations, sigma, sampled, sampled_map,
        sampled_shift, prior_rows, constant
    ))]
    fn new(
        data: PyRef<'_, PyCrossProducts>,
        sd: Vec<ScaleSpec>,
        blocks: Vec<BlockSpec>,
        lkj_eta: f64,
        correlations: Option<Vec<BoundedSpec>>,
        sigma: ScaleSpec,
        sampled: Vec<ScalarSpec>,
        sampled_map: PyReadonlyArray2<'_, f64>,
        sampled_shift: Vec<f64>,
        prior_rows: PyReadonlyArray2<'_, f64>,
        constant: f64,
    ) -> PyResult<PyClassInitializer<Self>> {
        let (q, w, s) = (data.inner.q, data.inner.width, sampled.len());
        if sd.len() != q || s >= w || sampled_map.as_array().dim() != (s, s) {
            return Err(shape_error("sd or sampled coefficients"));
        }
        if sampled_shift.len() != s || prior_rows.as_array().dim() != (w, w) {
            return Err(shape_error("prior rows"));
        }
        let model = Marginal {
            data: data.inner.clone(),
            covariance: covariance(q, &blocks, lkj_eta, correlations.as_deref())?,
            sd: sd.iter().map(scale).collect::<PyResult<_>>()?,
            sigma: scale(&sigma)?,
            sampled: sampled.iter().map(scalar).collect::<PyResult<_>>()?,
            sampled_map: flat(sampled_map.as_array().iter()),
            sampled_shift,
            prior_rows: flat(prior_rows.as_array().iter()),
            constant,
        };
        let model = Arc::new(model);
        let shared = model.clone();
        let density = if model.is_wide() {
            PyDensity::new(move || MarginalDensity::<Wide>::new(shared.clone()))
        } else {
            PyDensity::new(move || MarginalDensity::<Narrow>::new(shared.clone()))
        };
        Ok(PyClassInitializer::from(density).add_subclass(Self { model }))
    }

    /// Parameters at the unconstrained `u`, with their log prior (Jacobian included).
    fn constrain<'py>(
        &self,
        py: Python<'py>,
        u: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let u = vector(&u, self.model.dim(), "u")?;
        let at = self.model.constrained(&u);
        let out = PyDict::new(py);
        out.set_item("sd", PyArray1::from_vec(py, at.sd))?;
        out.set_item("cor", PyArray1::from_vec(py, at.cor))?;
        out.set_item("sigma", at.sigma)?;
        out.set_item("sampled", PyArray1::from_vec(py, at.sampled))?;
        out.set_item("log_prior", at.log_prior)?;
        Ok(out)
    }
}
