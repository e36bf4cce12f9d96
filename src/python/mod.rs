//! The narrow door: numpy arrays in, numpy arrays out. Only this folder knows PyO3. There is one door
//! for each room; whoever comes with more than two things names them.

mod arguments;
mod blocks;
mod diagnostics;
mod explore;
mod family;
mod general;
mod laplace;
mod marginal;
mod mixture;
mod moments;
mod points;
mod quantiles;
mod walk;
mod watch;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    explore::register(module)?;
    marginal::register(module)?;
    blocks::register(module)?;
    general::register(module)?;
    laplace::register(module)?;
    mixture::register(module)?;
    moments::register(module)?;
    points::register(module)?;
    quantiles::register(module)?;
    walk::register(module)?;
    family::register(module)?;
    diagnostics::register(module)
}
