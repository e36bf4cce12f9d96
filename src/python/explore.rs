//! `Density`: what NUTS walks on, and NUTS itself; the base class of `Marginal` and `General`.

use super::arguments::vector;
use super::watch::watched;
use crate::explore::sample;
use crate::rounds::Rounds;
use crate::sampler::{Certificate, ChainRun, Density, Explored, Plan, Watch};
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// A density of any type, made anew with its working storage whenever it is needed.
trait AnyDensity: Send + Sync {
    /// Dimension, and numbers in one row of output.
    fn sizes(&self) -> (usize, usize);
    fn start(&self) -> Vec<f64>;
    fn logp_and_grad(&self, u: &[f64], grad: &mut [f64]) -> Option<f64>;
    /// Mean seconds per evaluation.
    fn seconds(&self, repeats: u32) -> f64;
    fn sample(&self, plan: &Plan, watch: &Watch) -> Explored;
}

impl<D: Density + Sync, F: Fn() -> D + Send + Sync> AnyDensity for F {
    fn sizes(&self) -> (usize, usize) {
        let density = self();
        (density.dim(), density.n_outputs())
    }

    fn start(&self) -> Vec<f64> {
        self().start()
    }

    fn logp_and_grad(&self, u: &[f64], grad: &mut [f64]) -> Option<f64> {
        self().logp_and_grad(u, grad)
    }

    fn seconds(&self, repeats: u32) -> f64 {
        let mut density = self();
        let u = density.start();
        let mut grad = vec![0.0; u.len()];
        let clock = Instant::now();
        for _ in 0..repeats {
            black_box(density.logp_and_grad(black_box(&u), &mut grad));
        }
        clock.elapsed().as_secs_f64() / f64::from(repeats)
    }

    fn sample(&self, plan: &Plan, watch: &Watch) -> Explored {
        sample(&self(), plan, watch)
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyDensity>()
}

/// What a sampler is told: attributes of `Sampling` in Python.
#[derive(FromPyObject)]
pub struct Asked {
    pub chains: usize,
    pub draws: usize,
    warmup: usize,
    warmup_given: bool,
    seed: u64,
    threads: usize,
    max_depth: u64,
}

impl Asked {
    pub fn plan(&self, surrogate: bool, design: Option<bool>) -> Plan {
        let Self { chains, draws, warmup, warmup_given: exact_warmup, seed, threads, max_depth } =
            *self;
        Plan { chains, draws, warmup, exact_warmup, seed, threads, max_depth, surrogate, design }
    }
}

/// A log density over unconstrained numbers.
#[pyclass(frozen, subclass, name = "Density", module = "partialpool._core")]
pub struct PyDensity {
    density: Box<dyn AnyDensity>,
    #[pyo3(get)]
    dim: usize,
    #[pyo3(get)]
    n_outputs: usize,
}

impl PyDensity {
    pub fn new<D: Density + Sync>(make: impl Fn() -> D + Send + Sync + 'static) -> Self {
        let (dim, n_outputs) = make.sizes();
        Self { density: Box::new(make), dim, n_outputs }
    }
}

#[pymethods]
impl PyDensity {
    /// A reasonable point, around which chains start.
    fn start(&self) -> Vec<f64> {
        self.density.start()
    }

    /// Log density and gradient at the unconstrained `u`; −inf outside the support.
    fn logp_and_grad<'py>(
        &self,
        py: Python<'py>,
        u: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<(f64, Bound<'py, PyArray1<f64>>)> {
        let u = vector(&u, self.dim, "u")?;
        let mut grad = vec![0.0; u.len()];
        let logp = self.density.logp_and_grad(&u, &mut grad);
        Ok((logp.unwrap_or(f64::NEG_INFINITY), PyArray1::from_vec(py, grad)))
    }

    /// Mean seconds per evaluation of density and gradient, over `repeats` evaluations.
    fn time_evaluation(&self, py: Python<'_>, repeats: u32) -> f64 {
        py.detach(|| self.density.seconds(repeats))
    }

    /// Sample with NUTS, over a stand-in for the density, or (`design`: whether, by default where that
    /// pays) from polynomials that were checked: then "design" says how. `progress`, called about ten
    /// times a second, is given the iterations and the divergences of each chain. `judge`, called when
    /// all chains have `draws` draws, is given the outputs of each, and returns the draws of each to go
    /// on to; there it is called again, and chains end where that is not more than they have.
    #[pyo3(signature = (*, asked, progress, judge=None, surrogate=true, design=None))]
    #[allow(clippy::too_many_arguments)]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        asked: Asked,
        progress: Option<Py<PyAny>>,
        judge: Option<Py<PyAny>>,
        surrogate: bool,
        design: Option<bool>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let plan = asked.plan(surrogate, design);
        let told = Told { progress, judge, width: self.n_outputs };
        explored(py, told, asked.chains, |watch| self.density.sample(&plan, watch))
    }
}

/// Who is told of chains that run, and numbers in one row of output.
pub struct Told {
    pub progress: Option<Py<PyAny>>,
    pub judge: Option<Py<PyAny>>,
    pub width: usize,
}

/// Let chains run, and give what they found.
pub fn explored<'py>(
    py: Python<'py>,
    told: Told,
    chains: usize,
    work: impl FnOnce(&Watch) -> Explored + Send,
) -> PyResult<Bound<'py, PyDict>> {
    let Told { progress, judge, width } = told;
    let raised = Arc::new(Mutex::default());
    let rounds = judge.map(|judge| rounds(judge, width, raised.clone()));
    let (explored, interrupted) = watched(py, progress, chains, rounds, work)?;
    if let Some(error) = raised.lock().ok().and_then(|mut raised| raised.take()) {
        return Err(error);
    }
    let chains = explored.runs.into_iter().map(|run| chain_dict(py, run, width));
    let out = PyDict::new(py);
    out.set_item("interrupted", interrupted)?;
    let certificate = explored.certificate.map(|found| certificate_dict(py, &found));
    out.set_item("design", certificate.transpose()?)?;
    out.set_item("chains", chains.collect::<PyResult<Vec<_>>>()?)?;
    Ok(out)
}

/// Rounds that Python judges; what it raised ends them.
fn rounds(judge: Py<PyAny>, width: usize, raised: Arc<Mutex<Option<PyErr>>>) -> Rounds {
    Rounds::new(Box::new(move |runs| {
        let judged = Python::attach(|py| {
            let outputs =
                |run: &&ChainRun| PyArray1::from_slice(py, &run.outputs).reshape([run.kept, width]);
            let outputs = runs.iter().map(outputs).collect::<PyResult<Vec<_>>>()?;
            judge.call1(py, (outputs,))?.extract::<usize>(py)
        });
        judged.unwrap_or_else(|error| {
            if let Ok(mut raised) = raised.lock() {
                *raised = Some(error);
            }
            0
        })
    }))
}

fn certificate_dict<'py>(py: Python<'py>, found: &Certificate) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("evaluations", found.evaluations)?;
    out.set_item("checked", found.checked)?;
    out.set_item("sd", found.sd)?;
    out.set_item("largest", found.largest)?;
    out.set_item("moved", found.moved)?;
    out.set_item("outside", found.outside)?;
    out.set_item("pareto_k", found.pareto_k)?;
    out.set_item("taken", found.taken)?;
    Ok(out)
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
    out.set_item("refused", run.refused)?;
    out.set_item("warmup", run.warmup)?;
    out.set_item("warmup_seconds", run.warmup_seconds)?;
    out.set_item("sampling_seconds", run.sampling_seconds)?;
    out.set_item("failure", run.failure)?;
    Ok(out)
}
