//! Coefficients of the levels, drawn for rows of output when somebody asks for them.

use super::draws::Population;
use super::staged::InStages;
use crate::laplace::rows::Integrand;
use crate::parallel::in_parts;
use crate::sampler::Staged;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Coefficients of all levels of each factor, as they are written: by row, then by level. `None` where
/// there is no mode, or no memory.
pub fn levels(drawn: &InStages, rows: &[f64], threads: usize) -> Option<Vec<Vec<f64>>> {
    let rows: Vec<&[f64]> = rows.chunks_exact(drawn.n_outputs()).collect();
    let mut found: Vec<Vec<f64>> = Vec::new();
    let mut by_row: Vec<Vec<&mut [f64]>> = rows.iter().map(|_| Vec::new()).collect();
    let groupings = &drawn.of.columns().groupings;
    for grouping in groupings {
        let count = rows.len() * grouping.n_levels * grouping.q;
        let mut own = Vec::new();
        own.try_reserve_exact(count).ok()?;
        own.resize(count, 0.0);
        found.push(own);
    }
    for (own, grouping) in found.iter_mut().zip(groupings) {
        let parts = own.chunks_exact_mut((grouping.n_levels * grouping.q).max(1));
        by_row.iter_mut().zip(parts).for_each(|(row, part)| row.push(part));
    }
    let failed = AtomicBool::new(false);
    in_parts(&mut by_row, threads, |first, out| {
        let mut drawn = drawn.prepared();
        let at_once = drawn.at_once();
        for (rows, out) in rows[first..].chunks(at_once).zip(out.chunks_mut(at_once)) {
            if some(&mut drawn, rows, out).is_none() {
                failed.store(true, Relaxed);
            }
        }
    });
    (!failed.into_inner()).then_some(found)
}

fn some(drawn: &mut InStages, rows: &[&[f64]], out: &mut [Vec<&mut [f64]>]) -> Option<()> {
    let d = drawn.dims().0;
    let thetas: Vec<&[f64]> = rows.iter().map(|row| &row[row.len() - 1 - d..][..d]).collect();
    let numbers = drawn.numbers(&thetas);
    for (((row, theta), numbers), out) in rows.iter().zip(thetas).zip(numbers).zip(out) {
        let population = Population::again(drawn.of.coefficients_of(row), row[row.len() - 1]);
        let found = drawn.levels(theta, &population, numbers)?;
        out.iter_mut().zip(&found).for_each(|(out, found)| out.copy_from_slice(found));
    }
    Some(())
}
