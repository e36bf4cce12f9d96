//! Response families: the log likelihood of rows and its slopes by their linear predictors.
//!
//! `list` names the families. Each has four parts, side by side in its file: what it says of itself,
//! what it precomputes from the response, its `shared` terms, in which no linear predictor enters and
//! which are therefore summed over a table of distinct responses, and a [`sweep::Density`], the
//! formula of a row. Everything adds up to the full log density, normalising constants included.

mod beta;
mod binary;
mod continuous;
mod counts;
pub mod densities;
mod derivatives;
pub mod link;
mod list;
mod ordinal;
mod positive;
mod sweep;

pub use link::Link;
pub use list::Kind;

use list::{About, Family};
use std::ops::Range;

/// The likelihood of all rows.
pub struct Likelihood {
    about: About,
    n_rows: usize,
    family: Family,
}

impl Likelihood {
    /// `trials` may be empty where responses are no counts out of trials, `weights` where all are 1.
    /// Weights multiply a row's log density; with a residual sd they are those of its precision
    /// instead.
    pub fn new(
        kind: Kind,
        link: Link,
        y: Vec<f64>,
        trials: Vec<f64>,
        weights: Vec<f64>,
    ) -> Result<Self, String> {
        let (n_rows, about) = (y.len(), kind.about());
        if !about.links.contains(&link) {
            return Err(format!("{} has no link {link:?}", kind.name()));
        }
        if about.has_trials == trials.is_empty() && n_rows > 0 {
            return Err("trials are for the binomial, and it needs them".into());
        }
        let lengths = [trials.len(), weights.len()];
        if lengths.iter().any(|&length| length != 0 && length != n_rows) {
            return Err("y, trials and weights differ in length".into());
        }
        let lowest = if about.has_sigma { f64::MIN_POSITIVE } else { 0.0 };
        if weights.iter().any(|w| !(lowest..f64::INFINITY).contains(w)) {
            return Err(
                "weights must be finite and not negative, those of a precision positive".into()
            );
        }
        let trials_of = |i: usize| trials.get(i).copied().unwrap_or(1.0);
        let is_possible = |i: usize| (about.is_possible)(y[i], trials_of(i));
        if let Some(row) = (0..n_rows).find(|&i| !is_possible(i)) {
            return Err(format!("{} cannot give row {row}: {}", kind.name(), y[row]));
        }
        let family = Family::new(kind, link, y, trials, weights);
        Ok(Self { about, n_rows, family })
    }

    /// Rows that stand for several each: responses and weights are means and sums of theirs. `copies`
    /// are their numbers, `within` is what they scatter by: of a normal distribution their weighted sum
    /// of squares around the mean, of a gamma distribution that of `ln y` less the mean's logarithm.
    pub fn merged(mut self, copies: Vec<f64>, within: Vec<f64>) -> Result<Self, String> {
        if copies.len() != self.n_rows || within.len() != self.n_rows {
            return Err("there are other numbers of copies than rows".into());
        }
        if self.family.merge(copies, within) {
            Ok(self)
        } else {
            Err("rows of this family cannot be merged so".into())
        }
    }

    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Whether the first dispersion parameter is a residual sd, which rows may have of their own.
    pub fn has_sigma(&self) -> bool {
        self.about.has_sigma
    }

    /// Dispersion parameters, the residual sd among them. Of an ordinal response, thresholds up to
    /// its highest category; more may be given.
    pub fn n_aux(&self) -> usize {
        if self.about.has_thresholds { self.family.n_thresholds() } else { self.about.n_aux }
    }

    /// Terms of the log likelihood that no linear predictor enters, constants included; adds their
    /// slopes to `d_aux`. Where rows have their own residual sds, `aux` has no sigma.
    pub fn shared(&self, aux: &[f64], d_aux: &mut [f64]) -> f64 {
        self.family.shared(aux, d_aux)
    }

    /// The rest of the log likelihood, of the rows in `range`: their linear predictors come in
    /// `eta`, the slopes by them go out. If `log_sigma` is not empty it holds the rows' own log
    /// residual sds, `aux` has no sigma, and slopes go out in the same way. Adds the slopes by `aux`
    /// to `d_aux`. If `each` is not empty, the rows' own shares of the log likelihood go there. A hot
    /// loop: call it from code compiled for the machine's vectors.
    #[inline(always)]
    pub fn rows(
        &self,
        range: Range<usize>,
        aux: &[f64],
        eta: &mut [f64],
        log_sigma: &mut [f64],
        d_aux: &mut [f64],
        each: &mut [f64],
    ) -> f64 {
        self.family.rows(range, aux, eta, log_sigma, d_aux, each)
    }

    /// [`Self::rows`], the same to the last bit, for callers that are not compiled for the
    /// machine's vectors.
    pub fn rows_in_vectors(
        &self,
        range: Range<usize>,
        aux: &[f64],
        eta: &mut [f64],
        log_sigma: &mut [f64],
        d_aux: &mut [f64],
        each: &mut [f64],
    ) -> f64 {
        pulp::Arch::new().dispatch(Rows(self, range, aux, eta, log_sigma, d_aux, each))
    }
}

/// A closure would not be inlined into the code that may use vectors.
struct Rows<'a>(
    &'a Likelihood,
    Range<usize>,
    &'a [f64],
    &'a mut [f64],
    &'a mut [f64],
    &'a mut [f64],
    &'a mut [f64],
);

impl pulp::WithSimd for Rows<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> f64 {
        let Self(likelihood, range, aux, eta, log_sigma, d_aux, each) = self;
        likelihood.rows(range, aux, eta, log_sigma, d_aux, each)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const ROWS: usize = 150;

    /// A possible response of row i.
    pub fn response(kind: Kind, i: usize) -> f64 {
        match kind {
            Kind::Bernoulli => (i % 2) as f64,
            Kind::Beta => (i % 150) as f64 / 150.0 + 0.5 / 150.0,
            Kind::Gamma | Kind::Exponential | Kind::Weibull | Kind::LogNormal => {
                (i as f64 + 1.0) / 30.0
            }
            _ => (i % 5) as f64,
        }
    }

    pub fn dispersion(kind: Kind, n: usize) -> Vec<f64> {
        let aux = match kind {
            Kind::StudentT => vec![1.2, 4.0],
            Kind::Cumulative => vec![-1.0, 0.2, 0.4, 1.5],
            Kind::ZeroInflatedNegBinomial | Kind::HurdleNegBinomial => vec![1.7, 0.3],
            _ => vec![0.6; n],
        };
        assert_eq!(aux.len(), n);
        aux
    }

    /// Every family with every link, with and without weights and residual sds of the rows' own.
    pub fn all_kinds() -> Vec<(Kind, Link, bool, bool)> {
        let mut all = Vec::new();
        for &(name, kind) in Kind::ALL {
            assert_eq!(Kind::parse(name), Some(kind));
            for &link in kind.about().links {
                for weighted in [false, true] {
                    all.push((kind, link, weighted, false));
                    if kind.about().has_sigma {
                        all.push((kind, link, weighted, true));
                    }
                }
            }
        }
        all
    }

    /// Each, with possible rows, and dispersion.
    fn cases() -> Vec<(Kind, Likelihood, Vec<f64>)> {
        let without_own = all_kinds().into_iter().filter(|case| !case.3);
        let cases = without_own.map(|(kind, link, weighted, _)| {
            let y = (0..ROWS).map(|i| response(kind, i)).collect();
            let trials = vec![6.0; if kind.about().has_trials { ROWS } else { 0 }];
            let weights = (0..if weighted { ROWS } else { 0 }).map(|i| 0.5 + i as f64 / 99.0);
            let likelihood = Likelihood::new(kind, link, y, trials, weights.collect()).unwrap();
            let aux = dispersion(kind, likelihood.n_aux());
            (kind, likelihood, aux)
        });
        cases.collect()
    }

    fn predictor() -> Vec<f64> {
        (0..ROWS).map(|i| (i as f64 * 0.7).sin() * 2.5).collect()
    }

    #[test]
    fn rows_in_parts_add_up() {
        for (kind, likelihood, aux) in cases() {
            let owns = if likelihood.has_sigma() { vec![0, ROWS] } else { vec![0] };
            for own in owns {
                let aux = if own > 0 { &aux[1..] } else { &aux[..] };
                let (mut eta, mut log_sigma) = (predictor(), vec![0.3; own]);
                let mut whole_aux = vec![0.0; aux.len()];
                let whole = likelihood.rows(
                    0..ROWS,
                    aux,
                    &mut eta,
                    &mut log_sigma,
                    &mut whole_aux,
                    &mut [],
                );
                let (mut parts, mut parts_aux, mut first) = (0.0, vec![0.0; aux.len()], 0);
                for size in [64, 1, 20, 65] {
                    let range = first..first + size;
                    let mut part = predictor()[range.clone()].to_vec();
                    let mut part_own = vec![0.3; if own > 0 { size } else { 0 }];
                    parts += likelihood.rows(
                        range.clone(),
                        aux,
                        &mut part,
                        &mut part_own,
                        &mut parts_aux,
                        &mut [],
                    );
                    assert_eq!(part, eta[range.clone()], "{kind:?}");
                    assert_eq!(part_own, log_sigma.get(range).unwrap_or(&[]));
                    first += size;
                }
                assert_eq!(first, ROWS);
                let close = |a: f64, b: f64| (a - b).abs() < 1e-12 * (1.0 + b.abs());
                assert!(close(parts, whole), "{kind:?}: {parts} {whole}");
                for (a, b) in parts_aux.iter().zip(&whole_aux) {
                    assert!(close(*a, *b), "{kind:?}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn vectors_do_not_change_a_bit() {
        for (kind, likelihood, aux) in cases() {
            let (mut plain, mut wide) = (predictor(), predictor());
            let (mut by_plain, mut by_wide) = (vec![0.0; aux.len()], vec![0.0; aux.len()]);
            let rows =
                Rows(&likelihood, 0..ROWS, &aux, &mut plain, &mut [], &mut by_plain, &mut []);
            let of_plain = pulp::Arch::Scalar.dispatch(rows);
            let of_wide = likelihood.rows_in_vectors(
                0..ROWS,
                &aux,
                &mut wide,
                &mut [],
                &mut by_wide,
                &mut [],
            );
            assert_eq!((of_plain, plain, by_plain), (of_wide, wide, by_wide), "{kind:?}");
        }
    }

    #[test]
    fn slopes_of_the_sum_agree_with_differences() {
        for (kind, likelihood, aux) in cases() {
            let total = |aux: &[f64], shift: f64| {
                let mut eta: Vec<f64> = predictor().iter().map(|eta| eta + shift).collect();
                let mut d_aux = vec![0.0; aux.len()];
                let rest = likelihood.rows(0..ROWS, aux, &mut eta, &mut [], &mut d_aux, &mut []);
                let logp = likelihood.shared(aux, &mut d_aux) + rest;
                (logp, eta.iter().sum::<f64>(), d_aux)
            };
            let h = 1e-5;
            let (logp, by_eta, by_aux) = total(&aux, 0.0);
            let rounding = 1e-8 * (1.0 + logp.abs());
            let slope = (total(&aux, h).0 - total(&aux, -h).0) / (2.0 * h);
            assert!((slope - by_eta).abs() < rounding, "{kind:?}: {slope} {by_eta}");
            for k in 0..aux.len() {
                let (mut low, mut high) = (aux.clone(), aux.clone());
                low[k] -= h;
                high[k] += h;
                let slope = (total(&high, 0.0).0 - total(&low, 0.0).0) / (2.0 * h);
                assert!((slope - by_aux[k]).abs() < 10.0 * rounding, "{kind:?}");
            }
        }
    }

    #[test]
    fn curvatures_are_how_slopes_change() {
        for (kind, likelihood, aux) in cases() {
            let slopes = |shift: f64| {
                let mut eta: Vec<f64> = predictor().iter().map(|eta| eta + shift).collect();
                let unused = &mut vec![0.0; aux.len()];
                likelihood.rows(0..ROWS, &aux, &mut eta, &mut [], unused, &mut []);
                eta
            };
            let (h, mut found) = (1e-4, vec![0.0; ROWS]);
            likelihood.curvatures(&aux, &predictor(), &mut found);
            for ((found, above), below) in found.iter().zip(slopes(h)).zip(slopes(-h)) {
                let expected = (below - above) / (2.0 * h);
                let close = 1e-6 * (1.0 + expected.abs());
                assert!((found - expected).abs() < close, "{kind:?}: {found} {expected}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let new = |kind, link, y: f64, trials, weights| {
            Likelihood::new(kind, link, vec![y], trials, weights).err()
        };
        let none = Vec::new;
        assert!(new(Kind::Poisson, Link::Log, 2.0, none(), none()).is_none());
        assert!(new(Kind::Poisson, Link::Logit, 2.0, none(), none()).is_some());
        assert!(new(Kind::Poisson, Link::Log, 2.5, none(), none()).is_some());
        assert!(new(Kind::Poisson, Link::Log, 2.0, vec![3.0], none()).is_some());
        assert!(new(Kind::Poisson, Link::Log, 2.0, none(), vec![1.0, 1.0]).is_some());
        assert!(new(Kind::Poisson, Link::Log, 2.0, none(), vec![0.0]).is_none());
        assert!(new(Kind::Poisson, Link::Log, 2.0, none(), vec![f64::NAN]).is_some());
        assert!(new(Kind::Gaussian, Link::Identity, 2.0, none(), vec![0.0]).is_some());
        assert!(new(Kind::Binomial, Link::Logit, 2.0, none(), none()).is_some());
        assert!(new(Kind::Binomial, Link::Logit, 2.0, vec![1.0], none()).is_some());
        assert!(new(Kind::Binomial, Link::Logit, 2.0, vec![2.0], none()).is_none());
    }
}
