//! Gaussian models with any number of grouping factors, nested or crossed: what is left when all
//! group coefficients are integrated out, and their conditionals.
//!
//! Rows are read once and kept as cross-products of the pairs of levels that occur ([`Products`]).
//! For a relative covariance ΛΛᵀ (Σ/σ², block diagonal over levels) let V₀ = I + ZΛΛᵀZᵀ. The factor
//! with most coefficients, 1, goes first, level by level; with W₁ = (I + Z₁Λ₁Λ₁ᵀZ₁ᵀ)⁻¹,
//!
//! * `S̃ = Z_rᵀW₁Z_r`, `V = Z_rᵀW₁[X y]` and `[X y]ᵀW₁[X y]` are sums over its levels of small
//!   products ([`eliminate`]);
//! * `S = Λ_rᵀS̃Λ_r + I = LLᵀ` for the other factors, r, together: dense or sparse ([`rest`]);
//! * `log|V₀| = Σ log|D_j| + log|S|`, `D_j = Λ₁ᵀZ_jᵀZ_jΛ₁ + I`, and
//!   `K = [X y]ᵀW₁[X y] − (L⁻¹Λ_rᵀV)ᵀ(L⁻¹Λ_rᵀV)`.
//!
//! That is the block Cholesky factorisation of Bates et al. (2015) and MixedModels.jl with the
//! unscaled Schur complement kept, so that slopes by Λ exist also where Λ is singular ([`slopes`]).

mod assumed;
mod eliminate;
mod gram;
mod held_out;
mod levels;
mod nodes;
mod products;
mod response;
mod rest;
mod slopes;
mod sums;
mod weighing;
mod within;

pub use eliminate::Elimination;
pub use held_out::{Draws, leave_rows_out, log_densities};
pub use nodes::{NodeAt, draws, node_moments};
pub use products::{Products, Rows, Shape};
pub use rest::Cost;
pub use sums::Blocks;
pub use weighing::Weighing;
pub use within::{AllRows, Within};
