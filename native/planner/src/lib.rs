//! Places buffers of known size and lifetime in one small arena.
//!
//! Buffers are rectangles whose position in time is given and whose position in memory is
//! sought: *dynamic storage allocation*, which is NP-hard. See `docs/planner.md` for the ideas.
#![forbid(unsafe_code)]

mod first_fit;
mod instance;
mod order;
mod plan;
mod planner;
mod problem;

pub use plan::{Ending, Plan, Request};
pub use planner::{Monitor, plan};
pub use problem::{Buffer, Lifetime, MAX_TOTAL_BYTES, ProblemError};
