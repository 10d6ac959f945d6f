//! Finds the sequence of operators whose peak of live feature-map bytes is smallest.
//!
//! See `docs/order.md` for the ideas.
#![forbid(unsafe_code)]

mod bits;
mod bound;
mod descent;
mod flow;
mod graph;
mod instance;
mod moves;
mod narrowing;
mod problem;
mod replay;
mod restriction;
mod scheduler;
mod search;
mod segment;
mod series;
mod walk;

pub use instance::Step;
pub use problem::{
    Accumulation, MAX_TOTAL_BYTES, OrderProblem, Overwrite, ProblemError, StoredMap,
};
pub use scheduler::{Order, Request, find_order};
