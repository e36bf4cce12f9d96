//! `Joint`: the density of all parameters, and Metropolis on it.

use super::arguments::{BoundedSpec, all_bounded, bounded, flat, shape_error, vector};
use super::marginal::PyCrossProducts;
use super::watch::watched;
use crate::sampler::{Plan, Watch};
use crate::walk::{GroupPrior, Joint, Scratch, Walk, walk};
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyJoint>()
}

/// The joint density of all parameters on their natural scales (see walk/).
#[pyclass(frozen, name = "Joint", module = "partialpool._core")]
pub struct PyJoint {
    joint: Joint,
}

#[pymethods]
impl PyJoint {
    #[new]
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (
        *, data, map, shift, t, base, unback, prior_rows, b, sd, pairs, lkj_eta,
        correlations, fixed_sd, bounds, sigma
    ))]
    fn new(
        data: PyRef<'_, PyCrossProducts>,
        map: PyReadonlyArray2<'_, f64>,
        shift: Vec<f64>,
        t: PyReadonlyArray2<'_, f64>,
        base: Vec<f64>,
        unback: PyReadonlyArray2<'_, f64>,
        prior_rows: PyReadonlyArray2<'_, f64>,
        b: Vec<BoundedSpec>,
        sd: Vec<BoundedSpec>,
        pairs: Vec<(usize, usize)>,
        lkj_eta: f64,
        correlations: Option<Vec<BoundedSpec>>,
        fixed_sd: Vec<f64>,
        bounds: Vec<(f64, f64)>,
        sigma: Option<BoundedSpec>,
    ) -> PyResult<Self> {
        let (q, w, p) = (data.inner.q, data.inner.width, b.len());
        if map.as_array().dim() != (p, p)
            || shift.len() != p
            || p + 1 != w
            || t.as_array().dim() != (q, p)
            || base.len() != q
            || unback.as_array().dim() != (q, q)
            || prior_rows.as_array().dim() != (w, w)
            || pairs.iter().any(|&(i, j)| i >= q || j >= q || i == j)
            || correlations.as_ref().is_some_and(|list| list.len() != pairs.len())
        {
            return Err(shape_error("joint density"));
        }
        let group = if q == 0 {
            None
        } else if sd.len() == q {
            let elementwise = correlations.as_deref().map(all_bounded).transpose()?;
            let sd = all_bounded(&sd)?;
            Some(GroupPrior::Hierarchical { sd, pairs, eta: lkj_eta, elementwise })
        } else if fixed_sd.len() == q && bounds.len() == q {
            Some(GroupPrior::Fixed { sd: fixed_sd, bounds })
        } else {
            return Err(shape_error("group prior"));
        };
        let joint = Joint {
            data: data.inner.clone(),
            map: flat(map.as_array().iter()),
            shift,
            t: flat(t.as_array().iter()),
            base,
            unback: flat(unback.as_array().iter()),
            prior_rows: flat(prior_rows.as_array().iter()),
            b: all_bounded(&b)?,
            group,
            sigma: sigma.as_ref().map(bounded).transpose()?,
        };
        Ok(Self { joint })
    }

    #[getter]
    fn dim(&self) -> usize {
        self.joint.dim()
    }

    /// Log density, up to a constant.
    fn logp(&self, theta: PyReadonlyArray1<'_, f64>) -> PyResult<f64> {
        let theta = vector(&theta, self.joint.dim(), "theta")?;
        Ok(self.joint.logp(&theta, &mut Scratch::default()))
    }

    /// Random-walk Metropolis from each row of `starts`.
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (*, starts, proposal_sd, draws, warmup, seed, threads, progress))]
    fn metropolis<'py>(
        &self,
        py: Python<'py>,
        starts: PyReadonlyArray2<'_, f64>,
        proposal_sd: Vec<f64>,
        draws: usize,
        warmup: usize,
        seed: u64,
        threads: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let dim = self.joint.dim();
        let starts: Vec<Vec<f64>> =
            starts.as_array().outer_iter().map(|row| row.to_vec()).collect();
        if proposal_sd.len() != dim || starts.iter().any(|start| start.len() != dim) {
            return Err(shape_error("starts or proposal_sd"));
        }
        let plan = Plan {
            chains: starts.len(),
            draws,
            warmup,
            exact_warmup: true,
            seed,
            threads,
            max_depth: 0,
            surrogate: false,
            design: None,
        };
        let joint = &self.joint;
        let work = |watch: &Watch| walk(joint, &starts, &proposal_sd, &plan, watch);
        let (walks, interrupted) = watched(py, progress, plan.chains, None, work)?;
        let chains = walks.into_iter().map(|walk| walk_dict(py, walk, dim));
        let out = PyDict::new(py);
        out.set_item("interrupted", interrupted)?;
        out.set_item("chains", chains.collect::<PyResult<Vec<_>>>()?)?;
        Ok(out)
    }
}

fn walk_dict<'py>(py: Python<'py>, walk: Walk, dim: usize) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("outputs", PyArray1::from_vec(py, walk.draws).reshape([walk.kept, dim])?)?;
    out.set_item("logp", PyArray1::from_vec(py, walk.logp))?;
    out.set_item("acceptance", walk.acceptance)?;
    out.set_item("seconds", walk.seconds)?;
    out.set_item("failure", walk.failure)?;
    Ok(out)
}
