//! The narrow door: numpy arrays in, numpy arrays out. Only this folder knows PyO3.

mod arguments;
mod conditional;
mod crossproducts;
mod density;
mod diagnostics;
mod family;
mod general;
mod held_out;
mod joint;
mod marginal;
mod predictor;
mod watch;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<crossproducts::PyCrossProducts>()?;
    module.add_class::<density::PyDensity>()?;
    module.add_class::<marginal::PyMarginal>()?;
    module.add_class::<joint::PyJoint>()?;
    module.add_class::<predictor::PyFactor>()?;
    module.add_class::<predictor::PyPart>()?;
    module.add_class::<general::PyGeneral>()?;
    module.add_class::<held_out::PyIntegrated>()?;
    module.add_function(wrap_pyfunction!(conditional::group_draws, module)?)?;
    module.add_function(wrap_pyfunction!(conditional::group_summary, module)?)?;
    module.add_function(wrap_pyfunction!(family::row_densities, module)?)?;
    module.add_function(wrap_pyfunction!(family::family_rows, module)?)?;
    module.add_function(wrap_pyfunction!(family::link_probabilities, module)?)?;
    module.add_function(wrap_pyfunction!(diagnostics::leave_out, module)?)?;
    module.add_function(wrap_pyfunction!(diagnostics::diagnose, module)?)
}
