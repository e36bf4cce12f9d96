//! `Blocks`: rows of a model with several factors, reduced, and what follows from them at some
//! relative covariance.

use super::arguments::{flat, shape_error};
use crate::blocks::{
    AllRows, Cost, Draws, Elimination, NodeAt, Products, Rows, Shape, draws, leave_rows_out,
    log_densities, node_moments,
};
use numpy::{
    PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyReadonlyArray3,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::Arc;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyBlocks>()
}

/// Rows reduced to cross-products of the pairs of levels that occur (see blocks/).
#[pyclass(frozen, name = "Blocks", module = "partialpool._core")]
pub struct PyBlocks {
    pub inner: Arc<Products>,
}

/// Numbers of several factors, one array a factor.
type Matrices<'py> = Vec<PyReadonlyArray2<'py, f64>>;

#[pymethods]
impl PyBlocks {
    /// Rows of Z (a matrix n × q a factor) and [X y] (n × w), each multiplied by `row_scale`.
    #[new]
    #[pyo3(signature = (*, z, codes, n_levels, unscale, xy, row_scale=None))]
    fn new(
        py: Python<'_>,
        z: Matrices<'_>,
        codes: Vec<PyReadonlyArray1<'_, i64>>,
        n_levels: Vec<usize>,
        unscale: Matrices<'_>,
        xy: PyReadonlyArray2<'_, f64>,
        row_scale: Option<PyReadonlyArray1<'_, f64>>,
    ) -> PyResult<Self> {
        let (n, w) = xy.as_array().dim();
        let scale = match &row_scale {
            None => vec![1.0; n],
            Some(scale) => flat(scale.as_array().iter()),
        };
        if scale.len() != n {
            return Err(shape_error("row_scale"));
        }
        let rows = rows(&z, &codes, &n_levels, &unscale, &scale)?;
        let xy = scaled(&xy, &scale);
        let inner = py.detach(|| Products::new(&rows, &xy, w));
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Rebuild from what `parts` gave.
    #[staticmethod]
    #[pyo3(signature = (*, unscale, n_levels, row, column, value, width, n_rows))]
    fn from_parts(
        unscale: Matrices<'_>,
        n_levels: Vec<usize>,
        row: Vec<usize>,
        column: Vec<usize>,
        value: PyReadonlyArray1<'_, f64>,
        width: usize,
        n_rows: usize,
    ) -> PyResult<Self> {
        let value = value.as_array();
        if row.len() != value.len() || column.len() != value.len() || width == 0 {
            return Err(shape_error("parts"));
        }
        let shapes: Vec<Shape> = (unscale.iter().zip(&n_levels))
            .map(|(unscale, &n_levels)| shape(unscale.as_array().nrows(), n_levels, unscale))
            .collect::<PyResult<_>>()?;
        if shapes.len() != n_levels.len() || shapes.is_empty() {
            return Err(shape_error("parts"));
        }
        let places = row.into_iter().zip(column);
        let entries = places.zip(value).map(|((r, c), &v)| (r, c, v)).collect();
        let inner = Products::from_gram(&shapes, (width, n_rows), &entries);
        Ok(Self { inner: Arc::new(inner.ok_or_else(|| shape_error("parts"))?) })
    }

    /// The cross-products as entries (row, column, value) of one symmetric matrix, whose columns are
    /// those of all factors, level by level, then [X y].
    #[allow(clippy::type_complexity)]
    fn parts<'py>(
        &self,
        py: Python<'py>,
    ) -> (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>) {
        let entries = py.detach(|| self.inner.gram());
        let rows = entries.iter().map(|&(row, ..)| row as i64).collect();
        let columns = entries.iter().map(|&(_, column, _)| column as i64).collect();
        let values = entries.iter().map(|&(.., value)| value).collect();
        let rows = PyArray1::from_vec(py, rows);
        (rows, PyArray1::from_vec(py, columns), PyArray1::from_vec(py, values))
    }

    /// What brings working columns of Z to those of the user, q × q a factor.
    #[getter]
    fn unscale<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyArray2<f64>>>> {
        let each = self.inner.factors.iter();
        each.map(|f| PyArray1::from_slice(py, &f.unscale).reshape([f.q, f.q])).collect()
    }

    #[getter]
    fn n_levels(&self) -> Vec<usize> {
        self.inner.factors.iter().map(|factor| factor.n_levels).collect()
    }

    #[getter]
    fn n_rows(&self) -> usize {
        self.inner.n_rows
    }

    /// Operations of an evaluation, as many as a dense Cholesky factorisation that takes the same
    /// time, and bytes of working storage.
    #[getter]
    fn cost(&self) -> (f64, f64) {
        let cost = Cost::of(&self.inner);
        (cost.operations, cost.bytes)
    }

    #[getter]
    fn width(&self) -> usize {
        self.inner.width
    }

    /// log|V₀| and K at the factors of the relative covariances, q × q each.
    fn at<'py>(
        &self,
        py: Python<'py>,
        factors: Matrices<'_>,
    ) -> PyResult<(f64, Bound<'py, PyArray2<f64>>)> {
        let (found, log_det, k) = self.evaluated(py, &factors)?;
        let w = found.data.width;
        Ok((log_det, PyArray1::from_vec(py, k).reshape([w, w])?))
    }

    /// For each factor `Σ (P − CΩCᵀ)`, which is half the slope of log|V₀| + tr(ΩK) by entries of its
    /// relative covariance.
    fn slopes<'py>(
        &self,
        py: Python<'py>,
        factors: Matrices<'_>,
        omega: PyReadonlyArray2<'_, f64>,
    ) -> PyResult<Vec<Bound<'py, PyArray2<f64>>>> {
        let w = self.inner.width;
        if omega.as_array().dim() != (w, w) {
            return Err(shape_error("omega"));
        }
        let omega = flat(omega.as_array().iter());
        let (mut found, ..) = self.evaluated(py, &factors)?;
        let slopes = py.detach(|| found.slopes(&omega));
        let each = slopes.into_iter().zip(&self.inner.factors);
        each.map(|(s, factor)| PyArray1::from_vec(py, s).reshape([factor.q, factor.q])).collect()
    }

    /// C of every level, (level, q, w) a factor.
    fn pull<'py>(
        &self,
        py: Python<'py>,
        factors: Matrices<'_>,
    ) -> PyResult<Vec<Bound<'py, PyArray3<f64>>>> {
        let (mut found, ..) = self.evaluated(py, &factors)?;
        let n = self.inner.factors.len();
        let pulls: Vec<Vec<f64>> = py.detach(|| (0..n).map(|k| found.pulls(k)).collect());
        let each = pulls.into_iter().zip(&self.inner.factors);
        each.map(|(c, f)| PyArray1::from_vec(py, c).reshape([f.n_levels, f.q, self.inner.width]))
            .collect()
    }

    /// Covariances of every level's r given b, over σ²: (level, q, q) a factor.
    fn variances<'py>(
        &self,
        py: Python<'py>,
        factors: Matrices<'_>,
    ) -> PyResult<Vec<Bound<'py, PyArray3<f64>>>> {
        let (mut found, ..) = self.evaluated(py, &factors)?;
        let n = self.inner.factors.len();
        let all: Vec<Vec<f64>> = py.detach(|| {
            found.invert();
            (0..n).map(|k| found.conditional(k).covariance).collect()
        });
        let each = all.into_iter().zip(&self.inner.factors);
        each.map(|(v, f)| PyArray1::from_vec(py, v).reshape([f.n_levels, f.q, f.q])).collect()
    }

    /// Moments of all levels' own coefficients at nodes of φ, b integrated: means and variances,
    /// (node, level, q) each, a pair a factor.
    ///
    /// By node: `covariance` (q, q) a factor, `sigma`, `prior` (w, w), the normal priors of b as
    /// rows, and `sampled`, the coefficients that are not integrated. Coefficients are
    /// `maps[k] c + back[k] r`.
    #[pyo3(signature = (*, covariance, sigma, prior, sampled, maps, back, threads))]
    #[allow(clippy::too_many_arguments, clippy::type_complexity)]
    fn node_moments<'py>(
        &self,
        py: Python<'py>,
        covariance: Vec<PyReadonlyArray3<'_, f64>>,
        sigma: Vec<f64>,
        prior: PyReadonlyArray2<'_, f64>,
        sampled: PyReadonlyArray2<'_, f64>,
        maps: Matrices<'_>,
        back: Matrices<'_>,
        threads: usize,
    ) -> PyResult<Vec<(Bound<'py, PyArray3<f64>>, Bound<'py, PyArray3<f64>>)>> {
        let (w, m) = (self.inner.width, sigma.len());
        let lambda = self.lambdas(&covariance, &sigma)?;
        self.check_draws(m, &prior, &sampled)?;
        let factors = &self.inner.factors;
        if maps.len() != factors.len() || back.len() != factors.len() {
            return Err(shape_error("maps"));
        }
        for ((map, back), factor) in maps.iter().zip(&back).zip(factors) {
            let shapes = (map.as_array().dim(), back.as_array().dim());
            if shapes != ((factor.q, w - 1), (factor.q, factor.q)) {
                return Err(shape_error("maps"));
            }
        }
        let all = |matrices: &Matrices<'_>| -> Vec<Vec<f64>> {
            matrices.iter().map(|one| flat(one.as_array().iter())).collect()
        };
        let at = NodeAt {
            draws: Draws {
                lambda: &lambda,
                sigma: &sigma,
                prior: &flat(prior.as_array().iter()),
                sampled: &flat(sampled.as_array().iter()),
            },
            maps: &all(&maps),
            back: &all(&back),
        };
        let found = py.detach(|| node_moments(&self.inner, &at, threads));
        let found = found.ok_or_else(degenerate)?;
        let each = found.into_iter().zip(factors);
        each.map(|((mean, variance), f)| {
            let shape = [m, f.n_levels, f.q];
            let array = |x| PyArray1::from_vec(py, x).reshape(shape);
            Ok((array(mean)?, array(variance)?))
        })
        .collect()
    }

    /// Log density of all rows at draws of φ, b integrated, up to what flat priors leave open.
    #[pyo3(signature = (*, covariance, sigma, prior, sampled, threads))]
    fn log_densities<'py>(
        &self,
        py: Python<'py>,
        covariance: Vec<PyReadonlyArray3<'_, f64>>,
        sigma: Vec<f64>,
        prior: PyReadonlyArray2<'_, f64>,
        sampled: PyReadonlyArray2<'_, f64>,
        threads: usize,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let lambda = self.lambdas(&covariance, &sigma)?;
        self.check_draws(sigma.len(), &prior, &sampled)?;
        let draws = Draws {
            lambda: &lambda,
            sigma: &sigma,
            prior: &flat(prior.as_array().iter()),
            sampled: &flat(sampled.as_array().iter()),
        };
        let found = py.detach(|| log_densities(&self.inner, &draws, threads));
        Ok(PyArray1::from_vec(py, found))
    }

    /// Leave out every row in turn, at draws of φ: (draw, row, 3), log density given the others,
    /// deviation from the mean then, log density of another such row given all. Rows as they were
    /// reduced.
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (*, z, codes, xy, row_scale, covariance, sigma, prior, sampled, threads))]
    fn leave_rows_out<'py>(
        &self,
        py: Python<'py>,
        z: Matrices<'_>,
        codes: Vec<PyReadonlyArray1<'_, i64>>,
        xy: PyReadonlyArray2<'_, f64>,
        row_scale: PyReadonlyArray1<'_, f64>,
        covariance: Vec<PyReadonlyArray3<'_, f64>>,
        sigma: Vec<f64>,
        prior: PyReadonlyArray2<'_, f64>,
        sampled: PyReadonlyArray2<'_, f64>,
        threads: usize,
    ) -> PyResult<Bound<'py, PyArray3<f64>>> {
        let lambda = self.lambdas(&covariance, &sigma)?;
        self.check_draws(sigma.len(), &prior, &sampled)?;
        let (scale, factors) = (flat(row_scale.as_array().iter()), &self.inner.factors);
        if xy.as_array().dim() != (self.inner.n_rows, self.inner.width)
            || scale.len() != self.inner.n_rows
        {
            return Err(shape_error("rows"));
        }
        let unscale: Vec<_> = self.unscale(py)?.iter().map(|own| own.readonly()).collect();
        let n_levels: Vec<usize> = factors.iter().map(|factor| factor.n_levels).collect();
        let rows = rows(&z, &codes, &n_levels, &unscale, &scale)?;
        let xy = scaled(&xy, &scale);
        let draws = Draws {
            lambda: &lambda,
            sigma: &sigma,
            prior: &flat(prior.as_array().iter()),
            sampled: &flat(sampled.as_array().iter()),
        };
        let all = AllRows { factors: &rows, xy: &xy };
        let found = py.detach(|| leave_rows_out(&self.inner, &all, &draws, threads));
        let flat = found.ok_or_else(degenerate)?.into_iter().flatten().collect();
        PyArray1::from_vec(py, flat).reshape([sigma.len(), self.inner.n_rows, 3])
    }

    /// Draws of the coefficients r of all factors, factor by factor and level by level, from `first`
    /// to `last`, given draws of φ and of `contrast = (−c, 1)`: (draw, coefficient).
    #[pyo3(signature = (*, covariance, sigma, contrast, first, last, seed, threads))]
    #[allow(clippy::too_many_arguments)]
    fn draws<'py>(
        &self,
        py: Python<'py>,
        covariance: Vec<PyReadonlyArray3<'_, f64>>,
        sigma: Vec<f64>,
        contrast: PyReadonlyArray2<'_, f64>,
        first: usize,
        last: usize,
        seed: u64,
        threads: usize,
    ) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let lambda = self.lambdas(&covariance, &sigma)?;
        let total: usize = self.inner.factors.iter().map(|f| f.q * f.n_levels).sum();
        if contrast.as_array().dim() != (sigma.len(), self.inner.width)
            || first > last
            || last > total
        {
            return Err(shape_error("draws or levels"));
        }
        let contrast = flat(contrast.as_array().iter());
        let given = (&lambda[..], &sigma[..], &contrast[..]);
        let found = py.detach(|| draws(&self.inner, given, first..last, seed, threads));
        let found = found.ok_or_else(degenerate)?;
        PyArray1::from_vec(py, found).reshape([sigma.len(), last - first])
    }
}

/// The shape of a factor.
fn shape(q: usize, n_levels: usize, unscale: &PyReadonlyArray2<'_, f64>) -> PyResult<Shape> {
    if q == 0 || unscale.as_array().dim() != (q, q) {
        return Err(shape_error("columns of a factor"));
    }
    Ok(Shape { q, n_levels, unscale: flat(unscale.as_array().iter()) })
}

/// Rows of a matrix, each multiplied by its scale.
fn scaled(rows: &PyReadonlyArray2<'_, f64>, scale: &[f64]) -> Vec<f64> {
    let mut out = Vec::with_capacity(rows.as_array().len());
    for (row, s) in rows.as_array().rows().into_iter().zip(scale) {
        out.extend(row.iter().map(|x| x * s));
    }
    out
}

/// The rows of all factors.
fn rows(
    z: &Matrices<'_>,
    codes: &[PyReadonlyArray1<'_, i64>],
    n_levels: &[usize],
    unscale: &Matrices<'_>,
    scale: &[f64],
) -> PyResult<Vec<Rows>> {
    let (n, g) = (scale.len(), z.len());
    if g == 0 || [codes.len(), n_levels.len(), unscale.len()] != [g; 3] {
        return Err(shape_error("factors"));
    }
    let of_factor = |k: usize| {
        let ((count, q), levels) = (z[k].as_array().dim(), codes[k].as_array());
        let inside = |&code: &i64| code >= 0 && (code as usize) < n_levels[k];
        if count != n || levels.len() != n || !levels.iter().all(inside) {
            return Err(shape_error("rows of Z and codes"));
        }
        Ok(Rows {
            shape: shape(q, n_levels[k], &unscale[k])?,
            z: scaled(&z[k], scale),
            codes: levels.iter().map(|&code| code as u32).collect(),
        })
    };
    (0..g).map(of_factor).collect()
}

fn degenerate() -> PyErr {
    PyValueError::new_err("the conditional of the coefficients is degenerate")
}

impl PyBlocks {
    fn evaluated(
        &self,
        py: Python<'_>,
        factors: &Matrices<'_>,
    ) -> PyResult<(Elimination, f64, Vec<f64>)> {
        let (data, w) = (&self.inner, self.inner.width);
        let shapes = factors.iter().map(|one| one.as_array().dim());
        if !shapes.eq(data.factors.iter().map(|factor| (factor.q, factor.q))) {
            return Err(shape_error("factors of covariances"));
        }
        let all: Vec<Vec<f64>> = factors.iter().map(|one| flat(one.as_array().iter())).collect();
        let lambda = data.join(&all);
        let mut found = Elimination::new(data.clone());
        let mut k = vec![0.0; w * w];
        let log_det = py.detach(|| found.evaluate(&lambda, &mut k)).ok_or_else(degenerate)?;
        for i in 0..w {
            for j in 0..i {
                k[j * w + i] = k[i * w + j];
            }
        }
        Ok((found, log_det, k))
    }

    fn check_draws(
        &self,
        draws: usize,
        prior: &PyReadonlyArray2<'_, f64>,
        sampled: &PyReadonlyArray2<'_, f64>,
    ) -> PyResult<()> {
        let (w, (rows, columns)) = (self.inner.width, sampled.as_array().dim());
        if prior.as_array().dim() != (w, w) || rows != draws || columns >= w {
            return Err(shape_error("prior or sampled"));
        }
        Ok(())
    }

    /// Λ/σ of every draw, block diagonal over factors, from covariances (draw, q, q) a factor.
    fn lambdas(
        &self,
        covariance: &[PyReadonlyArray3<'_, f64>],
        sigma: &[f64],
    ) -> PyResult<Vec<Vec<f64>>> {
        let factors = &self.inner.factors;
        let shapes = covariance.iter().map(|one| one.as_array().dim());
        if !shapes.eq(factors.iter().map(|factor| (sigma.len(), factor.q, factor.q))) {
            return Err(shape_error("covariances"));
        }
        let views: Vec<_> = covariance.iter().map(|one| one.as_array()).collect();
        Ok((0..sigma.len())
            .map(|s| {
                let each = views.iter().map(|view| {
                    view.outer_iter().nth(s).map(|one| flat(one.iter())).unwrap_or_default()
                });
                self.inner.relative(each, sigma[s])
            })
            .collect())
    }
}
