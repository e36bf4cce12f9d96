//! Response families: `family_rows`, `link_probabilities`.

use super::arguments::{flat, shape_error};
use crate::family::link::probabilities;
use crate::family::{Kind, Likelihood, Link};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

pub fn likelihood(
    kind: &str,
    link: &str,
    y: Vec<f64>,
    trials: Vec<f64>,
    weights: Vec<f64>,
) -> PyResult<Likelihood> {
    let unknown = || PyValueError::new_err(format!("unknown family {kind} or link {link}"));
    let (kind, link) = Kind::parse(kind).zip(Link::parse(link)).ok_or_else(unknown)?;
    Likelihood::new(kind, link, y, trials, weights).map_err(PyValueError::new_err)
}

/// For tests: the log likelihood of each row, all constants included, its slopes by linear predictor
/// and log residual sd (empty: rows have none of their own), and the summed slopes by `aux`.
#[pyfunction]
#[allow(clippy::too_many_arguments, clippy::type_complexity)]
pub fn family_rows<'py>(
    py: Python<'py>,
    kind: &str,
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
    let all = likelihood(kind, link, y.clone(), trials.clone(), weights.clone())?;
    let least = all.n_aux() - usize::from(all.has_sigma() && !log_sigma.is_empty());
    let n_aux = if kind == Kind::Cumulative.name() { least.max(aux.len()) } else { least };
    if eta.len() != n || ![0, n].contains(&log_sigma.len()) || aux.len() != n_aux {
        return Err(shape_error("eta, log_sigma or aux"));
    }
    let (mut logp, mut d_aux) = (Vec::with_capacity(n), vec![0.0; n_aux]);
    for i in 0..n {
        let one = |values: &[f64]| values.get(i).copied().into_iter().collect::<Vec<_>>();
        let row = likelihood(kind, link, vec![y[i]], one(&trials), one(&weights))?;
        let (mut eta, mut log_sigma, mut unused) = ([eta[i]], one(&log_sigma), d_aux.clone());
        let rest = row.rows_in_vectors(0..1, &aux, &mut eta, &mut log_sigma, &mut unused);
        logp.push(row.shared(&aux, &mut unused) + rest);
    }
    all.shared(&aux, &mut d_aux);
    all.rows_in_vectors(0..n, &aux, &mut eta, &mut log_sigma, &mut d_aux);
    Ok((
        PyArray1::from_vec(py, logp),
        PyArray1::from_vec(py, eta),
        PyArray1::from_vec(py, log_sigma),
        PyArray1::from_vec(py, d_aux),
    ))
}

/// The probabilities p and 1 − p at each linear predictor (n × 2), each with all its digits.
#[pyfunction]
pub fn link_probabilities<'py>(
    py: Python<'py>,
    link: &str,
    eta: PyReadonlyArray1<'_, f64>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let eta = flat(eta.as_array().iter());
    let pairs = Link::parse(link).and_then(|link| probabilities(link, &eta));
    let pairs = pairs.ok_or_else(|| PyValueError::new_err(format!("unknown link {link}")))?;
    let values = pairs.into_iter().flat_map(|(p, q)| [p, q]).collect();
    PyArray1::from_vec(py, values).reshape([eta.len(), 2])
}
