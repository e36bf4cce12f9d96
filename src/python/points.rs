//! `cell_points`: points that have the moments of cells.

use super::arguments::shape_error;
use crate::points::{Columns, Moments, points};
use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyReadonlyArray3,
};
use pyo3::prelude::*;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(cell_points, module)?)
}

type Made<'py> =
    (Vec<Bound<'py, PyArray2<f64>>>, Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<i64>>);

/// Points that have the moments of cells: their values of each of some sets of columns, how much
/// each weighs, and how many each cell has. `fixed` is what columns are that do not vary, NaN of
/// others; `added` is added to means; `sd` is that of all rows of the table.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
#[pyo3(signature = (*, weight, mean, root, fixed, added, sd, sets, threads))]
fn cell_points<'py>(
    py: Python<'py>,
    weight: PyReadonlyArray1<'_, f64>,
    mean: PyReadonlyArray2<'_, f64>,
    root: PyReadonlyArray3<'_, f64>,
    fixed: PyReadonlyArray1<'_, f64>,
    added: PyReadonlyArray1<'_, f64>,
    sd: PyReadonlyArray1<'_, f64>,
    sets: Vec<Vec<usize>>,
    threads: usize,
) -> PyResult<Made<'py>> {
    let d = fixed.as_array().len();
    if added.as_array().len() != d || sets.iter().flatten().any(|&column| column >= d) {
        return Err(shape_error("columns"));
    }
    let (cells, columns) = cells(&weight, &mean, &root, [&fixed, &sd])?;
    let added = added.as_slice()?;
    let found = py.detach(|| points(&cells, &columns, added, &sets, threads));
    let rows = found.precision.len();
    let shaped = found.values.into_iter().zip(&sets);
    let values = shaped
        .map(|(values, set)| PyArray1::from_vec(py, values).reshape([rows, set.len()]))
        .collect::<PyResult<_>>()?;
    Ok((values, found.precision.into_pyarray(py), found.copies.into_pyarray(py)))
}

/// Moments of cells, and what is known of their columns: `fixed` and `sd`.
pub fn cells<'a>(
    weight: &'a PyReadonlyArray1<'_, f64>,
    mean: &'a PyReadonlyArray2<'_, f64>,
    root: &'a PyReadonlyArray3<'_, f64>,
    [fixed, sd]: [&'a PyReadonlyArray1<'_, f64>; 2],
) -> PyResult<(Moments<'a>, Columns<'a>)> {
    let (n, d) = (weight.as_array().len(), fixed.as_array().len());
    if mean.as_array().dim() != (n, d)
        || root.as_array().dim() != (n, d, d)
        || sd.as_array().len() != d
    {
        return Err(shape_error("cells and columns"));
    }
    Ok((
        Moments { weight: weight.as_slice()?, mean: mean.as_slice()?, root: root.as_slice()? },
        Columns { fixed: fixed.as_slice()?, sd: sd.as_slice()? },
    ))
}
