//! `diagnose`: many parameters at once, on several threads.

use super::arguments::{flat, shape_error};
use crate::diagnostics::diagnose as diagnose_one;
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray3};
use pyo3::prelude::*;

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
        let share = parameters.div_ceil(threads.max(1)).max(1);
        std::thread::scope(|scope| {
            for (input, output) in draws.chunks(share * size).zip(out.chunks_mut(share * 7)) {
                scope.spawn(move || {
                    for (one, to) in input.chunks_exact(size).zip(output.chunks_exact_mut(7)) {
                        let d = diagnose_one(one, n);
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
            }
        });
    });
    PyArray1::from_vec(py, out).reshape([parameters, 7])
}
