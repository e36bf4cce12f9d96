//! Sums of cells, which rows are added to batch by batch, and codes of keys as they come.

use super::arguments::shape_error;
use crate::index::KeyIndex as Keys;
use crate::moments::{Cells as Inner, Rows, Sum};
use numpy::ndarray::{Array2, Array3};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArray3};
use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3};
use pyo3::prelude::*;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Cells>()?;
    module.add_class::<KeyIndex>()
}

type Parts<'py> = (
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray3<f64>>,
);
type Whole<'py> = (
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    f64,
);

/// What the rows of each cell add up to.
#[pyclass]
struct Cells {
    d: usize,
    inner: Inner,
}

#[pymethods]
impl Cells {
    #[new]
    #[pyo3(signature = (*, columns, weighted))]
    fn new(columns: usize, weighted: bool) -> Self {
        Self { d: columns, inner: Inner::new(columns, weighted) }
    }

    /// Add rows; cells are as many as the largest code needs.
    #[pyo3(signature = (*, codes, values, origin, weights, threads))]
    fn add(
        &mut self,
        py: Python<'_>,
        codes: PyReadonlyArray1<'_, i64>,
        values: PyReadonlyArray2<'_, f64>,
        origin: PyReadonlyArray1<'_, f64>,
        weights: Option<PyReadonlyArray1<'_, f64>>,
        threads: usize,
    ) -> PyResult<()> {
        let (codes, values, origin) = (codes.as_slice()?, values.as_slice()?, origin.as_slice()?);
        let weights = weights.as_ref().map(|own| own.as_slice()).transpose()?;
        if origin.len() != self.d
            || values.len() != codes.len() * self.d
            || weights.is_some_and(|own| own.len() != codes.len())
        {
            return Err(shape_error("codes, values, origin and weights"));
        }
        let inner = &mut self.inner;
        py.detach(|| {
            let (mut least, mut most) = (0, -1);
            for &code in codes {
                (least, most) = (least.min(code), most.max(code));
            }
            if least < 0 {
                return Err(shape_error("codes below 0"));
            }
            inner.grow((most + 1) as usize);
            inner.add(&Rows { codes, values, origin, weights }, threads);
            Ok(())
        })
    }

    /// Add what other rows of these cells add up to.
    #[pyo3(signature = (*, codes, n, weight, mean, root))]
    fn join(
        &mut self,
        codes: PyReadonlyArray1<'_, i64>,
        n: PyReadonlyArray1<'_, i64>,
        weight: PyReadonlyArray1<'_, f64>,
        mean: PyReadonlyArray2<'_, f64>,
        root: PyReadonlyArray3<'_, f64>,
    ) -> PyResult<()> {
        let (d, codes, n) = (self.d, codes.as_slice()?, n.as_slice()?);
        let (weight, mean, root) = (weight.as_slice()?, mean.as_slice()?, root.as_slice()?);
        let count = codes.len();
        if n.len() != count
            || weight.len() != count
            || mean.len() != count * d
            || root.len() != count * d * d
            || codes.iter().any(|&code| code < 0)
        {
            return Err(shape_error("parts"));
        }
        let mut triangle = Vec::with_capacity(d * (d + 1) / 2);
        for (k, &code) in codes.iter().enumerate() {
            triangle.clear();
            for a in 0..d {
                triangle.extend_from_slice(&root[(k * d + a) * d..][a..d]);
            }
            let part = Sum {
                weight: weight[k],
                rows: n[k] as f64,
                mean: &mean[k * d..][..d],
                triangle: &triangle,
            };
            self.inner.join(code as usize, &part);
        }
        Ok(())
    }

    /// By cell: rows, weight, mean, triangle.
    fn parts<'py>(&self, py: Python<'py>) -> Parts<'py> {
        let (d, count) = (self.d, self.inner.len());
        let (mut n, mut weight) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let (mut mean, mut root) = (Array2::zeros((count, d)), Array3::zeros((count, d, d)));
        for k in 0..count {
            let own = self.inner.get(k);
            n.push(own.rows as i64);
            weight.push(own.weight);
            for (to, from) in mean.row_mut(k).iter_mut().zip(own.mean) {
                *to = *from;
            }
            unpack(d, own.triangle, |a, c, value| root[[k, a, c]] = value);
        }
        (n.into_pyarray(py), weight.into_pyarray(py), mean.into_pyarray(py), root.into_pyarray(py))
    }

    /// All rows that were added, without weights: mean, triangle; the smallest and largest of each
    /// column; and the sum of the logarithms of the weights.
    fn overall<'py>(&self, py: Python<'py>) -> Whole<'py> {
        let (sums, (low, high, logs)) = (self.inner.overall(), self.inner.ranges());
        let whole = sums.get(0);
        let mut root = Array2::zeros((self.d, self.d));
        unpack(self.d, whole.triangle, |a, c, value| root[[a, c]] = value);
        (
            PyArray1::from_slice(py, whole.mean),
            root.into_pyarray(py),
            low.into_pyarray(py),
            high.into_pyarray(py),
            logs,
        )
    }
}

/// The entries of a triangle that is stored by rows; no row's diagonal is negative.
fn unpack(d: usize, triangle: &[f64], mut set: impl FnMut(usize, usize, f64)) {
    let mut left = triangle.iter();
    for a in 0..d {
        let mut sign = 1.0;
        for c in a..d {
            let value = left.next().copied().unwrap_or(0.0);
            if c == a && value < 0.0 {
                sign = -1.0;
            }
            set(a, c, sign * value);
        }
    }
}

/// Whole numbers as codes from 0, in the order in which they came.
#[pyclass]
struct KeyIndex {
    inner: Keys,
}

#[pymethods]
impl KeyIndex {
    #[new]
    fn new() -> Self {
        Self { inner: Keys::default() }
    }

    /// The code of each key; new ones get the next.
    fn add<'py>(
        &mut self,
        py: Python<'py>,
        keys: PyReadonlyArray1<'_, i64>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let (inner, keys) = (&mut self.inner, keys.as_slice()?);
        Ok(py.detach(|| inner.add(keys)).into_pyarray(py))
    }

    /// The code of each key, −1 of those that are not known.
    fn find<'py>(
        &self,
        py: Python<'py>,
        keys: PyReadonlyArray1<'_, i64>,
        threads: usize,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let (inner, keys) = (&self.inner, keys.as_slice()?);
        Ok(py.detach(|| inner.find(keys, threads)).into_pyarray(py))
    }

    /// The keys that are known, by code.
    fn keys<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        PyArray1::from_slice(py, self.inner.keys())
    }
}
