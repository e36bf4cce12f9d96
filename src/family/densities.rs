//! Log densities of rows, one by one, for many draws of the parameters at once.

use super::{Kind, Likelihood, Link};
use crate::parallel::in_parts;
use std::ops::Range;

/// Draws that are worked on together: their numbers of a row share a line of the cache.
const DRAWS: usize = 8;
/// Rows that are worked on together.
const ROWS: usize = 512;

/// Responses, with trials and weights as [`Likelihood::new`] takes them.
pub struct Responses<'a> {
    pub kind: Kind,
    pub link: Link,
    pub y: &'a [f64],
    pub trials: &'a [f64],
    pub weights: &'a [f64],
}

/// What draws of the parameters say of these rows.
#[derive(Clone, Copy)]
pub struct Draws<'a> {
    pub n: usize,
    /// Linear predictors, row by row.
    pub eta: &'a [f64],
    /// Log residual sds as `eta`; none where rows have none of their own.
    pub log_sigma: &'a [f64],
    /// Dispersion parameters or thresholds, draw by draw.
    pub aux: &'a [f64],
}

/// The log density of every row given every draw, row by row, constants and weights included.
pub fn log_densities(
    responses: &Responses,
    draws: &Draws,
    threads: usize,
    out: &mut [f64],
) -> Result<(), String> {
    let n_rows = responses.y.len();
    let whole = responses.part(0..n_rows)?; // checks all rows
    let n_aux = whole.n_aux() - usize::from(whole.has_sigma() && !draws.log_sigma.is_empty());
    let given = draws.aux.len().checked_div(draws.n).unwrap_or(n_aux);
    // Thresholds may go beyond the highest category of these rows.
    if given < n_aux || (given > n_aux && !whole.about.has_thresholds) {
        return Err(format!("{} needs {n_aux} dispersion parameters", responses.kind.name()));
    }
    let mut each: Vec<&mut [f64]> = out.chunks_exact_mut(draws.n.max(1)).collect();
    in_parts(&mut each, threads, |first, out| {
        let rows = first..first + out.len();
        let part = if rows.len() == n_rows { None } else { responses.part(rows.clone()).ok() };
        let constants: Vec<f64> = rows.clone().map(|row| responses.constant(row)).collect();
        let numbers = rows.start * draws.n..rows.end * draws.n;
        let weighted = !whole.has_sigma();
        let some_rows = SomeRows {
            likelihood: part.as_ref().unwrap_or(&whole),
            constants: &constants,
            weights: if weighted { some(responses.weights, &rows) } else { &[] },
            draws: Draws {
                eta: &draws.eta[numbers.clone()],
                log_sigma: some(draws.log_sigma, &numbers),
                ..*draws
            },
        };
        some_rows.fill(out);
    });
    Ok(())
}

/// A part of the values, or none where there are none.
fn some<'a>(values: &'a [f64], range: &Range<usize>) -> &'a [f64] {
    values.get(range.clone()).unwrap_or(&[])
}

impl Responses<'_> {
    fn part(&self, rows: Range<usize>) -> Result<Likelihood, String> {
        let [y, trials, weights] =
            [self.y, self.trials, self.weights].map(|values| some(values, &rows).to_vec());
        Likelihood::new(self.kind, self.link, y, trials, weights)
    }

    /// The term of a row without a parameter.
    fn constant(&self, row: usize) -> f64 {
        let (y, trials, weight) = (self.y[row], self.trials.get(row), self.weights.get(row));
        self.kind.constant(y, trials, weight)
    }
}

/// The rows of one thread.
struct SomeRows<'a> {
    likelihood: &'a Likelihood,
    constants: &'a [f64],
    /// Weights of the rows' densities; empty: 1.
    weights: &'a [f64],
    draws: Draws<'a>,
}

impl SomeRows<'_> {
    fn fill(&self, out: &mut [&mut [f64]]) {
        let Self { likelihood, constants, weights, draws } = *self;
        let Draws { n, eta, log_sigma, aux } = draws;
        let (classes, n_classes) = likelihood.family.classes(likelihood.n_rows);
        let n_aux = aux.len() / n.max(1);
        let aux_of = |draw: usize| &aux[draw * n_aux..(draw + 1) * n_aux];
        let mut common = vec![0.0; DRAWS * n_classes];
        let mut slopes = vec![0.0; n_aux];
        let mut here = vec![0.0; DRAWS * ROWS];
        let mut own = vec![0.0; if log_sigma.is_empty() { 0 } else { DRAWS * ROWS }];
        let mut each = vec![0.0; DRAWS * ROWS];
        for first in (0..n).step_by(DRAWS) {
            let many = DRAWS.min(n - first);
            for (d, common) in common.chunks_exact_mut(n_classes).take(many).enumerate() {
                likelihood.family.common(aux_of(first + d), common);
            }
            for start in (0..constants.len()).step_by(ROWS) {
                let rows = start..constants.len().min(start + ROWS);
                for (i, row) in rows.clone().enumerate() {
                    let from = row * n + first;
                    for d in 0..many {
                        here[d * ROWS + i] = eta[from + d];
                    }
                    if !own.is_empty() {
                        for d in 0..many {
                            own[d * ROWS + i] = log_sigma[from + d];
                        }
                    }
                }
                for d in 0..many {
                    let at = d * ROWS..d * ROWS + rows.len();
                    let own_at = if own.is_empty() { 0..0 } else { at.clone() };
                    likelihood.rows_in_vectors(
                        rows.clone(),
                        aux_of(first + d),
                        &mut here[at.clone()],
                        &mut own[own_at],
                        &mut slopes,
                        &mut each[at],
                    );
                }
                for (i, row) in rows.enumerate() {
                    let (constant, class) = (constants[row], classes[row]);
                    let weight = weights.get(row).copied().unwrap_or(1.0);
                    for (d, out) in out[row][first..][..many].iter_mut().enumerate() {
                        let mut logp = constant + each[d * ROWS + i];
                        // 0 · ∞ would be NaN.
                        if weight > 0.0 {
                            logp += weight * common[d * n_classes + class];
                        }
                        *out = logp;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N_ROWS: usize = 700;
    const N_DRAWS: usize = 11;

    fn wave(i: usize) -> f64 {
        (0.7 * i as f64 + 0.3).sin()
    }

    /// Against the sum over all rows, which the sampler takes, draw by draw.
    #[test]
    fn rows_add_up_to_the_likelihood_whatever_the_threads() {
        for (kind, link, weighted, own) in crate::family::tests::all_kinds() {
            let y: Vec<f64> =
                (0..N_ROWS).map(|i| crate::family::tests::response(kind, i)).collect();
            let trials = vec![6.0; if kind.about().has_trials { N_ROWS } else { 0 }];
            let weights: Vec<f64> = (0..if weighted { N_ROWS } else { 0 })
                .map(|i| if i == 3 && !own { 0.2 } else { 0.5 + i as f64 / 99.0 })
                .collect();
            let responses = Responses { kind, link, y: &y, trials: &trials, weights: &weights };
            let likelihood = responses.part(0..N_ROWS).unwrap();
            let mut aux = crate::family::tests::dispersion(kind, likelihood.n_aux());
            if own {
                aux.remove(0);
            }
            let n_aux = aux.len();
            let all: Vec<f64> = (0..N_DRAWS)
                .flat_map(|d| aux.iter().map(move |a| a * (1.0 + 0.01 * d as f64)))
                .collect();
            let eta: Vec<f64> = (0..N_ROWS * N_DRAWS).map(|i| 2.0 * wave(i)).collect();
            let log_sigma: Vec<f64> =
                (0..if own { N_ROWS * N_DRAWS } else { 0 }).map(|i| 0.3 * wave(i)).collect();
            let draws = Draws { n: N_DRAWS, eta: &eta, log_sigma: &log_sigma, aux: &all };
            let mut found = vec![0.0; N_ROWS * N_DRAWS];
            log_densities(&responses, &draws, 1, &mut found).unwrap();
            let mut again = vec![0.0; N_ROWS * N_DRAWS];
            log_densities(&responses, &draws, 3, &mut again).unwrap();
            assert_eq!(found, again, "{kind:?}");
            for d in 0..N_DRAWS {
                let column = |values: &[f64]| -> Vec<f64> {
                    values.iter().skip(d).step_by(N_DRAWS).copied().collect()
                };
                let aux = &all[d * n_aux..(d + 1) * n_aux];
                let (mut eta, mut log_sigma) = (column(&eta), column(&log_sigma));
                let mut slopes = vec![0.0; n_aux];
                let total = likelihood.shared(aux, &mut slopes)
                    + likelihood.rows_in_vectors(
                        0..N_ROWS,
                        aux,
                        &mut eta,
                        &mut log_sigma,
                        &mut slopes,
                        &mut [],
                    );
                let sum: f64 = column(&found).iter().sum();
                let size: f64 = column(&found).iter().map(|x| x.abs()).sum();
                assert!((sum - total).abs() < 1e-12 * size, "{kind:?} {link:?}: {sum} {total}");
            }
        }
    }
}
