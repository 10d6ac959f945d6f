//! Direct convolution: vectors of pixels, several filters at a time.

mod convolve;
mod filters;
pub mod kernel;
mod packing;
mod storing;

pub use convolve::{Call, run};
pub use filters::{Filters, Source, canonical_order};
