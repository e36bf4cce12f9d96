//! Response families: `row_densities`, `family_rows`, `link_probabilities`.

use super::arguments::shape_error;
use crate::family::densities::{Draws, Responses, log_densities};
use crate::family::link::probabilities;
use crate::family::{Kind, Likelihood, Link};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(row_densities, module)?)?;
    module.add_function(wrap_pyfunction!(family_rows, module)?)?;
    module.add_function(wrap_pyfunction!(link_probabilities, module)?)
}

pub fn likelihood(
    kind: &str,
    link: &str,
    y: Vec<f64>,
    trials: Vec<f64>,
    weights: Vec<f64>,
) -> PyResult<Likelihood> {
    let (kind, link) = known(kind, link)?;
    Likelihood::new(kind, link, y, trials, weights).map_err(PyValueError::new_err)
}

fn known(kind: &str, link: &str) -> PyResult<(Kind, Link)> {
    let unknown = || PyValueError::new_err(format!("unknown family {kind} or link {link}"));
    Kind::parse(kind).zip(Link::parse(link)).ok_or_else(unknown)
}

/// The log density of every response given every draw, row × draw, constants and weights included.
/// `eta` and `log_sigma` are row × draw (the latter empty where rows have no residual sd of their
/// own), `aux` is draw × parameter.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
#[pyo3(signature = (*, family, link, y, trials, weights, eta, log_sigma, aux, threads))]
pub fn row_densities<'py>(
    py: Python<'py>,
    family: &str,
    link: &str,
    y: Vec<f64>,
    trials: Vec<f64>,
    weights: Vec<f64>,
    eta: PyReadonlyArray2<'_, f64>,
    log_sigma: PyReadonlyArray2<'_, f64>,
    aux: PyReadonlyArray2<'_, f64>,
    threads: usize,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let (kind, link) = known(family, link)?;
    let (rows, n) = eta.as_array().dim();
    let own = log_sigma.as_array().dim();
    let contiguous = |_| shape_error("eta, log_sigma and aux row by row");
    let draws = Draws {
        n,
        eta: eta.as_slice().map_err(contiguous)?,
        log_sigma: log_sigma.as_slice().map_err(contiguous)?,
        aux: aux.as_slice().map_err(contiguous)?,
    };
    let of_rows = |values: &[f64]| values.is_empty() || values.len() == rows;
    if y.len() != rows || !of_rows(&trials) || !of_rows(&weights) || aux.as_array().nrows() != n {
        return Err(shape_error("y, trials, weights, eta and aux"));
    }
    if !draws.log_sigma.is_empty() && own != (rows, n) {
        return Err(shape_error("eta and log_sigma"));
    }
    let responses = Responses { kind, link, y: &y, trials: &trials, weights: &weights };
    let mut out = vec![0.0; rows * n];
    py.detach(|| log_densities(&responses, &draws, threads, &mut out))
        .map_err(PyValueError::new_err)?;
    PyArray1::from_vec(py, out).reshape([rows, n])
}

/// For tests: the log likelihood of each row, all constants included, its slopes by linear predictor
/// and log residual sd (empty: rows have none of their own), and the summed slopes by `aux`.
#[pyfunction]
#[allow(clippy::too_many_arguments, clippy::type_complexity)]
#[pyo3(signature = (*, family, link, y, trials, weights, eta, log_sigma, aux))]
pub fn family_rows<'py>(
    py: Python<'py>,
    family: &str,
    link: &str,
    y: Vec<f64>,
    trials: Vec<f64>,
    weights: Vec<f64>,
    mut eta: Vec<f64>,
    mut log_sigma: Vec<f64>,
    aux: Vec<f64>,
) -> PyResult<(
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
)> {
    let n = y.len();
    if eta.len() != n || ![0, n].contains(&log_sigma.len()) {
        return Err(shape_error("eta or log_sigma"));
    }
    let (kind, link) = known(family, link)?;
    let responses = Responses { kind, link, y: &y, trials: &trials, weights: &weights };
    let (mut logp, mut d_aux) = (vec![0.0; n], vec![0.0; aux.len()]);
    let draw = Draws { n: 1, eta: &eta, log_sigma: &log_sigma, aux: &aux };
    log_densities(&responses, &draw, 1, &mut logp).map_err(PyValueError::new_err)?;
    let all = Likelihood::new(kind, link, y, trials, weights).map_err(PyValueError::new_err)?;
    all.shared(&aux, &mut d_aux);
    all.rows_in_vectors(0..n, &aux, &mut eta, &mut log_sigma, &mut d_aux, &mut []);
    Ok((
        PyArray1::from_vec(py, logp),
        PyArray1::from_vec(py, eta),
        PyArray1::from_vec(py, log_sigma),
        PyArray1::from_vec(py, d_aux),
    ))
}

/// The probabilities p and 1 − p at each linear predictor, each with all its digits.
#[pyfunction]
#[allow(clippy::type_complexity)]
#[pyo3(signature = (*, link, eta, threads))]
pub fn link_probabilities<'py>(
    py: Python<'py>,
    link: &str,
    eta: PyReadonlyArray1<'_, f64>,
    threads: usize,
) -> PyResult<(Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>)> {
    let unknown = || PyValueError::new_err(format!("unknown link {link}"));
    let known = Link::parse(link).ok_or_else(unknown)?;
    let eta = eta.as_array().to_vec();
    let (p, q) = py.detach(|| probabilities(known, &eta, threads)).ok_or_else(unknown)?;
    Ok((PyArray1::from_vec(py, p), PyArray1::from_vec(py, q)))
}
