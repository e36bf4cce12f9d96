//! Random-walk Metropolis, and the joint density on which it walks.

mod joint;
mod metropolis;

pub use joint::{Bounded, GroupPrior, Joint, Scratch};
pub use metropolis::{Walk, walk};
