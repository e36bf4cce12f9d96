//! A Gaussian model with its coefficients integrated out: `Integrated`.

use crate::marginal::held_out::{
    Coefficients, Levels, Rows, Scales, coefficients, leave_rows_out as leave_all_out,
};
use crate::python::arguments::{flat, shape_error, vector};
use numpy::{
    PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyReadonlyArray3,
};
use pyo3::prelude::*;

/// Levels' cross-products and draws of φ, with the coefficients that follow from both.
///
/// `zz` and `zb` are level by level; the integrated columns of `zb` come first, the response last.
/// `covariance` (per draw) or `flat` (W per level) is empty. `total` and `prior` are cross-products
/// of all rows and of the priors; `contrast` has minus the coefficients that are not integrated.
#[pyclass(frozen, name = "Integrated", module = "partialpool._core")]
pub struct PyIntegrated {
    q: usize,
    width: usize,
    n_integrated: usize,
    zz: Vec<f64>,
    zb: Vec<f64>,
    sigma: Vec<f64>,
    covariance: Vec<f64>,
    flat: Vec<f64>,
    found: Coefficients,
}

impl PyIntegrated {
    fn levels(&self) -> Levels<'_> {
        let Self { q, width, n_integrated, .. } = *self;
        Levels { q, width, n_integrated, zz: &self.zz, zb: &self.zb }
    }
}

#[pymethods]
impl PyIntegrated {
    #[new]
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (
        *, zz, zb, sigma, covariance, flat_w, contrast, total, prior, n_integrated, threads
    ))]
    fn new(
        py: Python<'_>,
        zz: PyReadonlyArray3<'_, f64>,
        zb: PyReadonlyArray3<'_, f64>,
        sigma: PyReadonlyArray1<'_, f64>,
        covariance: PyReadonlyArray3<'_, f64>,
        flat_w: PyReadonlyArray3<'_, f64>,
        contrast: PyReadonlyArray2<'_, f64>,
        total: PyReadonlyArray2<'_, f64>,
        prior: PyReadonlyArray2<'_, f64>,
        n_integrated: usize,
        threads: usize,
    ) -> PyResult<Self> {
        let (n_levels, q, width) = zb.as_array().dim();
        let draws = sigma.as_array().len();
        let fixed = covariance.as_array().is_empty();
        let right = zz.as_array().dim() == (n_levels, q, q)
            && n_integrated < width
            && contrast.as_array().dim() == (draws, width)
            && total.as_array().dim() == (width, width)
            && prior.as_array().dim() == (width, width)
            && (fixed || covariance.as_array().dim() == (draws, q, q))
            && (!fixed || flat_w.as_array().dim() == (n_levels, q, q));
        if !right || draws == 0 {
            return Err(shape_error("levels and draws"));
        }
        let mut made = Self {
            q,
            width,
            n_integrated,
            zz: flat(zz.as_array().iter()),
            zb: flat(zb.as_array().iter()),
            sigma: sigma.as_array().to_vec(),
            covariance: flat(covariance.as_array().iter()),
            flat: flat(flat_w.as_array().iter()),
            found: Coefficients { contrast: Vec::new(), root: Vec::new() },
        };
        let contrast = flat(contrast.as_array().iter());
        let (total, prior) = (flat(total.as_array().iter()), flat(prior.as_array().iter()));
        made.found = py.detach(|| {
            let scales = Scales::new(q, &made.sigma, &made.covariance, &made.flat);
            coefficients(&made.levels(), &scales, contrast, &total, &prior, threads)
        });
        Ok(made)
    }

    /// Per draw: `(−b, 1)`, and L⁻¹ (p × p, lower), where LLᵀ is the precision of the integrated
    /// part of b.
    #[allow(clippy::type_complexity)]
    fn coefficients<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyArray2<f64>>, Bound<'py, PyArray3<f64>>)> {
        let (draws, p) = (self.sigma.len(), self.n_integrated);
        let contrast = PyArray1::from_slice(py, &self.found.contrast);
        let root = PyArray1::from_slice(py, &self.found.root);
        Ok((contrast.reshape([draws, self.width])?, root.reshape([draws, p, p])?))
    }

    /// Leave out every row in turn: row × 4 (score, Pareto k, mean, log score). Rows are sorted by
    /// level.
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (*, z, b, level, scale, y, relative, threads))]
    fn leave_rows_out<'py>(
        &self,
        py: Python<'py>,
        z: PyReadonlyArray2<'_, f64>,
        b: PyReadonlyArray2<'_, f64>,
        level: PyReadonlyArray1<'_, i64>,
        scale: PyReadonlyArray1<'_, f64>,
        y: PyReadonlyArray1<'_, f64>,
        relative: f64,
        threads: usize,
    ) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let (n, levels) = (b.as_array().nrows(), self.levels());
        let n_levels = levels.zz.len().checked_div(self.q * self.q).unwrap_or(usize::MAX);
        let level = level.as_array().to_vec();
        let known = |level: &i64| usize::try_from(*level).is_ok_and(|level| level < n_levels);
        if z.as_array().dim() != (n, self.q)
            || b.as_array().ncols() != self.width
            || level.len() != n
            || !level.iter().all(known)
            || relative.is_nan()
            || relative <= 0.0
        {
            return Err(shape_error("rows and levels"));
        }
        let rows = Rows {
            z: &flat(z.as_array().iter()),
            b: &flat(b.as_array().iter()),
            level: &level,
            scale: &vector(&scale, n, "scale")?,
            y: &vector(&y, n, "y")?,
            levels,
        };
        let found = py.detach(|| {
            let scales = Scales::new(self.q, &self.sigma, &self.covariance, &self.flat);
            leave_all_out(&rows, &scales, &self.found, relative, threads)
        });
        let each = found.iter().flat_map(|row| [row.elpd, row.pareto_k, row.mean, row.log_score]);
        PyArray1::from_vec(py, each.collect()).reshape([n, 4])
    }
}
