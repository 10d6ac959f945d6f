//! Direct convolution of small maps: vectors of filters, a few pixels at a time.
//!
//! Where a map is small and has many channels, weights are most of what is read. Here each is read
//! once for all pixels, and taps that lie in the padding cost nothing. Slot s of neighbouring
//! groups fills one vector, as in the fast convolution.

mod convolve;
pub mod product;
mod steps;

pub use convolve::{Call, run};
pub use steps::valid_steps;
