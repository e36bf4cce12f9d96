//! Averages over nodes of φ: `node_coefficients`, `level_summary`, `row_summary`.

use super::PyCrossProducts;
use crate::marginal::averaged::{Averages, Written};
use crate::marginal::nodes::{Coefficients, Nodes, coefficients as coefficients_at};
use crate::marginal::predictors::{Rows, summarise};
use crate::python::arguments::{flat, shape_error};
use crate::python::mixture::tails;
use numpy::{
    PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyReadonlyArray3,
};
use pyo3::prelude::*;

/// Per node u = (−c, 1) and S, where SᵀS is the covariance of the integrated coefficients, which
/// are the first `n_integrated`; `u` has the others. `covariance` holds Σ per node, `prior` the
/// cross-product of prior rows.
#[pyfunction]
#[allow(clippy::too_many_arguments, clippy::type_complexity)]
#[pyo3(signature = (*, data, prior, covariance, sigma, u, n_integrated, threads))]
pub fn node_coefficients<'py>(
    py: Python<'py>,
    data: PyRef<'py, PyCrossProducts>,
    prior: PyReadonlyArray2<'_, f64>,
    covariance: PyReadonlyArray3<'_, f64>,
    sigma: PyReadonlyArray1<'_, f64>,
    u: PyReadonlyArray2<'_, f64>,
    n_integrated: usize,
    threads: usize,
) -> PyResult<(Bound<'py, PyArray2<f64>>, Bound<'py, PyArray3<f64>>)> {
    let data = &data.inner;
    let (q, w, n) = (data.q, data.width, sigma.as_array().len());
    if covariance.as_array().dim() != (n, q, q)
        || prior.as_array().dim() != (w, w)
        || u.as_array().dim() != (n, w)
        || n_integrated >= w
    {
        return Err(shape_error("nodes"));
    }
    let nodes = nodes(q, &sigma, &covariance);
    let prior = flat(prior.as_array().iter());
    let u = flat(u.as_array().iter());
    let Coefficients { u, root } =
        py.detach(|| coefficients_at(data, &prior, &nodes, n_integrated, u, threads));
    let p = n_integrated;
    Ok((
        PyArray1::from_vec(py, u).reshape([n, w])?,
        PyArray1::from_vec(py, root).reshape([n, p, p])?,
    ))
}

/// Mean, sd and two quantiles of the coefficients of `levels` over weighted nodes: level ×
/// coefficient × 4. `u` and `root` are what [`node_coefficients`] gave, `covariance` is empty where
/// priors are flat; `population` is what the integrated coefficients add to those of a level, and
/// `shift` (node × coefficient) what all of them add.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
#[pyo3(signature = (
    *, data, covariance, sigma, u, root, back, population, shift, weights, levels, probabilities,
    threads
))]
pub fn level_summary<'py>(
    py: Python<'py>,
    data: PyRef<'py, PyCrossProducts>,
    covariance: PyReadonlyArray3<'_, f64>,
    sigma: PyReadonlyArray1<'_, f64>,
    u: PyReadonlyArray2<'_, f64>,
    root: PyReadonlyArray3<'_, f64>,
    back: PyReadonlyArray2<'_, f64>,
    population: PyReadonlyArray2<'_, f64>,
    shift: PyReadonlyArray2<'_, f64>,
    weights: PyReadonlyArray1<'_, f64>,
    levels: PyReadonlyArray1<'_, i64>,
    probabilities: (f64, f64),
    threads: usize,
) -> PyResult<Bound<'py, PyArray3<f64>>> {
    let data = &data.inner;
    let (q, n) = (data.q, sigma.as_array().len());
    let p = population.as_array().ncols();
    let flat_prior = covariance.as_array().is_empty();
    let within = |level: &i64| usize::try_from(*level).ok().filter(|level| *level < data.n_levels);
    let levels: Option<Vec<usize>> = levels.as_array().iter().map(within).collect();
    let (Some(levels), true) = (
        levels,
        (flat_prior || covariance.as_array().dim() == (n, q, q))
            && u.as_array().dim() == (n, data.width)
            && root.as_array().dim() == (n, p, p)
            && back.as_array().dim() == (q, q)
            && population.as_array().dim() == (q, p)
            && shift.as_array().dim() == (n, q)
            && weights.as_array().len() == n
            && p < data.width
            && q * n > 0,
    ) else {
        return Err(shape_error("nodes or levels"));
    };
    let nodes = nodes(q, &sigma, &covariance);
    let found = Coefficients { u: flat(u.as_array().iter()), root: flat(root.as_array().iter()) };
    let written = Written {
        back: &flat(back.as_array().iter()),
        population: &flat(population.as_array().iter()),
        shift: &flat(shift.as_array().iter()),
    };
    let (weights, tails) = (weights.as_array().to_vec(), tails(probabilities)?);
    let mut out = vec![0.0; levels.len() * q * 4];
    py.detach(|| {
        Averages::new(data, &nodes, &found, &written, &weights)
            .summarise(&levels, tails, threads, &mut out);
    });
    PyArray1::from_vec(py, out).reshape([levels.len(), q, 4])
}

/// Mean, sd and two quantiles of rows over weighted nodes: row × 4. A row has the columns `a` of
/// `u`, `z` of the deviations of its level (without rows from the number of levels on), and a
/// variance of its own of `noise` σ²; those of a level stand together. The rest is as in
/// [`level_summary`].
#[pyfunction]
#[allow(clippy::too_many_arguments)]
#[pyo3(signature = (
    *, data, covariance, sigma, u, root, back, weights, levels, a, z, noise, probabilities, threads
))]
pub fn row_summary<'py>(
    py: Python<'py>,
    data: PyRef<'py, PyCrossProducts>,
    covariance: PyReadonlyArray3<'_, f64>,
    sigma: PyReadonlyArray1<'_, f64>,
    u: PyReadonlyArray2<'_, f64>,
    root: PyReadonlyArray3<'_, f64>,
    back: PyReadonlyArray2<'_, f64>,
    weights: PyReadonlyArray1<'_, f64>,
    levels: PyReadonlyArray1<'_, i64>,
    a: PyReadonlyArray2<'_, f64>,
    z: PyReadonlyArray2<'_, f64>,
    noise: PyReadonlyArray1<'_, f64>,
    probabilities: (f64, f64),
    threads: usize,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let data = &data.inner;
    let (q, n) = (data.q, sigma.as_array().len());
    let (p, rows) = (root.as_array().dim().1, levels.as_array().len());
    let flat_prior = covariance.as_array().is_empty();
    if !(flat_prior || covariance.as_array().dim() == (n, q, q))
        || u.as_array().dim() != (n, data.width)
        || root.as_array().dim() != (n, p, p)
        || back.as_array().dim() != (q, q)
        || weights.as_array().len() != n
        || a.as_array().dim() != (rows, data.width)
        || z.as_array().dim() != (rows, q)
        || noise.as_array().len() != rows
        || p >= data.width
        || n == 0
    {
        return Err(shape_error("nodes or rows"));
    }
    let nodes = nodes(q, &sigma, &covariance);
    let found = Coefficients { u: flat(u.as_array().iter()), root: flat(root.as_array().iter()) };
    let written = Written {
        back: &flat(back.as_array().iter()),
        population: &vec![0.0; q * p],
        shift: &vec![0.0; n * q],
    };
    let (weights, tails) = (weights.as_array().to_vec(), tails(probabilities)?);
    let (levels, a) = (levels.as_slice()?, a.as_slice()?);
    let rows = Rows { levels, a, z: z.as_slice()?, noise: noise.as_slice()? };
    let mut out = vec![0.0; levels.len() * 4];
    py.detach(|| {
        let averages = Averages::new(data, &nodes, &found, &written, &weights);
        summarise(&averages, &rows, tails, threads, &mut out);
    });
    PyArray1::from_vec(py, out).reshape([levels.len(), 4])
}

fn nodes(
    q: usize,
    sigma: &PyReadonlyArray1<'_, f64>,
    covariance: &PyReadonlyArray3<'_, f64>,
) -> Nodes {
    Nodes::new(q, sigma.as_array().to_vec(), flat(covariance.as_array().iter()))
}
