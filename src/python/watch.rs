//! Long work, while the thread that called watches: Ctrl-C stops it, and progress is reported.

use crate::rounds::Rounds;
use crate::sampler::Watch;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::time::Duration;

/// Work without the GIL while this thread watches for Ctrl-C and reports how far each chain is;
/// tells whether the work was interrupted.
pub fn watched<T: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    chains: usize,
    rounds: Option<Rounds>,
    work: impl FnOnce(&Watch) -> T + Send,
) -> PyResult<(T, bool)> {
    let watch = Watch::new(chains, rounds);
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
                        progress.call1(py, watch.so_far())?;
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
