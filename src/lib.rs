//! partialpool's numerical core. `python` is the only module that knows Python.

pub mod conditional;
pub mod covariance;
pub mod crossproducts;
pub mod diagnostics;
pub mod family;
pub mod gaussian;
pub mod general;
pub mod halves;
pub mod held_out;
pub mod joint;
pub mod lanes;
pub mod linalg;
pub mod metropolis;
pub mod parallel;
pub mod pilot;
pub mod predictor;
pub mod prior;
pub mod psis;
pub mod sampler;
pub mod spline;
pub mod surrogate;
pub mod vmath;
pub mod whitening;
pub mod wide;

#[cfg(feature = "python")]
mod python;
