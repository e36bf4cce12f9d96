//! `CrossProducts`: rows in, reduced to what the Gaussian likelihood needs.

use crate::lanes::LANES;
use crate::marginal::crossproducts::{Corners, CrossProducts, upper};
use crate::points::Maker;
use crate::python::arguments::{flat, shape_error};
use crate::python::points::cells;
use numpy::{
    PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyReadonlyArray3,
};
use pyo3::prelude::*;

/// Rows reduced to what the Gaussian likelihood needs (see crossproducts.rs).
#[pyclass(frozen, name = "CrossProducts", module = "partialpool._core")]
pub struct PyCrossProducts {
    pub inner: CrossProducts,
}

#[pymethods]
impl PyCrossProducts {
    /// Rows of Z (n × q) and [X y] (n × w), each multiplied by `row_scale`; they stand for
    /// `n_rows`, by default themselves.
    #[new]
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (*, z, xy, codes, n_levels, unscale, row_scale=None, n_rows=None, threads=1))]
    fn new(
        py: Python<'_>,
        z: PyReadonlyArray2<'_, f64>,
        xy: PyReadonlyArray2<'_, f64>,
        codes: PyReadonlyArray1<'_, i64>,
        n_levels: usize,
        unscale: PyReadonlyArray2<'_, f64>,
        row_scale: Option<PyReadonlyArray1<'_, f64>>,
        n_rows: Option<usize>,
        threads: usize,
    ) -> PyResult<Self> {
        let (z, xy) = (z.as_array(), xy.as_array());
        let (n, q) = z.dim();
        let unscale = unscale.as_array();
        if xy.nrows() != n || (q > 0 && codes.as_array().len() != n) || unscale.dim() != (q, q) {
            return Err(shape_error("rows of Z, [X y] and codes"));
        }
        if q > 0 && codes.as_array().iter().any(|&c| c < 0 || c as usize >= n_levels) {
            return Err(shape_error("codes beyond the levels"));
        }
        let row_scale = row_scale.as_ref().map(|s| s.as_array());
        if row_scale.as_ref().is_some_and(|s| s.len() != n) {
            return Err(shape_error("row_scale"));
        }
        let none = vec![0; if q == 0 { n } else { 0 }];
        let codes = if q == 0 { &none[..] } else { codes.as_slice()? };
        let inner = py.detach(|| {
            let mut inner = CrossProducts::new(q, xy.ncols(), n_levels);
            let row = |i: usize, z_row: &mut [f64], xy_row: &mut [f64]| {
                let factor = row_scale.as_ref().map_or(1.0, |s| s[i]);
                for (to, from) in z_row.iter_mut().zip(z.row(i)) {
                    *to = from * factor;
                }
                for (to, from) in xy_row.iter_mut().zip(xy.row(i)) {
                    *to = from * factor;
                }
            };
            inner.add_rows(codes, row, threads);
            inner.finish(&flat(unscale.iter()));
            inner.n_rows = n_rows.unwrap_or(inner.n_rows);
            inner
        });
        Ok(Self { inner })
    }

    /// Rows that are told by the moments of cells, each with the level in `codes`: Z and [X y] are
    /// affine in the cells' columns, and given at their corners. These are where the columns are what
    /// was taken out of them, and for each of them where it alone is higher, by its step; `fixed` and
    /// `sd` are as in `cell_points`.
    #[staticmethod]
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (
        *, z, xy, steps, weight, mean, root, fixed, sd, codes, n_levels, unscale, n_rows, threads
    ))]
    fn of_cells(
        py: Python<'_>,
        z: PyReadonlyArray2<'_, f64>,
        xy: PyReadonlyArray2<'_, f64>,
        steps: PyReadonlyArray1<'_, f64>,
        weight: PyReadonlyArray1<'_, f64>,
        mean: PyReadonlyArray2<'_, f64>,
        root: PyReadonlyArray3<'_, f64>,
        fixed: PyReadonlyArray1<'_, f64>,
        sd: PyReadonlyArray1<'_, f64>,
        codes: PyReadonlyArray1<'_, i64>,
        n_levels: usize,
        unscale: PyReadonlyArray2<'_, f64>,
        n_rows: usize,
        threads: usize,
    ) -> PyResult<Self> {
        let (moments, columns) = cells(&weight, &mean, &root, [&fixed, &sd])?;
        let (z, xy, unscale) = (z.as_array(), xy.as_array(), unscale.as_array());
        let ((corners, q), d) = (z.dim(), columns.fixed.len());
        let steps = steps.as_slice()?;
        if corners != d + 1 || xy.nrows() != d + 1 || steps.len() != d {
            return Err(shape_error("corners"));
        }
        let none = vec![0; if q == 0 { moments.weight.len() } else { 0 }];
        let codes = if q == 0 { &none[..] } else { codes.as_slice()? };
        if codes.len() != moments.weight.len() || unscale.dim() != (q, q) {
            return Err(shape_error("codes and unscale"));
        }
        if q > 0 && codes.iter().any(|&c| c < 0 || c as usize >= n_levels) {
            return Err(shape_error("codes beyond the levels"));
        }
        let both = z.rows().into_iter().zip(xy.rows());
        let values: Vec<f64> =
            both.flat_map(|(z, xy)| [z.to_vec(), xy.to_vec()].concat()).collect();
        let inner = py.detach(|| {
            let mut inner = CrossProducts::new(q, xy.ncols(), n_levels);
            let at = Corners { values: &values, steps };
            inner.add_cells(codes, &Maker::new(&moments, &columns), &at, threads);
            inner.finish(&flat(unscale.iter()));
            inner.n_rows = n_rows;
            inner
        });
        Ok(Self { inner })
    }

    #[getter]
    fn n_levels(&self) -> usize {
        self.inner.n_levels
    }

    #[getter]
    fn n_rows(&self) -> usize {
        self.inner.n_rows
    }

    /// R (levels × q × q), B (levels × q × w), W (w × w) and the number of rows.
    #[allow(clippy::type_complexity)]
    fn parts<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(
        Bound<'py, PyArray3<f64>>,
        Bound<'py, PyArray3<f64>>,
        Bound<'py, PyArray2<f64>>,
        usize,
    )> {
        let data = &self.inner;
        let (q, w) = (data.q, data.width);
        let (mut r, mut b) = (Vec::new(), Vec::new());
        for level in 0..if q == 0 { 0 } else { data.n_levels } {
            let (block, lane) = (level / LANES, level % LANES);
            for a in 0..q {
                for c in 0..q {
                    let entry = block * q * (q + 1) / 2;
                    r.push(if c < a { 0.0 } else { data.r[entry + upper(q, a, c)][lane] });
                }
                b.extend((0..w).map(|c| data.b[(block * q + a) * w + c][lane]));
            }
        }
        let levels = r.len() / (q * q).max(1);
        Ok((
            PyArray1::from_vec(py, r).reshape([levels, q, q])?,
            PyArray1::from_vec(py, b).reshape([levels, q, w])?,
            PyArray1::from_slice(py, &data.w).reshape([w, w])?,
            data.n_rows,
        ))
    }

    /// What is left when every level's coefficients are projected out: `n_rows` counts the rows
    /// that remain, those beyond the ranks of all Z_j.
    fn projected(&self, n_rows: usize) -> Self {
        let mut inner = CrossProducts::new(0, self.inner.width, 0);
        inner.w.clone_from(&self.inner.w);
        inner.n_rows = n_rows;
        Self { inner }
    }

    /// Rebuild from what `parts` gave.
    #[staticmethod]
    #[pyo3(signature = (*, r, b, w, n_rows))]
    fn from_parts(
        r: PyReadonlyArray3<'_, f64>,
        b: PyReadonlyArray3<'_, f64>,
        w: PyReadonlyArray2<'_, f64>,
        n_rows: usize,
    ) -> PyResult<Self> {
        let (r, b, w) = (r.as_array(), b.as_array(), w.as_array());
        let (n_levels, q, width) = (r.dim().0, r.dim().1, w.nrows());
        if r.dim() != (n_levels, q, q) || b.dim() != (n_levels, q, width) || !w.is_square() {
            return Err(shape_error("parts"));
        }
        let mut inner = CrossProducts::new(q, width, n_levels);
        inner.n_rows = n_rows;
        inner.w = w.iter().copied().collect();
        for level in 0..n_levels {
            let (block, lane) = (level / LANES, level % LANES);
            for a in 0..q {
                for c in a..q {
                    inner.r[block * q * (q + 1) / 2 + upper(q, a, c)][lane] = r[[level, a, c]];
                }
                for c in 0..width {
                    inner.b[(block * q + a) * width + c][lane] = b[[level, a, c]];
                }
            }
        }
        Ok(Self { inner })
    }
}
