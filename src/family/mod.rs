//! Response families: the log likelihood of rows and its slopes by their linear predictors.
//!
//! A family has three parts, side by side in its file: what it precomputes from the response, its
//! `shared` terms, in which no linear predictor enters and which are therefore summed over a table
//! of distinct responses, and a [`sweep::Density`], the formula of a row. Everything adds up to the
//! full log density, normalising constants included.

mod beta;
mod binary;
mod continuous;
mod counts;
pub mod link;
mod ordinal;
mod positive;
mod sweep;

use beta::Beta;
use binary::Binary;
use continuous::Continuous;
use counts::Counts;
use ordinal::Ordinal;
use positive::Positive;
use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gaussian,
    StudentT,
    LogNormal,
    Bernoulli,
    Binomial,
    Poisson,
    NegBinomial,
    Gamma,
    Exponential,
    Weibull,
    Beta,
    Cumulative,
    ZeroInflatedPoisson,
    ZeroInflatedNegBinomial,
    HurdlePoisson,
    HurdleNegBinomial,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Identity,
    Log,
    Logit,
    Probit,
    Cloglog,
}

impl Kind {
    pub const ALL: [(&str, Kind); 16] = [
        ("gaussian", Kind::Gaussian),
        ("student_t", Kind::StudentT),
        ("lognormal", Kind::LogNormal),
        ("bernoulli", Kind::Bernoulli),
        ("binomial", Kind::Binomial),
        ("poisson", Kind::Poisson),
        ("negbinomial", Kind::NegBinomial),
        ("gamma", Kind::Gamma),
        ("exponential", Kind::Exponential),
        ("weibull", Kind::Weibull),
        ("beta", Kind::Beta),
        ("cumulative", Kind::Cumulative),
        ("zero_inflated_poisson", Kind::ZeroInflatedPoisson),
        ("zero_inflated_negbinomial", Kind::ZeroInflatedNegBinomial),
        ("hurdle_poisson", Kind::HurdlePoisson),
        ("hurdle_negbinomial", Kind::HurdleNegBinomial),
    ];

    pub fn parse(name: &str) -> Option<Kind> {
        Self::ALL.iter().find(|known| known.0 == name).map(|known| known.1)
    }

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|known| known.1 == self).map_or("", |known| known.0)
    }

    fn links(self) -> &'static [Link] {
        match self {
            Kind::Gaussian | Kind::StudentT | Kind::LogNormal => &[Link::Identity],
            Kind::Bernoulli | Kind::Binomial | Kind::Beta => {
                &[Link::Logit, Link::Probit, Link::Cloglog]
            }
            Kind::Cumulative => &[Link::Logit, Link::Probit],
            _ => &[Link::Log],
        }
    }

    /// Whether weights are those of precision: the residual sd of a row is sigma/√weight.
    fn has_sigma(self) -> bool {
        matches!(self, Kind::Gaussian | Kind::StudentT | Kind::LogNormal)
    }
}

impl Link {
    pub const ALL: [(&str, Link); 5] = [
        ("identity", Link::Identity),
        ("log", Link::Log),
        ("logit", Link::Logit),
        ("probit", Link::Probit),
        ("cloglog", Link::Cloglog),
    ];

    pub fn parse(name: &str) -> Option<Link> {
        Self::ALL.iter().find(|known| known.0 == name).map(|known| known.1)
    }
}

/// The likelihood of all rows.
pub struct Likelihood {
    kind: Kind,
    n_rows: usize,
    family: Family,
}

enum Family {
    Continuous(Continuous),
    Binary(Binary),
    Counts(Counts),
    Positive(Positive),
    Beta(Beta),
    Ordinal(Ordinal),
}

impl Likelihood {
    /// `trials` may be empty except for the binomial, `weights` where all are 1. Weights multiply a
    /// row's log density; with a residual sd they are those of its precision instead.
    pub fn new(
        kind: Kind,
        link: Link,
        y: Vec<f64>,
        trials: Vec<f64>,
        weights: Vec<f64>,
    ) -> Result<Self, String> {
        let n_rows = y.len();
        if !kind.links().contains(&link) {
            return Err(format!("{} has no link {link:?}", kind.name()));
        }
        if (kind == Kind::Binomial) == trials.is_empty() && n_rows > 0 {
            return Err("trials are for the binomial, and it needs them".into());
        }
        let lengths = [trials.len(), weights.len()];
        if lengths.iter().any(|&length| length != 0 && length != n_rows) {
            return Err("y, trials and weights differ in length".into());
        }
        let lowest = if kind.has_sigma() { f64::MIN_POSITIVE } else { 0.0 };
        if weights.iter().any(|w| !(lowest..f64::INFINITY).contains(w)) {
            return Err(
                "weights must be finite and not negative, those of a precision positive".into()
            );
        }
        let row_is_possible = |i: usize| match kind {
            Kind::Gaussian | Kind::StudentT => y[i].is_finite(),
            Kind::LogNormal | Kind::Gamma | Kind::Exponential | Kind::Weibull => {
                y[i] > 0.0 && y[i].is_finite()
            }
            Kind::Bernoulli => y[i] == 0.0 || y[i] == 1.0,
            Kind::Binomial => whole(y[i]) && whole(trials[i]) && y[i] <= trials[i],
            Kind::Beta => y[i] > 0.0 && y[i] < 1.0,
            _ => whole(y[i]),
        };
        if let Some(row) = (0..n_rows).find(|&i| !row_is_possible(i)) {
            return Err(format!("{} cannot give row {row}: {}", kind.name(), y[row]));
        }
        let family = match kind {
            Kind::Gaussian | Kind::StudentT | Kind::LogNormal => {
                Family::Continuous(Continuous::new(kind, y, &weights))
            }
            Kind::Bernoulli | Kind::Binomial => {
                Family::Binary(Binary::new(link, y, trials, weights))
            }
            Kind::Gamma | Kind::Exponential | Kind::Weibull => {
                Family::Positive(Positive::new(kind, y, weights))
            }
            Kind::Beta => Family::Beta(Beta::new(link, &y, weights)),
            Kind::Cumulative => Family::Ordinal(Ordinal::new(link, &y, weights)),
            _ => Family::Counts(Counts::new(kind, y, weights)),
        };
        Ok(Self { kind, n_rows, family })
    }

    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Whether the first dispersion parameter is a residual sd, which rows may have of their own.
    pub fn has_sigma(&self) -> bool {
        self.kind.has_sigma()
    }

    /// Dispersion parameters, the residual sd among them. Of an ordinal response, thresholds up to
    /// its highest category; more may be given.
    pub fn n_aux(&self) -> usize {
        match (&self.family, self.kind) {
            (Family::Ordinal(family), _) => family.n_thresholds(),
            (_, Kind::Bernoulli | Kind::Binomial | Kind::Poisson | Kind::Exponential) => 0,
            (_, Kind::StudentT | Kind::ZeroInflatedNegBinomial | Kind::HurdleNegBinomial) => 2,
            _ => 1,
        }
    }

    /// Terms of the log likelihood that no linear predictor enters, constants included; adds their
    /// slopes to `d_aux`. Where rows have their own residual sds, `aux` has no sigma.
    pub fn shared(&self, aux: &[f64], d_aux: &mut [f64]) -> f64 {
        match &self.family {
            Family::Continuous(family) => family.shared(aux, d_aux),
            Family::Binary(family) => family.shared(),
            Family::Counts(family) => family.shared(aux, d_aux),
            Family::Positive(family) => family.shared(aux, d_aux),
            Family::Beta(family) => family.shared(aux, d_aux),
            Family::Ordinal(family) => family.shared(aux, d_aux),
        }
    }

    /// The rest of the log likelihood, of the rows in `range`: their linear predictors come in
    /// `eta`, the slopes by them go out. If `log_sigma` is not empty it holds the rows' own log
    /// residual sds, `aux` has no sigma, and slopes go out in the same way. Adds the slopes by `aux`
    /// to `d_aux`. A hot loop: call it from code compiled for the machine's vectors.
    #[inline(always)]
    pub fn rows(
        &self,
        range: Range<usize>,
        aux: &[f64],
        eta: &mut [f64],
        log_sigma: &mut [f64],
        d_aux: &mut [f64],
    ) -> f64 {
        match &self.family {
            Family::Continuous(family) => family.rows(range, aux, eta, log_sigma, d_aux),
            Family::Binary(family) => family.rows(range, eta),
            Family::Counts(family) => family.rows(range, aux, eta, d_aux),
            Family::Positive(family) => family.rows(range, aux, eta, d_aux),
            Family::Beta(family) => family.rows(range, aux, eta, d_aux),
            Family::Ordinal(family) => family.rows(range, aux, eta, d_aux),
        }
    }
}

fn whole(x: f64) -> bool {
    // Beyond 2⁵³ numbers are no longer counts.
    (0.0..9e15).contains(&x) && x == x.floor()
}
