//! Sums of cells, which rows are added to batch by batch, and codes of keys as they come.

use super::arguments::shape_error;
use crate::index::{KeyIndex as Keys, OutOfBytes, TextIndex as Inside, Texts};
use crate::moments::{Cells as Inner, Rows, Sum};
use crate::parallel::in_parts;
use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArray3, PyArrayMethods};
use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3};
use pyo3::prelude::*;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Cells>()?;
    module.add_class::<KeyIndex>()?;
    module.add_class::<TextIndex>()
}

/// Cells that a thread takes at once.
const SHARE: usize = 4096;

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

    /// How many cells there are.
    fn count(&self) -> usize {
        self.inner.len()
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

    /// By cell: rows, weight, mean, triangle; all cells, or these in this order. With `constant` a
    /// column stands before the others whose mean is 0, and which does not vary.
    #[pyo3(signature = (*, order=None, constant=false, threads=1))]
    fn parts<'py>(
        &self,
        py: Python<'py>,
        order: Option<PyReadonlyArray1<'_, i64>>,
        constant: bool,
        threads: usize,
    ) -> PyResult<Parts<'py>> {
        let inner = &self.inner;
        let order = order.as_ref().map(|own| own.as_slice()).transpose()?;
        if order.is_some_and(|own| own.iter().any(|&k| k < 0 || k as usize >= inner.len())) {
            return Err(shape_error("order"));
        }
        let d = self.d + usize::from(constant);
        let count = order.map_or(inner.len(), <[i64]>::len);
        let (mut n, mut weight) = (vec![0; count], vec![0.0; count]);
        let (mut mean, mut root) = (vec![0.0; count * d], vec![0.0; count * d * d]);
        py.detach(|| {
            let means =
                mean.chunks_mut(SHARE * d.max(1)).zip(root.chunks_mut(SHARE * d.max(1) * d.max(1)));
            let counts = n.chunks_mut(SHARE).zip(weight.chunks_mut(SHARE));
            let mut shares: Vec<_> = counts.zip(means).collect();
            in_parts(&mut shares, threads, |first, some| {
                for (k, ((n, weight), (mean, root))) in some.iter_mut().enumerate() {
                    for cell in 0..n.len() {
                        let at = (first + k) * SHARE + cell;
                        let own = inner.get(order.map_or(at, |order| order[at] as usize));
                        (n[cell], weight[cell]) = (own.rows as i64, own.weight);
                        mean[(cell + 1) * d - self.d..(cell + 1) * d].copy_from_slice(own.mean);
                        let root = &mut root[cell * d * d..][..d * d];
                        let lead = d - self.d;
                        unpack(self.d, own.triangle, |a, c, value| {
                            root[(a + lead) * d + c + lead] = value;
                        });
                    }
                }
            });
        });
        Ok((
            n.into_pyarray(py),
            weight.into_pyarray(py),
            mean.into_pyarray(py).reshape([count, d])?,
            root.into_pyarray(py).reshape([count, d, d])?,
        ))
    }

    /// All rows that were added, without weights: mean, triangle; the smallest and largest of each
    /// column; and the sum of the logarithms of the weights.
    fn overall<'py>(&self, py: Python<'py>, threads: usize) -> Whole<'py> {
        let inner = &self.inner;
        let (sums, (low, high, logs)) = py.detach(|| (inner.overall(threads), inner.ranges()));
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
        threads: usize,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let (inner, keys) = (&mut self.inner, keys.as_slice()?);
        Ok(py.detach(|| inner.add(keys, threads)).into_pyarray(py))
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

/// Texts, as Arrow has them, as codes from 0 in the order in which they came.
#[pyclass]
struct TextIndex {
    inner: Inside,
}

type Bytes<'py> = PyReadonlyArray1<'py, u8>;
type Offsets<'py> = PyReadonlyArray1<'py, i64>;
type Missing<'py> = PyReadonlyArray1<'py, bool>;

#[pymethods]
impl TextIndex {
    #[new]
    fn new() -> Self {
        Self { inner: Inside::default() }
    }

    /// The code of each text, −1 of those that are missing; new ones get the next.
    #[pyo3(signature = (*, data, offsets, missing))]
    fn add<'py>(
        &mut self,
        py: Python<'py>,
        data: Bytes<'_>,
        offsets: Offsets<'_>,
        missing: Missing<'_>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let (texts, inner) = (texts(&data, &offsets, &missing)?, &mut self.inner);
        let found = py.detach(|| inner.add(&texts));
        found.map(|codes| codes.into_pyarray(py)).map_err(|OutOfBytes| shape_error("texts"))
    }

    /// The code of each text, −1 of those that are not known, or missing.
    #[pyo3(signature = (*, data, offsets, missing))]
    fn find<'py>(
        &self,
        py: Python<'py>,
        data: Bytes<'_>,
        offsets: Offsets<'_>,
        missing: Missing<'_>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let (texts, inner) = (texts(&data, &offsets, &missing)?, &self.inner);
        let found = py.detach(|| inner.find(&texts));
        found.map(|codes| codes.into_pyarray(py)).map_err(|OutOfBytes| shape_error("texts"))
    }

    /// The texts that are known, by code: their bytes, and where each begins and ends.
    fn texts<'py>(&self, py: Python<'py>) -> (Bound<'py, PyArray1<u8>>, Bound<'py, PyArray1<i64>>) {
        let (bytes, ends) = self.inner.texts();
        (PyArray1::from_slice(py, bytes), PyArray1::from_slice(py, ends))
    }
}

fn texts<'a>(
    data: &'a Bytes<'_>,
    offsets: &'a Offsets<'_>,
    missing: &'a Missing<'_>,
) -> PyResult<Texts<'a>> {
    let (bytes, offsets, missing) = (data.as_slice()?, offsets.as_slice()?, missing.as_slice()?);
    if offsets.len() != missing.len() + 1 {
        return Err(shape_error("offsets"));
    }
    Ok(Texts { bytes, offsets, missing })
}
