//! Group coefficients given draws of the rest: `group_draws`.

use super::PyCrossProducts;
use crate::marginal::conditional::{Given, draw_levels};
use crate::marginal::crossproducts::CrossProducts;
use crate::python::arguments::{flat, shape_error};
use numpy::{
    PyArray1, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3,
};
use pyo3::prelude::*;

/// Draws of r for levels first..last, as level × coefficient × draw.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
#[pyo3(signature = (*, data, covariance, sigma, coefficients, back, first, last, seed, threads))]
pub fn group_draws<'py>(
    py: Python<'py>,
    data: PyRef<'py, PyCrossProducts>,
    covariance: PyReadonlyArray3<'_, f64>,
    sigma: PyReadonlyArray1<'_, f64>,
    coefficients: PyReadonlyArray2<'_, f64>,
    back: PyReadonlyArray2<'_, f64>,
    first: usize,
    last: usize,
    seed: u64,
    threads: usize,
) -> PyResult<Bound<'py, PyArray3<f64>>> {
    let data = &data.inner;
    let (given, draws) = given(data, &covariance, &sigma, &coefficients, &back, first, last)?;
    let mut out = vec![0.0; (last - first) * data.q * draws];
    py.detach(|| draw_levels(data, &given, first..last, seed, threads, &mut out));
    PyArray1::from_vec(py, out).reshape([last - first, data.q, draws])
}

fn given(
    data: &CrossProducts,
    covariance: &PyReadonlyArray3<'_, f64>,
    sigma: &PyReadonlyArray1<'_, f64>,
    coefficients: &PyReadonlyArray2<'_, f64>,
    back: &PyReadonlyArray2<'_, f64>,
    first: usize,
    last: usize,
) -> PyResult<(Given, usize)> {
    let (q, draws) = (data.q, sigma.as_array().len());
    let flat_prior = covariance.as_array().is_empty();
    if (!flat_prior && covariance.as_array().dim() != (draws, q, q))
        || coefficients.as_array().dim() != (draws, data.width - 1)
        || back.as_array().dim() != (q, q)
        || first > last
        || last > data.n_levels
        || q == 0
    {
        return Err(shape_error("draws or levels"));
    }
    let given = Given::new(
        &flat(covariance.as_array().iter()),
        &flat(sigma.as_array().iter()),
        &flat(coefficients.as_array().iter()),
        &flat(back.as_array().iter()),
    );
    Ok((given, draws))
}
