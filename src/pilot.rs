//! A quick approximate fit before sampling: it sets the coordinates in which NUTS walks, and where
//! it starts. The posterior does not depend on it, only the speed.
//!
//! Penalised iteratively reweighted least squares: weights and working residuals from the
//! likelihood's slopes, population coefficients and one factor at a time solved jointly (an arrow
//! matrix), variances of the group coefficients by EM, dispersion parameters by Newton steps.
//! Breslow & Clayton (1993), §2.

use crate::general::{General, GroupPrior, Part};
use crate::linalg::{cholesky, solve_lower, solve_lower_transposed};
use crate::predictor::{CHUNK, dot};
use crate::prior::Support;
use crate::settle::settle;
use crate::whitening::Whitening;

const ITERATIONS: usize = 40;
/// Change of the objective at which the fit is good enough.
const CLOSE: f64 = 0.05;
/// Weights below this share of their mean are raised to it: steps stay within reason.
const LEAST_WEIGHT: f64 = 1e-2;
pub(crate) const DEPENDENT: &str = "the columns of the model are linearly dependent";

/// The state of the fit of one linear predictor.
pub(crate) struct Estimate {
    pub c: Vec<f64>,
    pub r: Vec<Vec<f64>>,
    /// Prior precision of each factor's coefficients, and what they are drawn to.
    pub precision: Vec<Vec<f64>>,
    pub mean: Vec<Vec<f64>>,
}

/// Weighted cross-products of one factor with the population columns.
struct Arrow {
    /// Of the population: information and right-hand side, prior included.
    a: Vec<f64>,
    b: Vec<f64>,
    levels: Whitening,
}

/// Fit, and set the model's coordinates and start. `c` holds a first guess for each part.
pub fn calibrate(model: &mut General, c: Vec<Vec<f64>>) -> Result<(), String> {
    let mut estimates: Vec<Estimate> =
        model.parts.iter().zip(c).map(|(part, c)| first_guess(part, c)).collect();
    let mut u = model.dispersion.start();
    let mut best = objective(model, &estimates, &u);
    for _ in 0..ITERATIONS {
        for which in 0..model.parts.len() {
            improve(model, &mut estimates, &u, which)?;
        }
        improve_dispersion(model, &estimates, &mut u);
        let now = objective(model, &estimates, &u);
        if (now - best).abs() < CLOSE {
            break;
        }
        best = now;
    }
    settle(model, estimates, &u)
}

fn first_guess(part: &Part, c: Vec<f64>) -> Estimate {
    let r = part
        .factors
        .iter()
        .map(|f| vec![0.0; f.whitening.n_levels * f.whitening.q])
        .collect::<Vec<_>>();
    let (mut precision, mut mean) = (Vec::new(), Vec::new());
    for factor in &part.factors {
        let q = factor.whitening.q;
        let mut p = vec![0.0; q * q];
        let mut m = vec![0.0; q];
        match &factor.prior {
            GroupPrior::Hierarchical { sd, .. } => {
                for (k, sd) in sd.iter().enumerate() {
                    p[k * q + k] = sd.start.powi(-2);
                }
            }
            GroupPrior::Normal { lambda, mean } => {
                // (ΛΛᵀ)⁻¹ column by column.
                m.clone_from(mean);
                let mut sigma = vec![0.0; q * q];
                for i in 0..q {
                    for j in 0..q {
                        sigma[i * q + j] =
                            (0..q).map(|k| lambda[i * q + k] * lambda[j * q + k]).sum();
                    }
                }
                if let Some(inverse) = inverse(&sigma, q) {
                    p = inverse;
                }
            }
            GroupPrior::Separate(scalars) => {
                for k in 0..q {
                    m[k] = scalars[k].start;
                    let unit = match scalars[k].support {
                        Support::Real { unit, .. } | Support::Above { unit, .. } => unit,
                        Support::Below { unit, .. } | Support::Signed { unit, .. } => unit,
                        Support::Between { low, high } => high - low,
                    };
                    p[k * q + k] = unit.powi(-2);
                }
            }
        }
        precision.push(p);
        mean.push(m);
    }
    Estimate { c, r, precision, mean }
}

/// Penalised log likelihood.
fn objective(model: &General, estimates: &[Estimate], u: &[f64]) -> f64 {
    let mut total = likelihood(model, estimates, u, None).logp;
    for (part, estimate) in model.parts.iter().zip(estimates) {
        let mut unused = vec![0.0; estimate.c.len()];
        for prior in &part.coefficients.priors {
            total += prior.add(&estimate.c, 0.0, &mut unused).0;
        }
        for (g, factor) in part.factors.iter().enumerate() {
            let (q, mean) = (factor.whitening.q, &estimate.mean[g]);
            for r in estimate.r[g].chunks_exact(q.max(1)) {
                for i in 0..q {
                    for j in 0..q {
                        let product = (r[i] - mean[i]) * (r[j] - mean[j]);
                        total -= 0.5 * estimate.precision[g][i * q + j] * product;
                    }
                }
            }
        }
    }
    total
}

/// The likelihood at an estimate, with slopes by one predictor and by the dispersion.
struct AtRows {
    logp: f64,
    slope: Vec<f64>,
    by_values: Vec<f64>,
}

/// `asked`: the predictor whose slopes are wanted, and a shift of all of its values.
fn likelihood(
    model: &General,
    estimates: &[Estimate],
    u: &[f64],
    asked: Option<(usize, f64)>,
) -> AtRows {
    let n = model.likelihood.n_rows();
    let mut values = vec![0.0; model.n_values()];
    let mut ignored = vec![0.0; u.len()];
    model.dispersion.at(u, &mut values, &mut ignored.clone(), &mut ignored);
    let mut by_values = vec![0.0; values.len()];
    let mut logp = model.likelihood.shared(&values, &mut by_values);
    let mut slopes: Vec<Vec<f64>> = model
        .parts
        .iter()
        .zip(estimates)
        .map(|(part, at)| {
            let mut eta = vec![0.0; n];
            part.columns.fill(0..n, &at.c, &at.r, &mut eta);
            eta
        })
        .collect();
    if let Some((which, shift)) = asked {
        slopes[which].iter_mut().for_each(|eta| *eta += shift);
    }
    let (first, second) = slopes.split_at_mut(1);
    for start in (0..n).step_by(CHUNK) {
        let range = start..(start + CHUNK).min(n);
        let log_sigma = match second.first_mut() {
            Some(values) => &mut values[range.clone()],
            None => &mut [],
        };
        let eta = &mut first[0][range.clone()];
        logp += model.likelihood.rows(range, &values, eta, log_sigma, &mut by_values);
    }
    let slope = asked.map_or_else(Vec::new, |(which, _)| std::mem::take(&mut slopes[which]));
    AtRows { logp, slope, by_values }
}

/// Weights and working residuals, slopes over weights.
pub(crate) fn working_rows(
    model: &General,
    estimates: &[Estimate],
    u: &[f64],
    which: usize,
) -> (Vec<f64>, Vec<f64>) {
    let step = 1e-4;
    let up = likelihood(model, estimates, u, Some((which, step)));
    let down = likelihood(model, estimates, u, Some((which, -step)));
    let here = likelihood(model, estimates, u, Some((which, 0.0)));
    let mut weights: Vec<f64> =
        up.slope.iter().zip(&down.slope).map(|(a, b)| (b - a) / (2.0 * step)).collect();
    let usable: Vec<f64> = weights.iter().copied().filter(|w| *w > 0.0 && w.is_finite()).collect();
    let mean = usable.iter().sum::<f64>() / weights.len().max(1) as f64;
    let least = if mean > 0.0 { LEAST_WEIGHT * mean } else { 1.0 };
    for w in &mut weights {
        *w = if w.is_finite() { w.max(least) } else { least };
    }
    let residual = |(slope, w): (&f64, &f64)| if slope.is_finite() { slope / w } else { 0.0 };
    let residuals = here.slope.iter().zip(&weights).map(residual).collect();
    (weights, residuals)
}

/// The part of eta that is due to c and r.
fn explained(part: &Part, at: &Estimate) -> Vec<f64> {
    let n = part.columns.n;
    let mut eta = vec![0.0; n];
    part.columns.fill(0..n, &at.c, &at.r, &mut eta);
    eta.iter_mut().zip(&part.columns.offset).for_each(|(eta, offset)| *eta -= offset);
    eta
}

/// One reweighted step of one predictor, halved while it does not improve the fit.
fn improve(
    model: &General,
    estimates: &mut [Estimate],
    u: &[f64],
    which: usize,
) -> Result<(), String> {
    let (weights, mut target) = working_rows(model, estimates, u, which);
    let part = &model.parts[which];
    // What c and r should explain: their present part of eta, and the residual.
    for (target, explained) in target.iter_mut().zip(explained(part, &estimates[which])) {
        *target += explained;
    }
    let before = objective(model, estimates, u);
    let (old_c, old_r) = (estimates[which].c.clone(), estimates[which].r.clone());
    let sweeps = if part.factors.len() > 1 { 3 } else { 1 };
    for _ in 0..sweeps {
        for g in 0..part.factors.len().max(1) {
            let arrow = arrow(part, &estimates[which], &weights, &target, g);
            solve(&arrow, g, &mut estimates[which]).ok_or(DEPENDENT)?;
        }
    }
    for _ in 0..6 {
        if objective(model, estimates, u) >= before - CLOSE {
            break;
        }
        let here = &mut estimates[which];
        for (new, old) in here.c.iter_mut().zip(&old_c) {
            *new = 0.5 * (*new + old);
        }
        for (new, old) in here.r.iter_mut().flatten().zip(old_r.iter().flatten()) {
            *new = 0.5 * (*new + old);
        }
    }
    // Variances by EM, with the start as one more level.
    for (g, factor) in part.factors.iter().enumerate() {
        let GroupPrior::Hierarchical { sd, .. } = &factor.prior else { continue };
        let arrow = arrow(part, &estimates[which], &weights, &target, g);
        let q = sd.len();
        let mut sigma = vec![0.0; q * q];
        for (k, sd) in sd.iter().enumerate() {
            sigma[k * q + k] = sd.start * sd.start;
        }
        let here = &mut estimates[which];
        for (level, r) in here.r[g].chunks_exact(q).enumerate() {
            let mut m = here.precision[g].clone();
            for (m, h) in m.iter_mut().zip(&arrow.levels.information[level * q * q..]) {
                *m += h;
            }
            let spread = inverse(&m, q).unwrap_or_else(|| vec![0.0; q * q]);
            for i in 0..q {
                for j in 0..q {
                    sigma[i * q + j] += r[i] * r[j] + spread[i * q + j];
                }
            }
        }
        let levels = factor.whitening.n_levels as f64 + 1.0;
        sigma.iter_mut().for_each(|s| *s /= levels);
        if let Some(precision) = inverse(&sigma, q) {
            here.precision[g] = precision;
        }
    }
    Ok(())
}

/// Cross-products of the population columns and one factor, the other factors held where they are.
fn arrow(part: &Part, at: &Estimate, weights: &[f64], target: &[f64], g: usize) -> Arrow {
    let (n, p) = (part.columns.n, part.coefficients.len());
    let mut rest = target.to_vec();
    for (other, (grouping, r)) in part.columns.groupings.iter().zip(&at.r).enumerate() {
        if other != g {
            let minus: Vec<f64> = r.iter().map(|r| -r).collect();
            grouping.add(0..n, &minus, &mut rest);
        }
    }
    let (mut a, mut b) = population_products(part, weights, &rest);
    add_prior_curvature(part, at, &mut a, &mut b);
    let levels = match part.columns.groupings.get(g) {
        None => Whitening::none(0, p, 0),
        Some(_) => level_products(part, weights, &rest, g),
    };
    Arrow { a, b, levels }
}

/// XᵀWX and XᵀWe.
pub(crate) fn population_products(part: &Part, weights: &[f64], e: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (p, all) = (part.coefficients.len(), 0..part.columns.n);
    let (mut a, mut b) = (vec![0.0; p * p], vec![0.0; p]);
    for i in 0..p {
        let column = part.columns.column(i, &all);
        let x: Vec<f64> = column.iter().zip(weights).map(|(x, w)| x * w).collect();
        for j in 0..=i {
            let s = dot(&x, part.columns.column(j, &all));
            a[i * p + j] = s;
            a[j * p + i] = s;
        }
        b[i] = dot(&x, e);
    }
    (a, b)
}

/// Per level of a factor: ZᵀWZ, ZᵀWe (as target) and ZᵀWX.
pub(crate) fn level_products(part: &Part, weights: &[f64], e: &[f64], g: usize) -> Whitening {
    let (n, p) = (part.columns.n, part.coefficients.len());
    let grouping = &part.columns.groupings[g];
    let (q, all) = (grouping.q, 0..n);
    let mut levels = Whitening::none(q, p, grouping.n_levels);
    for k in 0..q {
        let z = grouping.column(k, &all);
        for row in 0..n {
            let level = grouping.codes[row] as usize;
            let wz = weights[row] * z[row];
            levels.target[level * q + k] += wz * e[row];
            for l in 0..=k {
                let product = wz * grouping.column(l, &all)[row];
                levels.information[(level * q + k) * q + l] += product;
                if l < k {
                    levels.information[(level * q + l) * q + k] += product;
                }
            }
            for j in 0..p {
                levels.cross[(level * q + k) * p + j] += wz * part.columns.x[j * n + row];
            }
        }
    }
    levels
}

/// The priors of c, each as a normal one with its slope and curvature here.
pub(crate) fn add_prior_curvature(part: &Part, at: &Estimate, a: &mut [f64], b: &mut [f64]) {
    let p = at.c.len();
    for prior in &part.coefficients.priors {
        let value: f64 = prior.row.iter().zip(&at.c).map(|(w, c)| w * c).sum();
        let x = value + prior.shift;
        let step = 1e-4 * (1.0 + x.abs());
        let slope = prior.prior.logp(x).1;
        let change = prior.prior.logp(x + step).1 - prior.prior.logp(x - step).1;
        let curvature = (-change / (2.0 * step)).max(0.0);
        for i in 0..p {
            for j in 0..p {
                a[i * p + j] += curvature * prior.row[i] * prior.row[j];
            }
            b[i] += (curvature * value + slope) * prior.row[i];
        }
    }
}

/// Solve for c and the factor's r; `None` where the system is singular.
fn solve(arrow: &Arrow, g: usize, estimate: &mut Estimate) -> Option<()> {
    let p = estimate.c.len();
    let Some(precision) = estimate.precision.get(g) else {
        estimate.c.copy_from_slice(&arrow.b);
        return solve_ridged(&arrow.a, p, &mut estimate.c);
    };
    let (mean, levels) = (&estimate.mean[g], &arrow.levels);
    let q = levels.q;
    let (schur, mut c) = schur(arrow, precision, mean)?;
    solve_ridged(&schur, p, &mut c)?;
    for level in 0..levels.n_levels {
        let m = level_precision(levels, precision, level);
        let mut h: Vec<f64> = (0..q)
            .map(|i| {
                let pull: f64 = (0..q).map(|j| precision[i * q + j] * mean[j]).sum();
                let cross = &levels.cross[(level * q + i) * p..][..p];
                levels.target[level * q + i] + pull
                    - cross.iter().zip(&c).map(|(g, c)| g * c).sum::<f64>()
            })
            .collect();
        solve_ridged(&m, q, &mut h)?;
        estimate.r[g][level * q..(level + 1) * q].copy_from_slice(&h);
    }
    estimate.c = c;
    Some(())
}

pub(crate) fn level_precision(levels: &Whitening, precision: &[f64], level: usize) -> Vec<f64> {
    let information = &levels.information[level * precision.len()..][..precision.len()];
    precision.iter().zip(information).map(|(p, h)| p + h).collect()
}

/// What is left for c once the factor's coefficients are solved for: `A − Σ GᵀM⁻¹G`.
fn schur(arrow: &Arrow, precision: &[f64], mean: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
    let levels = &arrow.levels;
    let (q, p) = (levels.q, levels.p);
    let (mut a, mut b) = (arrow.a.clone(), arrow.b.clone());
    for level in 0..levels.n_levels {
        let mut m = level_precision(levels, precision, level);
        ridge(&mut m, q);
        cholesky(&mut m, q)?;
        // Half-solved: L⁻¹ [G, g].
        let mut half = vec![vec![0.0; q]; p + 1];
        for (j, column) in half.iter_mut().enumerate() {
            for i in 0..q {
                column[i] = if j < p {
                    levels.cross[(level * q + i) * p + j]
                } else {
                    let pull: f64 = (0..q).map(|k| precision[i * q + k] * mean[k]).sum();
                    levels.target[level * q + i] + pull
                };
            }
            solve_lower(&m, q, column);
        }
        for i in 0..p {
            for j in 0..p {
                a[i * p + j] -= dot(&half[i], &half[j]);
            }
            b[i] -= dot(&half[i], &half[p]);
        }
    }
    Some((a, b))
}

/// Newton steps on each dispersion coordinate by itself.
fn improve_dispersion(model: &General, estimates: &[Estimate], u: &mut [f64]) {
    let slope = |u: &[f64], k: usize| {
        let rows = likelihood(model, estimates, u, None);
        let (mut values, mut slopes) = (vec![0.0; model.n_values()], vec![0.0; u.len()]);
        let mut grad = vec![0.0; u.len()];
        model.dispersion.at(u, &mut values, &mut slopes, &mut grad);
        model.dispersion.pull_back(&slopes, &rows.by_values, &mut grad);
        grad[k]
    };
    for k in 0..u.len() {
        let step = 1e-3;
        let here = slope(u, k);
        let mut there = u.to_vec();
        there[k] += step;
        let curvature = (slope(&there, k) - here) / step;
        let newton = if curvature < 0.0 { -here / curvature } else { here.signum() * 0.5 };
        if newton.is_finite() {
            u[k] += newton.clamp(-1.0, 1.0);
        }
    }
}

/// Raise a diagonal of 0, which only a column without information has.
pub(crate) fn ridge(a: &mut [f64], n: usize) {
    let largest = (0..n).map(|i| a[i * n + i].abs()).fold(0.0, f64::max);
    for i in 0..n {
        a[i * n + i] += 1e-10 * largest + 1e-300;
    }
}

fn solve_ridged(a: &[f64], n: usize, x: &mut [f64]) -> Option<()> {
    let mut factor = a.to_vec();
    ridge(&mut factor, n);
    cholesky(&mut factor, n)?;
    solve_lower(&factor, n, x);
    solve_lower_transposed(&factor, n, x);
    Some(())
}

pub(crate) fn inverse(a: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut factor = a.to_vec();
    ridge(&mut factor, n);
    cholesky(&mut factor, n)?;
    let mut out = vec![0.0; n * n];
    for k in 0..n {
        let mut column = vec![0.0; n];
        column[k] = 1.0;
        solve_lower(&factor, n, &mut column);
        solve_lower_transposed(&factor, n, &mut column);
        for i in 0..n {
            out[i * n + k] = column[i];
        }
    }
    Some(out)
}
