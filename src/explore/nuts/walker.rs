//! A walk of either kind, and a draw of it.

use super::adapting::Adapting;
use super::whitened::Whitened;
use crate::sampler::Density;

pub enum Walker<D: Density> {
    /// Over what is nearly standard normal.
    Whitened(Box<Whitened<D>>),
    /// Over what may have any shape.
    Adapting(Box<Adapting<D>>),
}

/// One draw.
pub struct Draw {
    pub u: Vec<f64>,
    pub energy: f64,
    pub logp: f64,
    /// Doublings of the path, or those that its steps would have been.
    pub depth: u64,
    pub diverging: bool,
    pub gradients: u64,
    pub step_size: f64,
}

impl<D: Density> Walker<D> {
    /// Whether it needs no more warm-up.
    pub fn is_warm(&self) -> bool {
        matches!(self, Self::Whitened(_))
    }

    pub fn draw(&mut self) -> Result<Draw, String> {
        match self {
            Self::Whitened(walk) => Ok(walk.draw()),
            Self::Adapting(walk) => walk.draw(),
        }
    }
}
