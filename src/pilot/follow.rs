//! How the information and targets of a factor's levels follow its sds: the fit of the levels alone,
//! a little below and above the sds that were found.

use super::Estimate;
use super::products::level_precision;
use super::rows::{add_variance, averaged, predictors, usable_weights};
use crate::general::{General, GroupPrior};
use crate::linalg::{inverse_ridged, solve_ridged};
use crate::whitening::{Drift, Whitening};

/// Distance of the sds in their logarithm.
const STEP: f64 = 0.2;
const ITERATIONS: usize = 12;
/// An exponent of −1 is that of levels whose rows are all alike, with a large sd.
const EXPONENTS: (f64, f64) = (-1.2, 1.0);
/// Change of log volume with log sd that is not worth the work.
const LITTLE: f64 = 1.0;

/// Information, and h at the estimates of everything else, of each level.
struct Levels {
    information: Vec<f64>,
    h: Vec<f64>,
}

/// The drift of a factor whose levels have `own` information and scores.
pub(super) fn drift(
    model: &General,
    estimates: &[Estimate],
    u: &[f64],
    which: usize,
    g: usize,
    own: &Whitening,
) -> Option<Drift> {
    let (part, at) = (&model.parts[which], &estimates[which]);
    let GroupPrior::Hierarchical { .. } = part.factors[g].prior else { return None };
    let nests = |w: &Whitening| w.ancestors.iter().any(|ancestor| ancestor.factor == g);
    // What is left of the outer information hangs on the inner sds instead.
    if part.factors.iter().any(|factor| nests(&factor.whitening)) {
        return None;
    }
    let q = own.q;
    let sigma = inverse_ridged(&at.precision[g], q)?;
    let below = levels_at(model, estimates, u, which, g, own, (-STEP).exp())?;
    let above = levels_at(model, estimates, u, which, g, own, STEP.exp())?;
    let mut drift = Drift {
        reference: at.precision[g].iter().map(|p| p / q as f64).collect(),
        exponent: vec![0.0; own.n_levels],
        shift: vec![0.0; own.n_levels * q],
    };
    let mut volume = 0.0;
    for level in 0..own.n_levels {
        let size = |information: &[f64]| -> f64 {
            let own = &information[level * q * q..][..q * q];
            own.iter().zip(&sigma).map(|(h, s)| h * s).sum()
        };
        let (low, high, here) =
            (size(&below.information), size(&above.information), size(&own.information));
        let exponent = if low > 0.0 && high > 0.0 { (high / low).ln() / (2.0 * STEP) } else { 0.0 };
        let exponent = exponent.clamp(EXPONENTS.0, EXPONENTS.1);
        drift.exponent[level] = exponent;
        volume += (0.5 * exponent * here / (1.0 + here / q as f64)).abs();
        for a in 0..q {
            let row = level * q + a;
            let change = (above.h[row] - below.h[row]) / (2.0 * STEP);
            let of_r: f64 =
                (0..q).map(|b| own.information[row * q + b] * at.r[g][level * q + b]).sum();
            drift.shift[row] = change - exponent * (own.target[row] + of_r);
        }
    }
    let finite = drift.exponent.iter().chain(&drift.shift).all(|x| x.is_finite());
    (finite && volume > LITTLE).then_some(drift)
}

/// Fit the levels, all else as it is, with the factor's sds multiplied by `scale`.
fn levels_at(
    model: &General,
    estimates: &[Estimate],
    u: &[f64],
    which: usize,
    g: usize,
    own: &Whitening,
    scale: f64,
) -> Option<Levels> {
    let (part, at) = (&model.parts[which], &estimates[which]);
    let (grouping, q, n) = (&part.columns.groupings[g], own.q, part.columns.n);
    let precision: Vec<f64> = at.precision[g].iter().map(|p| p / (scale * scale)).collect();
    let all = predictors(model, estimates);
    let alone = |levels: &Whitening| {
        let mut variance = vec![0.0; n];
        add_variance(grouping, levels, &precision, &mut variance);
        variance
    };
    let mut before = vec![0.0; n];
    add_variance(grouping, own, &at.precision[g], &mut before);
    let others: Vec<f64> =
        at.spread.iter().zip(&before).map(|(s, own)| (s * s - own).max(0.0)).collect();
    let mut levels = own.clone();
    let mut r = at.r[g].clone();
    let mut variance = alone(&levels);
    let mut h = vec![0.0; r.len()];
    for _ in 0..ITERATIONS {
        let mut eta = all.clone();
        let change: Vec<f64> = r.iter().zip(&at.r[g]).map(|(r, old)| r - old).collect();
        grouping.add(0..n, &change, &mut eta[which]);
        let spread: Vec<f64> =
            others.iter().zip(&variance).map(|(a, b)| (a + b).max(0.0).sqrt()).collect();
        let rows = averaged(model, &eta, &spread, u, which);
        let weights = usable_weights(rows.curvature);
        levels.information.fill(0.0);
        h.fill(0.0);
        for i in 0..q {
            let z = grouping.column(i, &(0..n));
            for row in 0..n {
                let level = grouping.codes[row] as usize;
                h[level * q + i] += z[row] * rows.slopes[row];
                for j in 0..q {
                    levels.information[(level * q + i) * q + j] +=
                        weights[row] * z[row] * grouping.column(j, &(row..row + 1))[0];
                }
            }
        }
        for (level, r) in r.chunks_exact_mut(q).enumerate() {
            let m = level_precision(&levels, &precision, level);
            let h = &mut h[level * q..][..q];
            for i in 0..q {
                h[i] +=
                    (0..q).map(|j| levels.information[(level * q + i) * q + j] * r[j]).sum::<f64>();
            }
            r.copy_from_slice(h);
            solve_ridged(&m, q, r)?;
        }
        for (old, new) in variance.iter_mut().zip(alone(&levels)) {
            *old = (*old * new).max(0.0).sqrt();
        }
    }
    Some(Levels { information: levels.information, h })
}
