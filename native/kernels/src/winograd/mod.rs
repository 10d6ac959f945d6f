//! Fast convolution by 3×3 filters (Winograd; Lavin and Gray, arXiv 1509.09308).
//!
//! A tile of m × m outputs needs (m + 2)² products for each pair of channels instead of 9 m²: both
//! tile and filter are transformed, multiplied element by element, summed over the channels — one
//! matrix product for each of the (m + 2)² elements — and transformed back. Vectors run over
//! channels. Slot s of [`Simd::LANES`] neighbouring groups fills one vector, so that cross-channel
//! pooling is an operation between whole vectors, inside of the inverse transform.
//!
//! [`Simd::LANES`]: crate::simd::Simd::LANES

mod convolve;
mod filters;
pub mod input;
pub mod output;
pub mod product;
mod steps;
mod transforms;

pub use convolve::{Call, run};
pub use filters::{Block, Filters, filter_at};
pub use transforms::TileSize;
