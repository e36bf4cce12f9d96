//! The narrow door: numpy arrays in, numpy arrays out. The only file that knows PyO3.

use crate::conditional::{Given, draw_levels, summarise_levels};
use crate::covariance::{Block, CorrelationPrior, Covariance};
use crate::crossproducts::{CrossProducts, LANES, upper};
use crate::diagnostics::diagnose as diagnose_one;
use crate::family::link::probabilities;
use crate::family::{Kind, Likelihood, Link};
use crate::gaussian::{Marginal, MarginalDensity, Scale};
use crate::joint::{Bounded, GroupPrior, Joint, Scratch as JointScratch};
use crate::metropolis::walk;
use crate::prior::{Prior, Scalar, Support};
use crate::sampler::{ChainRun, Density, Plan, Watch, sample};
use numpy::{
    PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyReadonlyArray3,
};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::time::{Duration, Instant};

mod general;

/// (kernel, its numbers)
type PriorSpec = (String, Vec<f64>);
/// (prior, low, high, unit, start, signed)
type ScalarSpec = (PriorSpec, f64, f64, f64, f64, bool);

fn prior(spec: &PriorSpec) -> PyResult<Prior> {
    Ok(match (spec.0.as_str(), spec.1.as_slice()) {
        ("flat", []) => Prior::Flat,
        ("normal", &[loc, scale]) => Prior::Normal { loc, scale },
        ("student_t", &[df, loc, scale]) => Prior::StudentT { df, loc, scale },
        ("gamma", &[shape, rate]) => Prior::Gamma { shape, rate },
        ("inverse_gamma", &[shape, scale]) => Prior::InverseGamma { shape, scale },
        ("log_normal", &[mu, sigma]) => Prior::LogNormal { mu, sigma },
        _ => return Err(PyValueError::new_err(format!("unknown prior {spec:?}"))),
    })
}

fn scalar((kernel, low, high, unit, start, signed): &ScalarSpec) -> PyResult<Scalar> {
    let (low, high, unit) = (*low, *high, *unit);
    let support = match (low.is_finite(), high.is_finite()) {
        _ if *signed => Support::Signed { unit, high },
        (false, false) => Support::Real { centre: *start, unit },
        (true, false) => Support::Above { low, unit },
        (false, true) => Support::Below { high, unit },
        (true, true) => Support::Between { low, high },
    };
    Ok(Scalar { prior: prior(kernel)?, support, start: *start })
}

fn scale(spec: &(Option<ScalarSpec>, f64)) -> PyResult<Scale> {
    Ok(match &spec.0 {
        Some(spec) => Scale::Sampled(scalar(spec)?),
        None => Scale::Known(spec.1),
    })
}

fn shape_error(what: &str) -> PyErr {
    PyValueError::new_err(format!("shapes do not agree: {what}"))
}

/// Rows reduced to what the Gaussian likelihood needs (see crossproducts.rs).
#[pyclass(frozen, name = "CrossProducts", module = "partialpool._core")]
struct PyCrossProducts {
    inner: CrossProducts,
}

#[pymethods]
impl PyCrossProducts {
    /// Rows of Z (n × q) and [X y] (n × w), each multiplied by `row_scale`.
    #[new]
    #[pyo3(signature = (z, xy, codes, n_levels, unscale, row_scale=None))]
    fn new(
        py: Python<'_>,
        z: PyReadonlyArray2<'_, f64>,
        xy: PyReadonlyArray2<'_, f64>,
        codes: PyReadonlyArray1<'_, i64>,
        n_levels: usize,
        unscale: PyReadonlyArray2<'_, f64>,
        row_scale: Option<PyReadonlyArray1<'_, f64>>,
    ) -> PyResult<Self> {
        let (z, xy, codes) = (z.as_array(), xy.as_array(), codes.as_array());
        let (n, q) = z.dim();
        let unscale = unscale.as_array();
        if xy.nrows() != n || (q > 0 && codes.len() != n) || unscale.dim() != (q, q) {
            return Err(shape_error("rows of Z, [X y] and codes"));
        }
        if q > 0 && codes.iter().any(|&c| c < 0 || c as usize >= n_levels) {
            return Err(shape_error("codes beyond the levels"));
        }
        let row_scale = row_scale.as_ref().map(|s| s.as_array());
        if row_scale.as_ref().is_some_and(|s| s.len() != n) {
            return Err(shape_error("row_scale"));
        }
        let inner = py.detach(|| {
            let mut inner = CrossProducts::new(q, xy.ncols(), n_levels);
            let (mut z_row, mut xy_row) = (vec![0.0; q], vec![0.0; xy.ncols()]);
            for i in 0..n {
                let factor = row_scale.as_ref().map_or(1.0, |s| s[i]);
                for (to, from) in z_row.iter_mut().zip(z.row(i)) {
                    *to = from * factor;
                }
                for (to, from) in xy_row.iter_mut().zip(xy.row(i)) {
                    *to = from * factor;
                }
                let level = if q == 0 { 0 } else { codes[i] as usize };
                inner.add_row(level, &mut z_row, &mut xy_row);
            }
            inner.finish(&unscale.iter().copied().collect::<Vec<_>>());
            inner
        });
        Ok(Self { inner })
    }

    #[getter]
    fn n_levels(&self) -> usize {
        self.inner.n_levels
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

/// The marginal density of a Gaussian model with at most one grouping factor (see gaussian.rs).
#[pyclass(frozen, name = "Marginal", module = "partialpool._core")]
struct PyMarginal {
    model: Arc<Marginal>,
}

#[pymethods]
impl PyMarginal {
    #[new]
    #[allow(clippy::too_many_arguments)]
    fn new(
        data: PyRef<'_, PyCrossProducts>,
        sd: Vec<(Option<ScalarSpec>, f64)>,
        blocks: Vec<(usize, usize, bool)>,
        lkj_eta: f64,
        correlations: Option<Vec<BoundedSpec>>,
        sigma: (Option<ScalarSpec>, f64),
        sampled: Vec<ScalarSpec>,
        sampled_map: PyReadonlyArray2<'_, f64>,
        sampled_shift: Vec<f64>,
        prior_rows: PyReadonlyArray2<'_, f64>,
        constant: f64,
    ) -> PyResult<Self> {
        let (q, w, s) = (data.inner.q, data.inner.width, sampled.len());
        if sd.len() != q || s >= w || sampled_map.as_array().dim() != (s, s) {
            return Err(shape_error("sd or sampled coefficients"));
        }
        if sampled_shift.len() != s || prior_rows.as_array().dim() != (w, w) {
            return Err(shape_error("prior rows"));
        }
        if blocks.iter().any(|b| b.0 >= b.1 || b.1 > q) {
            return Err(shape_error("blocks"));
        }
        let blocks: Vec<Block> = blocks
            .into_iter()
            .map(|(start, stop, correlated)| Block { start, stop, correlated })
            .collect();
        let correlation_prior = correlation_prior(lkj_eta, correlations)?;
        let n_priors = match &correlation_prior {
            CorrelationPrior::Elementwise(list) => Some(list.len()),
            CorrelationPrior::Lkj { .. } => None,
        };
        let covariance = Covariance::new(q, &blocks, correlation_prior);
        if n_priors.is_some_and(|n| n != covariance.n_correlations()) {
            return Err(shape_error("one prior for each correlation"));
        }
        let model = Marginal {
            data: data.inner.clone(),
            covariance,
            sd: sd.iter().map(scale).collect::<PyResult<_>>()?,
            sigma: scale(&sigma)?,
            sampled: sampled.iter().map(scalar).collect::<PyResult<_>>()?,
            sampled_map: sampled_map.as_array().iter().copied().collect(),
            sampled_shift,
            prior_rows: prior_rows.as_array().iter().copied().collect(),
            constant,
        };
        Ok(Self { model: Arc::new(model) })
    }

    #[getter]
    fn dim(&self) -> usize {
        self.model.dim()
    }

    fn start(&self) -> Vec<f64> {
        self.model.start()
    }

    /// Log density and gradient at the unconstrained `u`; −inf outside the support.
    fn logp_and_grad<'py>(
        &self,
        py: Python<'py>,
        u: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<(f64, Bound<'py, PyArray1<f64>>)> {
        let u: Vec<f64> = u.as_array().to_vec();
        if u.len() != self.model.dim() {
            return Err(shape_error("u"));
        }
        let mut grad = vec![0.0; u.len()];
        let mut density = MarginalDensity::new(self.model.clone());
        let logp = density.evaluate(&u, &mut grad).unwrap_or(f64::NEG_INFINITY);
        Ok((logp, PyArray1::from_vec(py, grad)))
    }

    /// Parameters at the unconstrained `u`, with their log prior (Jacobian included).
    fn constrain<'py>(
        &self,
        py: Python<'py>,
        u: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let u: Vec<f64> = u.as_array().to_vec();
        if u.len() != self.model.dim() {
            return Err(shape_error("u"));
        }
        let at = MarginalDensity::new(self.model.clone()).constrained(&u);
        let out = PyDict::new(py);
        out.set_item("sd", PyArray1::from_vec(py, at.sd))?;
        out.set_item("cor", PyArray1::from_vec(py, at.cor))?;
        out.set_item("sigma", at.sigma)?;
        out.set_item("sampled", PyArray1::from_vec(py, at.sampled))?;
        out.set_item("log_prior", at.log_prior)?;
        Ok(out)
    }

    /// Mean seconds per evaluation of density and gradient, over `repeats` evaluations.
    fn time_evaluation(&self, py: Python<'_>, repeats: u32) -> f64 {
        py.detach(|| {
            let mut density = MarginalDensity::new(self.model.clone());
            let u = self.model.start();
            let mut grad = vec![0.0; u.len()];
            let clock = Instant::now();
            for _ in 0..repeats {
                std::hint::black_box(density.evaluate(std::hint::black_box(&u), &mut grad));
            }
            clock.elapsed().as_secs_f64() / f64::from(repeats)
        })
    }

    /// Sample with NUTS. `progress(iterations, divergences)` is called about ten times a second.
    #[allow(clippy::too_many_arguments)]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        chains: usize,
        draws: usize,
        warmup: usize,
        seed: u64,
        threads: usize,
        max_depth: u64,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let plan = Plan { chains, draws, warmup, seed, threads, max_depth };
        sampled(py, &MarginalDensity::new(self.model.clone()), &plan, progress)
    }
}

/// Sample a density while this thread watches; what comes out, chain by chain.
fn sampled<'py, D: Density + Sync>(
    py: Python<'py>,
    density: &D,
    plan: &Plan,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let (runs, interrupted) = watched(py, progress, |watch| sample(density, plan, watch))?;
    let out = PyDict::new(py);
    out.set_item("interrupted", interrupted)?;
    let width = density.n_outputs();
    let chains: Vec<_> =
        runs.into_iter().map(|run| chain_dict(py, run, width)).collect::<PyResult<_>>()?;
    out.set_item("chains", chains)?;
    Ok(out)
}

/// LKJ, or a prior for each correlation.
fn correlation_prior(
    lkj_eta: f64,
    correlations: Option<Vec<BoundedSpec>>,
) -> PyResult<CorrelationPrior> {
    Ok(match correlations {
        None => CorrelationPrior::Lkj { eta: lkj_eta },
        Some(list) => CorrelationPrior::Elementwise(
            list.iter()
                .map(|(kernel, low, high)| Ok((prior(kernel)?, *low, *high)))
                .collect::<PyResult<_>>()?,
        ),
    })
}

/// Draws of r for levels first..last, as level × coefficient × draw.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
fn group_draws<'py>(
    py: Python<'py>,
    data: PyRef<'py, PyCrossProducts>,
    covariance: PyReadonlyArray3<'_, f64>,
    sigma: PyReadonlyArray1<'_, f64>,
    coefficients: PyReadonlyArray2<'_, f64>,
    back: PyReadonlyArray2<'_, f64>,
    first: usize,
    last: usize,
    seed: u64,
    threads: usize,
) -> PyResult<Bound<'py, PyArray3<f64>>> {
    let data = &data.inner;
    let (given, draws) = given(data, &covariance, &sigma, &coefficients, &back, first, last)?;
    let mut out = vec![0.0; (last - first) * data.q * draws];
    py.detach(|| draw_levels(data, &given, first..last, seed, threads, &mut out));
    PyArray1::from_vec(py, out).reshape([last - first, data.q, draws])
}

/// Mean, sd and two quantiles of shift + r for levels first..last, level × coefficient × 4.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
fn group_summary<'py>(
    py: Python<'py>,
    data: PyRef<'py, PyCrossProducts>,
    covariance: PyReadonlyArray3<'_, f64>,
    sigma: PyReadonlyArray1<'_, f64>,
    coefficients: PyReadonlyArray2<'_, f64>,
    back: PyReadonlyArray2<'_, f64>,
    shift: PyReadonlyArray2<'_, f64>,
    first: usize,
    last: usize,
    probabilities: (f64, f64),
    seed: u64,
    threads: usize,
) -> PyResult<Bound<'py, PyArray3<f64>>> {
    let data = &data.inner;
    let (given, draws) = given(data, &covariance, &sigma, &coefficients, &back, first, last)?;
    if shift.as_array().dim() != (draws, data.q) || draws == 0 {
        return Err(shape_error("shift"));
    }
    let shift = flat(shift.as_array().iter());
    let mut out = vec![0.0; (last - first) * data.q * 4];
    py.detach(|| {
        let levels = first..last;
        summarise_levels(data, &given, &shift, levels, probabilities, seed, threads, &mut out);
    });
    PyArray1::from_vec(py, out).reshape([last - first, data.q, 4])
}

fn flat<'a>(values: impl Iterator<Item = &'a f64>) -> Vec<f64> {
    values.copied().collect()
}

fn given(
    data: &CrossProducts,
    covariance: &PyReadonlyArray3<'_, f64>,
    sigma: &PyReadonlyArray1<'_, f64>,
    coefficients: &PyReadonlyArray2<'_, f64>,
    back: &PyReadonlyArray2<'_, f64>,
    first: usize,
    last: usize,
) -> PyResult<(Given, usize)> {
    let (q, draws) = (data.q, sigma.as_array().len());
    let flat_prior = covariance.as_array().is_empty();
    if (!flat_prior && covariance.as_array().dim() != (draws, q, q))
        || coefficients.as_array().dim() != (draws, data.width - 1)
        || back.as_array().dim() != (q, q)
        || first > last
        || last > data.n_levels
        || q == 0
    {
        return Err(shape_error("draws or levels"));
    }
    let given = Given::new(
        &flat(covariance.as_array().iter()),
        &flat(sigma.as_array().iter()),
        &flat(coefficients.as_array().iter()),
        &flat(back.as_array().iter()),
    );
    Ok((given, draws))
}

/// Work without the GIL while this thread watches for Ctrl-C and reports progress; tells whether
/// the work was interrupted.
fn watched<T: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&Watch) -> T + Send,
) -> PyResult<(T, bool)> {
    let watch = Watch::default();
    let (mut interrupted, mut raised) = (false, None);
    let result = py.detach(|| {
        std::thread::scope(|scope| {
            let (done, finished) = mpsc::channel();
            let watch = &watch;
            let worker = scope.spawn(move || {
                let result = work(watch);
                // The watcher may have gone already; its absence is no failure.
                let _ = done.send(());
                result
            });
            let tick = Duration::from_millis(100);
            while let Err(mpsc::RecvTimeoutError::Timeout) = finished.recv_timeout(tick) {
                let outcome: PyResult<()> = Python::attach(|py| {
                    py.check_signals()?;
                    if let Some(progress) = &progress {
                        let (i, d) =
                            (watch.iterations.load(Relaxed), watch.divergences.load(Relaxed));
                        progress.call1(py, (i, d))?;
                    }
                    Ok(())
                });
                if let Err(error) = outcome {
                    watch.stop.store(true, Relaxed);
                    let is_interrupt =
                        Python::attach(|py| error.is_instance_of::<PyKeyboardInterrupt>(py));
                    interrupted |= is_interrupt;
                    if !is_interrupt {
                        raised = Some(error);
                    }
                }
            }
            worker.join()
        })
    });
    match raised {
        Some(error) => Err(error),
        None => result
            .map(|result| (result, interrupted))
            .map_err(|_| PyRuntimeError::new_err("the sampler broke down")),
    }
}

/// The joint density of all parameters on their natural scales (see joint.rs).
#[pyclass(frozen, name = "Joint", module = "partialpool._core")]
struct PyJoint {
    joint: Joint,
}

/// (prior, low, high)
type BoundedSpec = (PriorSpec, f64, f64);

fn bounded((kernel, low, high): &BoundedSpec) -> PyResult<Bounded> {
    Ok(Bounded { prior: prior(kernel)?, low: *low, high: *high })
}

fn all_bounded(specs: &[BoundedSpec]) -> PyResult<Vec<Bounded>> {
    specs.iter().map(bounded).collect()
}

#[pymethods]
impl PyJoint {
    #[new]
    #[allow(clippy::too_many_arguments)]
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
        eta: f64,
        elementwise: Option<Vec<BoundedSpec>>,
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
            || elementwise.as_ref().is_some_and(|list| list.len() != pairs.len())
        {
            return Err(shape_error("joint density"));
        }
        let group = if q == 0 {
            None
        } else if sd.len() == q {
            let elementwise = elementwise.as_deref().map(all_bounded).transpose()?;
            let sd = all_bounded(&sd)?;
            Some(GroupPrior::Hierarchical { sd, pairs, eta, elementwise })
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
        let theta = theta.as_array().to_vec();
        if theta.len() != self.joint.dim() {
            return Err(shape_error("theta"));
        }
        Ok(self.joint.logp(&theta, &mut JointScratch::default()))
    }

    /// Random-walk Metropolis from each row of `starts`.
    #[allow(clippy::too_many_arguments)]
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
        let plan = Plan { chains: starts.len(), draws, warmup, seed, threads, max_depth: 0 };
        let joint = &self.joint;
        let (walks, interrupted) =
            watched(py, progress, |watch| walk(joint, &starts, &proposal_sd, &plan, watch))?;
        let chains = walks
            .into_iter()
            .map(|walk| {
                let out = PyDict::new(py);
                let draws = PyArray1::from_vec(py, walk.draws).reshape([walk.kept, dim])?;
                out.set_item("outputs", draws)?;
                out.set_item("logp", PyArray1::from_vec(py, walk.logp))?;
                out.set_item("acceptance", walk.acceptance)?;
                out.set_item("seconds", walk.seconds)?;
                out.set_item("failure", walk.failure)?;
                Ok(out)
            })
            .collect::<PyResult<Vec<_>>>()?;
        let out = PyDict::new(py);
        out.set_item("interrupted", interrupted)?;
        out.set_item("chains", chains)?;
        Ok(out)
    }
}

fn chain_dict<'py>(py: Python<'py>, run: ChainRun, width: usize) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("outputs", PyArray1::from_vec(py, run.outputs).reshape([run.kept, width])?)?;
    out.set_item("energy", PyArray1::from_vec(py, run.energy))?;
    out.set_item("logp", PyArray1::from_vec(py, run.logp))?;
    out.set_item("diverging", PyArray1::from_vec(py, run.diverging))?;
    out.set_item("depth", PyArray1::from_vec(py, run.depth))?;
    out.set_item("step_size", run.step_size)?;
    out.set_item("gradients", run.gradients)?;
    out.set_item("warmup_seconds", run.warmup_seconds)?;
    out.set_item("sampling_seconds", run.sampling_seconds)?;
    out.set_item("failure", run.failure)?;
    Ok(out)
}

/// Diagnose parameters: draws is parameter × chain × draw; out is parameter × 7
/// (mean, sd, mcse_mean, ess_bulk, ess_tail, r_hat, constant).
#[pyfunction]
fn diagnose<'py>(
    py: Python<'py>,
    draws: PyReadonlyArray3<'_, f64>,
    threads: usize,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let (parameters, chains, n) = draws.as_array().dim();
    let flat: Vec<f64> = draws.as_array().iter().copied().collect();
    let size = chains * n;
    if size == 0 {
        return Err(shape_error("no draws"));
    }
    let mut out = vec![0.0; parameters * 7];
    py.detach(|| {
        let share = parameters.div_ceil(threads.max(1)).max(1);
        std::thread::scope(|scope| {
            for (input, output) in flat.chunks(share * size).zip(out.chunks_mut(share * 7)) {
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

fn likelihood(
    kind: &str,
    link: &str,
    y: Vec<f64>,
    trials: Vec<f64>,
    weights: Vec<f64>,
) -> PyResult<Likelihood> {
    let unknown = || PyValueError::new_err(format!("unknown family {kind} or link {link}"));
    let (kind, link) = Kind::parse(kind).zip(Link::parse(link)).ok_or_else(unknown)?;
    Likelihood::new(kind, link, y, trials, weights).map_err(PyValueError::new_err)
}

/// Rows of a likelihood in code for the widest vectors of the machine at hand; a closure would not
/// be inlined into it.
struct AllRows<'a>(&'a Likelihood, &'a [f64], &'a mut [f64], &'a mut [f64], &'a mut [f64]);

impl pulp::WithSimd for AllRows<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> f64 {
        let Self(likelihood, aux, eta, log_sigma, d_aux) = self;
        likelihood.rows(0..likelihood.n_rows(), aux, eta, log_sigma, d_aux)
    }
}

/// For tests: the log likelihood of each row, all constants included, its slopes by linear predictor
/// and log residual sd (empty: rows have none of their own), and the summed slopes by `aux`.
#[pyfunction]
#[allow(clippy::too_many_arguments, clippy::type_complexity)]
fn family_rows<'py>(
    py: Python<'py>,
    kind: &str,
    link: &str,
    y: Vec<f64>,
    trials: Vec<f64>,
    weights: Vec<f64>,
    mut eta: Vec<f64>,
    mut log_sigma: Vec<f64>,
    aux: Vec<f64>,
) -> PyResult<(
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
)> {
    let n = y.len();
    let all = likelihood(kind, link, y.clone(), trials.clone(), weights.clone())?;
    let least = all.n_aux() - usize::from(all.has_sigma() && !log_sigma.is_empty());
    let n_aux = if kind == Kind::Cumulative.name() { least.max(aux.len()) } else { least };
    if eta.len() != n || ![0, n].contains(&log_sigma.len()) || aux.len() != n_aux {
        return Err(shape_error("eta, log_sigma or aux"));
    }
    let arch = pulp::Arch::new();
    let (mut logp, mut d_aux) = (Vec::with_capacity(n), vec![0.0; n_aux]);
    for i in 0..n {
        let one = |values: &[f64]| values.get(i).copied().into_iter().collect::<Vec<_>>();
        let row = likelihood(kind, link, vec![y[i]], one(&trials), one(&weights))?;
        let (mut eta, mut log_sigma, mut unused) = ([eta[i]], one(&log_sigma), d_aux.clone());
        let rest = arch.dispatch(AllRows(&row, &aux, &mut eta, &mut log_sigma, &mut unused));
        logp.push(row.shared(&aux, &mut unused) + rest);
    }
    all.shared(&aux, &mut d_aux);
    arch.dispatch(AllRows(&all, &aux, &mut eta, &mut log_sigma, &mut d_aux));
    Ok((
        PyArray1::from_vec(py, logp),
        PyArray1::from_vec(py, eta),
        PyArray1::from_vec(py, log_sigma),
        PyArray1::from_vec(py, d_aux),
    ))
}

/// The probabilities p and 1 − p at each linear predictor (n × 2), each with all its digits.
#[pyfunction]
fn link_probabilities<'py>(
    py: Python<'py>,
    link: &str,
    eta: PyReadonlyArray1<'_, f64>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let eta = flat(eta.as_array().iter());
    let pairs = Link::parse(link).and_then(|link| probabilities(link, &eta));
    let pairs = pairs.ok_or_else(|| PyValueError::new_err(format!("unknown link {link}")))?;
    let values = pairs.into_iter().flat_map(|(p, q)| [p, q]).collect();
    PyArray1::from_vec(py, values).reshape([eta.len(), 2])
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyCrossProducts>()?;
    module.add_class::<PyMarginal>()?;
    module.add_class::<PyJoint>()?;
    module.add_class::<general::PyFactor>()?;
    module.add_class::<general::PyPart>()?;
    module.add_class::<general::PyGeneral>()?;
    module.add_function(wrap_pyfunction!(group_draws, module)?)?;
    module.add_function(wrap_pyfunction!(group_summary, module)?)?;
    module.add_function(wrap_pyfunction!(family_rows, module)?)?;
    module.add_function(wrap_pyfunction!(link_probabilities, module)?)?;
    module.add_function(wrap_pyfunction!(diagnose, module)?)
}
