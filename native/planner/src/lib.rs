//! Places buffers of known size and lifetime in one small arena.
//!
//! Buffers are rectangles whose position in time is given and whose position in memory is
//! sought: *dynamic storage allocation*, which is NP-hard. See `docs/planner.md` for the ideas.
#![forbid(unsafe_code)]

mod climb;
mod first_fit;
mod heights;
mod improve;
mod instance;
mod monitor;
mod order;
mod parallel;
mod plan;
mod planner;
mod problem;
mod random;
mod search;
pub mod shapes;
mod skyline;

pub use monitor::{Limits, Monitor};
pub use plan::{Ending, Plan, Request};
pub use planner::plan;
pub use problem::{Buffer, Lifetime, MAX_TOTAL_BYTES, ProblemError};
