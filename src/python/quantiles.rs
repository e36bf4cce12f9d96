//! `draw_summary`: mean, sd and two quantiles of draws.

use super::arguments::shape_error;
use crate::parallel::in_parts;
use crate::quantiles::Summary;
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2};
use pyo3::prelude::*;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(draw_summary, module)?)
}

/// Mean, sd and two quantiles, row × 4, of draws that are row × draw.
#[pyfunction]
#[pyo3(signature = (*, draws, probabilities, threads))]
pub fn draw_summary<'py>(
    py: Python<'py>,
    draws: PyReadonlyArray2<'_, f64>,
    probabilities: (f64, f64),
    threads: usize,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let draws = draws.as_array();
    let (rows, n) = draws.dim();
    let (lower, upper) = probabilities;
    if !(0.0 <= lower && lower <= upper && upper <= 1.0) {
        return Err(shape_error("probabilities"));
    }
    let mut out = vec![0.0; rows * 4];
    py.detach(|| {
        let mut each: Vec<_> = out.chunks_exact_mut(4).collect();
        in_parts(&mut each, threads, |first, some| {
            let mut summary = Summary::new([lower, upper], n);
            let mut copy = Vec::new();
            for (k, out) in some.iter_mut().enumerate() {
                let row = draws.row(first + k);
                let own = row.as_slice().unwrap_or_else(|| {
                    copy.clear();
                    copy.extend(row.iter().copied());
                    &copy
                });
                out.copy_from_slice(&summary.of(own));
            }
        });
    });
    PyArray1::from_vec(py, out).reshape([rows, 4])
}
