//! Convolution fused with cross-channel pooling: wide maps are reduced before they are stored.
//!
//! [`Layer`] is the one entry point: it is made once from a [`Recipe`] and its weights, which it
//! packs, and runs on any number of inputs from any number of threads. Memory and threads come
//! from the caller through [`Runtime`].
//!
//! The arithmetic exists once, written over [`simd::Simd`]; [`isa::Isa`] picks the instruction
//! set when a layer is made.

#![expect(
    clippy::inline_always,
    reason = "vector code is compiled into the functions that enable its instructions"
)]

mod activation;
mod aligned;
mod cost;
mod direct;
mod elementwise;
mod epilogue;
mod error;
mod functions;
mod geometry;
mod isa;
mod layer;
mod maxpool;
mod narrow;
mod pool;
mod program;
mod quantized;
mod recipe;
mod reduce;
mod runtime;
mod simd;
mod step;
mod winograd;

pub use error::Error;
pub use isa::Isa;
pub use layer::{Layer, Outcome, Weights};
pub use program::Program;
pub use quantized::{Quantization, QuantizedLayer, QuantizedWeights};
pub use recipe::{Recipe, Reduction, Window};
pub use runtime::{ALIGNMENT, Runtime, Scratch, Serial};
