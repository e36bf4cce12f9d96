//! The list of families, and what each says of itself.

use super::Link;
use super::beta::Beta;
use super::binary::Binary;
use super::continuous::Continuous;
use super::counts::Counts;
use super::ordinal::Ordinal;
use super::positive::Positive;
use std::ops::Range;

/// What a family says of itself.
#[derive(Clone, Copy)]
pub struct About {
    pub links: &'static [Link],
    /// Dispersion parameters, a residual sd among them.
    pub n_aux: usize,
    /// Whether the first of them is a residual sd, which rows may have of their own. Weights are
    /// then those of precision: the residual sd of a row is sigma/√weight.
    pub has_sigma: bool,
    /// Whether responses are counts out of trials.
    pub has_trials: bool,
    /// Whether thresholds between categories stand in place of dispersion parameters.
    pub has_thresholds: bool,
    /// Whether there may be this response, out of so many trials.
    pub is_possible: fn(f64, f64) -> bool,
}

impl About {
    /// A family without anything special.
    pub const fn new(
        links: &'static [Link],
        n_aux: usize,
        is_possible: fn(f64, f64) -> bool,
    ) -> Self {
        let (has_sigma, has_trials, has_thresholds) = (false, false, false);
        Self { links, n_aux, has_sigma, has_trials, has_thresholds, is_possible }
    }
}

/// The formulas of a few families, with what they precompute from the responses.
pub trait Formulas: Sized {
    fn about(kind: Kind) -> About;

    /// `trials` and `weights` may be empty.
    fn new(kind: Kind, link: Link, y: Vec<f64>, trials: Vec<f64>, weights: Vec<f64>) -> Self;

    /// The term of a row without a parameter; `y` is the response as it was observed.
    fn constant(kind: Kind, y: f64, trials: Option<&f64>, weight: Option<&f64>) -> f64;

    /// See [`super::Likelihood::shared`].
    fn shared(&self, aux: &[f64], d_aux: &mut [f64]) -> f64;

    /// See [`super::Likelihood::rows`]; implementations are `#[inline(always)]`.
    fn rows(
        &self,
        range: Range<usize>,
        aux: &[f64],
        eta: &mut [f64],
        log_sigma: &mut [f64],
        d_aux: &mut [f64],
        each: &mut [f64],
    ) -> f64;

    /// See [`super::Likelihood::curvatures`]; implementations are `#[inline(always)]`. False where no
    /// formula is at hand.
    #[inline(always)]
    fn curvatures(&self, _range: Range<usize>, _eta: &mut [f64]) -> bool {
        false
    }

    /// Let every row stand for several with the same linear predictor: their numbers, and what else
    /// their likelihood needs; false where that is not enough.
    fn merge(&mut self, _copies: Vec<f64>, _within: Vec<f64>) -> bool {
        false
    }

    /// Thresholds up to the highest category that occurs.
    fn n_thresholds(&self) -> usize {
        0
    }

    /// Rows whose terms in `shared` agree, but for a constant and a weight, are a class: that of
    /// every one of `n_rows`, and how many there are.
    fn classes(&self, n_rows: usize) -> (Vec<usize>, usize) {
        (vec![0; n_rows], 1)
    }

    /// These terms, class by class.
    fn common(&self, aux: &[f64], classes: &mut [f64]);
}

macro_rules! families {
    ($($formulas:ident { $($name:literal => $kind:ident,)+ })+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($($kind,)+)+
        }

        impl Kind {
            pub const ALL: &[(&str, Kind)] = &[$($(($name, Kind::$kind),)+)+];

            pub fn about(self) -> About {
                match self {
                    $($(Kind::$kind)|+ => $formulas::about(self),)+
                }
            }

            /// The term of a row without a parameter.
            pub fn constant(self, y: f64, trials: Option<&f64>, weight: Option<&f64>) -> f64 {
                match self {
                    $($(Kind::$kind)|+ => $formulas::constant(self, y, trials, weight),)+
                }
            }
        }

        /// Formulas at hand: [`Formulas`] without the cost of a call that the compiler cannot see
        /// through.
        pub enum Family {
            $($formulas($formulas),)+
        }

        impl Family {
            pub fn new(
                kind: Kind,
                link: Link,
                y: Vec<f64>,
                trials: Vec<f64>,
                weights: Vec<f64>,
            ) -> Self {
                match kind {
                    $($(Kind::$kind)|+ => {
                        Family::$formulas($formulas::new(kind, link, y, trials, weights))
                    })+
                }
            }

            pub fn shared(&self, aux: &[f64], d_aux: &mut [f64]) -> f64 {
                match self {
                    $(Family::$formulas(family) => family.shared(aux, d_aux),)+
                }
            }

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
                match self {
                    $(Family::$formulas(f) => f.rows(range, aux, eta, log_sigma, d_aux, each),)+
                }
            }

            #[inline(always)]
            pub fn curvatures(&self, range: Range<usize>, eta: &mut [f64]) -> bool {
                match self {
                    $(Family::$formulas(family) => family.curvatures(range, eta),)+
                }
            }

            pub fn merge(&mut self, copies: Vec<f64>, within: Vec<f64>) -> bool {
                match self {
                    $(Family::$formulas(family) => family.merge(copies, within),)+
                }
            }

            pub fn n_thresholds(&self) -> usize {
                match self {
                    $(Family::$formulas(family) => family.n_thresholds(),)+
                }
            }

            pub fn classes(&self, n_rows: usize) -> (Vec<usize>, usize) {
                match self {
                    $(Family::$formulas(family) => family.classes(n_rows),)+
                }
            }

            pub fn common(&self, aux: &[f64], classes: &mut [f64]) {
                match self {
                    $(Family::$formulas(family) => family.common(aux, classes),)+
                }
            }
        }
    };
}

families! {
    Continuous {
        "gaussian" => Gaussian,
        "student_t" => StudentT,
        "lognormal" => LogNormal,
    }
    Binary {
        "bernoulli" => Bernoulli,
        "binomial" => Binomial,
    }
    Counts {
        "poisson" => Poisson,
        "negbinomial" => NegBinomial,
        "zero_inflated_poisson" => ZeroInflatedPoisson,
        "zero_inflated_negbinomial" => ZeroInflatedNegBinomial,
        "hurdle_poisson" => HurdlePoisson,
        "hurdle_negbinomial" => HurdleNegBinomial,
    }
    Positive {
        "gamma" => Gamma,
        "exponential" => Exponential,
        "weibull" => Weibull,
    }
    Beta {
        "beta" => Beta,
    }
    Ordinal {
        "cumulative" => Cumulative,
    }
}

impl Kind {
    pub fn parse(name: &str) -> Option<Kind> {
        Self::ALL.iter().find(|known| known.0 == name).map(|known| known.1)
    }

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|known| known.1 == self).map_or("", |known| known.0)
    }
}

pub fn is_whole(x: f64) -> bool {
    // Beyond 2⁵³ numbers are no longer counts.
    (0.0..9e15).contains(&x) && x == x.floor()
}

pub fn is_positive(x: f64) -> bool {
    x > 0.0 && x.is_finite()
}
