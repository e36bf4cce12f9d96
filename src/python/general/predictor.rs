//! `Factor` and `Part`: the linear predictors of `General`.

use crate::general::{Coefficients, Factor, GroupPrior, Part, PriorRow};
use crate::predictor::{Columns, Grouping};
use crate::python::arguments::{
    BlockSpec, BoundedSpec, PriorSpec, ScalarSpec, covariance, flat, prior, scalar, shape_error,
};
use crate::whitening::Whitening;
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

/// A prior of `row · c + shift`.
#[derive(FromPyObject)]
pub struct RowSpec {
    kernel: PriorSpec,
    pub row: Vec<f64>,
    shift: f64,
}

pub fn prior_row(spec: &RowSpec) -> PyResult<PriorRow> {
    Ok(PriorRow::new(prior(&spec.kernel)?, spec.row.clone(), spec.shift))
}

/// A grouping factor with the prior of its coefficients.
#[pyclass(frozen, name = "Factor", module = "partialpool._core")]
pub struct PyFactor {
    grouping: Grouping,
    prior: GroupPrior,
    twin: Vec<f64>,
}

fn grouping(
    codes: &PyReadonlyArray1<'_, i64>,
    z: &PyReadonlyArray2<'_, f64>,
    n_levels: usize,
) -> PyResult<Grouping> {
    let (codes, z) = (codes.as_array(), z.as_array());
    let inside = |c: &i64| *c >= 0 && (*c as usize) < n_levels;
    if z.nrows() != codes.len() || z.ncols() == 0 || !codes.iter().all(inside) {
        return Err(shape_error("rows of Z and codes"));
    }
    let codes = codes.iter().map(|c| *c as u32).collect();
    Ok(Grouping::new(codes, n_levels, flat(z.t().iter())))
}

#[pymethods]
impl PyFactor {
    /// r ~ N(0, Σ) with sampled sds and correlations; `twin` is the shift of the working
    /// coefficients (p × q) that a shift of all levels is like, where other factors have one too.
    #[staticmethod]
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (*, codes, z, n_levels, sd, blocks, lkj_eta, correlations, twin))]
    fn hierarchical(
        codes: PyReadonlyArray1<'_, i64>,
        z: PyReadonlyArray2<'_, f64>,
        n_levels: usize,
        sd: Vec<ScalarSpec>,
        blocks: Vec<BlockSpec>,
        lkj_eta: f64,
        correlations: Option<Vec<BoundedSpec>>,
        twin: Option<PyReadonlyArray2<'_, f64>>,
    ) -> PyResult<Self> {
        let grouping = grouping(&codes, &z, n_levels)?;
        let q = grouping.q;
        if sd.len() != q {
            return Err(shape_error("sds"));
        }
        let covariance = covariance(q, &blocks, lkj_eta, correlations.as_deref())?;
        let sd = sd.iter().map(scalar).collect::<PyResult<_>>()?;
        let twin = twin.map_or_else(Vec::new, |t| flat(t.as_array().iter()));
        if !twin.len().is_multiple_of(q) {
            return Err(shape_error("twin"));
        }
        Ok(Self { grouping, prior: GroupPrior::Hierarchical { sd, covariance }, twin })
    }

    /// r ~ N(mean, ΛΛᵀ), both fixed.
    #[staticmethod]
    #[pyo3(signature = (*, codes, z, n_levels, factor, mean))]
    fn normal(
        codes: PyReadonlyArray1<'_, i64>,
        z: PyReadonlyArray2<'_, f64>,
        n_levels: usize,
        factor: PyReadonlyArray2<'_, f64>,
        mean: Vec<f64>,
    ) -> PyResult<Self> {
        let grouping = grouping(&codes, &z, n_levels)?;
        if factor.as_array().dim() != (grouping.q, grouping.q) || mean.len() != grouping.q {
            return Err(shape_error("mean or factor of the prior"));
        }
        let lambda = flat(factor.as_array().iter());
        Ok(Self { grouping, prior: GroupPrior::Normal { lambda, mean }, twin: vec![] })
    }

    /// Each coefficient by itself; one specification a column.
    #[staticmethod]
    #[pyo3(signature = (*, codes, z, n_levels, scalars))]
    fn separate(
        codes: PyReadonlyArray1<'_, i64>,
        z: PyReadonlyArray2<'_, f64>,
        n_levels: usize,
        scalars: Vec<ScalarSpec>,
    ) -> PyResult<Self> {
        let grouping = grouping(&codes, &z, n_levels)?;
        if scalars.len() != grouping.q {
            return Err(shape_error("priors of the coefficients"));
        }
        let one = scalars.iter().map(scalar).collect::<PyResult<Vec<_>>>()?;
        Ok(Self { grouping, prior: GroupPrior::Separate(one.repeat(n_levels)), twin: vec![] })
    }
}

/// A linear predictor: population columns, their priors, and its factors.
#[pyclass(frozen, name = "Part", module = "partialpool._core")]
pub struct PyPart {
    pub part: Part,
    pub start: Vec<f64>,
}

#[pymethods]
impl PyPart {
    #[new]
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (*, x, offset, start, bounded, map, unmap, shift, priors, factors))]
    fn new(
        x: PyReadonlyArray2<'_, f64>,
        offset: Option<PyReadonlyArray1<'_, f64>>,
        start: Vec<f64>,
        bounded: Vec<Option<ScalarSpec>>,
        map: PyReadonlyArray2<'_, f64>,
        unmap: PyReadonlyArray2<'_, f64>,
        shift: Vec<f64>,
        priors: Vec<RowSpec>,
        factors: Vec<PyRef<'_, PyFactor>>,
    ) -> PyResult<Self> {
        let (n, p) = x.as_array().dim();
        let offset = offset.map_or_else(Vec::new, |o| o.as_array().to_vec());
        if map.as_array().dim() != (p, p)
            || unmap.as_array().dim() != (p, p)
            || [start.len(), bounded.len(), shift.len()] != [p; 3]
            || priors.iter().any(|prior| prior.row.len() != p)
            || !(offset.is_empty() || offset.len() == n)
            || factors.iter().any(|f| f.grouping.codes.len() != n)
            || factors.iter().any(|f| ![0, p * f.grouping.q].contains(&f.twin.len()))
        {
            return Err(shape_error("linear predictor"));
        }
        let bounded = bounded
            .iter()
            .map(|spec| spec.as_ref().map(scalar).transpose())
            .collect::<PyResult<Vec<_>>>()?;
        let coefficients = Coefficients {
            map: flat(map.as_array().iter()),
            unmap: flat(unmap.as_array().iter()),
            shift,
            priors: priors.iter().map(prior_row).collect::<PyResult<_>>()?,
            centre: Vec::new(),
            basis: Vec::new(),
            bounded,
        };
        let columns = Columns {
            n,
            p,
            x: flat(x.as_array().t().iter()),
            offset,
            groupings: factors.iter().map(|f| f.grouping.clone()).collect(),
        };
        let factors = factors
            .iter()
            .map(|f| Factor {
                prior: f.prior.clone(),
                whitening: Whitening::none(f.grouping.q, p, f.grouping.n_levels),
                twin: f.twin.clone(),
            })
            .collect::<Vec<_>>();
        Ok(Self { part: Part::new(columns, coefficients, factors), start })
    }

    /// First guess of the coefficients.
    #[getter]
    fn start(&self) -> Vec<f64> {
        self.start.clone()
    }
}
