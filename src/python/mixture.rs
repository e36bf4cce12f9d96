//! `mixture_summary`: averages over weighted nodes at each of which the distribution is normal.

use super::arguments::{shape_error, vector};
use crate::lanes::{Lane, ZERO};
use crate::mixture::{Mixture, Tail, weights_in_lanes};
use crate::parallel::in_parts;
use numpy::ndarray::ArrayView3;
use numpy::{PyArray1, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray3};
use pyo3::prelude::*;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(mixture_summary, module)?)
}

/// The quantiles that are asked for.
pub fn tails((lower, upper): (f64, f64)) -> PyResult<[Tail; 2]> {
    let inside = |p: f64| p > 0.0 && p < 1.0;
    if inside(lower) && inside(upper) {
        Ok([Tail::new(lower), Tail::new(upper)])
    } else {
        Err(shape_error("probabilities"))
    }
}

/// Mean, sd and two quantiles, level × coefficient × 4, from means and variances that are
/// node × level × coefficient.
#[pyfunction]
#[pyo3(signature = (*, means, variances, weights, probabilities, threads))]
pub fn mixture_summary<'py>(
    py: Python<'py>,
    means: PyReadonlyArray3<'_, f64>,
    variances: PyReadonlyArray3<'_, f64>,
    weights: PyReadonlyArray1<'_, f64>,
    probabilities: (f64, f64),
    threads: usize,
) -> PyResult<Bound<'py, PyArray3<f64>>> {
    let (means, variances) = (means.as_array(), variances.as_array());
    let (nodes, levels, q) = means.dim();
    let weights = weights_in_lanes(&vector(&weights, nodes, "weights")?);
    if variances.dim() != means.dim() || nodes == 0 {
        return Err(shape_error("means and variances"));
    }
    let tails = tails(probabilities)?;
    let mut out = vec![0.0; levels * q * 4];
    py.detach(|| {
        let mut each: Vec<_> = out.chunks_exact_mut(4).collect();
        in_parts(&mut each, threads, |first, some| {
            pulp::Arch::new().dispatch(Part {
                means,
                variances,
                weights: &weights,
                tails,
                first,
                some,
            });
        });
    });
    PyArray1::from_vec(py, out).reshape([levels, q, 4])
}

/// What one thread does: the coefficients from `first` on.
struct Part<'a, 'b, 'c> {
    means: ArrayView3<'a, f64>,
    variances: ArrayView3<'a, f64>,
    weights: &'a [Lane],
    tails: [Tail; 2],
    first: usize,
    some: &'b mut [&'c mut [f64]],
}

impl pulp::WithSimd for Part<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let (n, q) = (self.means.dim().0, self.means.dim().2);
        let mut mixture = Mixture::new(self.weights, self.tails);
        let mut own = [vec![ZERO; self.weights.len()], vec![ZERO; self.weights.len()]];
        for (k, out) in self.some.iter_mut().enumerate() {
            let (level, term) = ((self.first + k) / q, (self.first + k) % q);
            for (own, all) in own.iter_mut().zip([&self.means, &self.variances]) {
                for (node, to) in own.iter_mut().flatten().enumerate() {
                    *to = all[[node.min(n - 1), level, term]];
                }
            }
            out.copy_from_slice(&mixture.summary(&own[0], &own[1]));
        }
    }
}
