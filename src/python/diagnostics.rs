//! `diagnose`: many parameters at once, on several threads; `leave_out`: many rows.

use super::arguments::{flat, shape_error};
use crate::diagnostics::Diagnostics;
use crate::parallel::in_parts;
use crate::psis;
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2, PyReadonlyArray3};
use pyo3::prelude::*;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(leave_out, module)?)?;
    module.add_function(wrap_pyfunction!(diagnose, module)?)
}

/// Diagnose parameters: draws is parameter × chain × draw; out is parameter × 7
/// (mean, sd, mcse_mean, ess_bulk, ess_tail, r_hat, constant).
#[pyfunction]
pub fn diagnose<'py>(
    py: Python<'py>,
    draws: PyReadonlyArray3<'_, f64>,
    threads: usize,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let (parameters, chains, n) = draws.as_array().dim();
    let draws = flat(draws.as_array().iter());
    let size = chains * n;
    if size == 0 {
        return Err(shape_error("no draws"));
    }
    let mut out = vec![0.0; parameters * 7];
    py.detach(|| {
        let mut each: Vec<_> = draws.chunks_exact(size).zip(out.chunks_exact_mut(7)).collect();
        in_parts(&mut each, threads, |_, some| {
            let mut diagnostics = Diagnostics::new(n, size);
            for (one, to) in some {
                let d = diagnostics.of(one);
                to.copy_from_slice(&[
                    d.mean,
                    d.sd,
                    d.mcse_mean,
                    d.ess_bulk,
                    d.ess_tail,
                    d.r_hat,
                    f64::from(u8::from(d.constant)),
                ]);
            }
        });
    });
    PyArray1::from_vec(py, out).reshape([parameters, 7])
}

/// Score rows without themselves, from the log densities of their draws (row × draw): row × 3
/// (score, Pareto k, log mean density), and the normalised weights of the draws.
#[pyfunction]
#[allow(clippy::type_complexity)]
#[pyo3(signature = (*, log_density, relative, threads))]
pub fn leave_out<'py>(
    py: Python<'py>,
    log_density: PyReadonlyArray2<'_, f64>,
    relative: f64,
    threads: usize,
) -> PyResult<(Bound<'py, PyArray2<f64>>, Bound<'py, PyArray2<f64>>)> {
    let (rows, n) = log_density.as_array().dim();
    if n == 0 || relative.is_nan() || relative <= 0.0 {
        return Err(shape_error("no draws"));
    }
    let mut values = log_density.as_slice().map_err(|_| shape_error("log_density"))?.to_vec();
    let scores = py.detach(|| psis::leave_out(&mut values, n, relative, threads));
    let numbers = scores.iter().flat_map(|s| [s.elpd, s.pareto_k, s.log_mean]).collect();
    Ok((
        PyArray1::from_vec(py, numbers).reshape([rows, 3])?,
        PyArray1::from_vec(py, values).reshape([rows, n])?,
    ))
}
