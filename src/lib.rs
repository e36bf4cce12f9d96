//! partialpool's numerical core. `python` is the only module that knows Python.

pub mod blocks;
pub mod covariance;
pub mod diagnostics;
pub mod explore;
pub mod family;
pub mod general;
pub mod halves;
pub mod index;
pub mod lanes;
pub mod laplace;
pub mod linalg;
pub mod marginal;
pub mod mixture;
pub mod moments;
pub mod parallel;
pub mod pilot;
pub mod points;
pub mod predictor;
pub mod prior;
pub mod psis;
pub mod quantiles;
pub mod rounds;
pub mod sampler;
pub mod spline;
pub mod vmath;
pub mod walk;
pub mod whitening;

#[cfg(feature = "python")]
mod python;
