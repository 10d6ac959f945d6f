//! The same layer in 8 bits: integer products, pooling before the result is rounded to 8 bits.
//!
//! All bytes are handled as unsigned numbers. A signed byte is moved by 128, as is its zero point,
//! which changes neither differences nor order.

mod convolve;
mod filters;
pub mod kernel;
mod layer;
mod maxpool;
mod packing;
mod rounding;
mod table;
mod transpose;

pub use layer::{Quantization, QuantizedLayer, QuantizedWeights};
