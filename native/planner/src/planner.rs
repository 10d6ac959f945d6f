//! From a problem to the best plan that the request allows.

use std::time::Instant;

use crate::improve::Improver;
use crate::instance::Instance;
use crate::monitor::{Limits, Monitor};
use crate::plan::{Ending, Plan, Request};
use crate::problem::{Buffer, ProblemError};

/// What the planner spends without a time limit, in looks at a buffer: about half a second.
const EFFORT: u64 = 300_000_000;

/// Places the buffers.
///
/// # Errors
///
/// Returns what makes the input unusable.
pub fn plan(
    buffers: &[Buffer],
    request: &Request,
    monitor: &Monitor,
) -> Result<Plan, ProblemError> {
    let instance = Instance::new(buffers)?;
    instance.check_pins()?;
    let deadline = request.time_limit.and_then(|limit| Instant::now().checked_add(limit));
    let effort = if deadline.is_some() { u64::MAX } else { EFFORT };
    let limits = Limits { monitor, deadline, effort };
    let mut improver = Improver::new(&instance, request.capacity, limits);
    let ending = improve(&mut improver, &limits);
    Ok(answer(buffers, &instance, &improver, ending))
}

/// Goes on until the question is answered or a limit is reached.
fn improve(improver: &mut Improver<'_>, limits: &Limits<'_>) -> Ending {
    if !improver.finished() {
        improver.start();
    }
    while !improver.finished() {
        if let Some(ending) = limits.reached(improver.spent) {
            return ending;
        }
        improver.next_round();
    }
    Ending::Proved
}

fn answer(
    buffers: &[Buffer],
    instance: &Instance,
    improver: &Improver<'_>,
    ending: Ending,
) -> Plan {
    let mut offsets: Vec<i64> = buffers.iter().map(|buffer| buffer.pinned.unwrap_or(0)).collect();
    // Empty buffers take no place, but a pinned one has its offset inside the arena all the same.
    let empty = buffers.iter().filter(|b| b.size == 0).map(|b| b.pinned.unwrap_or(0)).max();
    let empty = empty.unwrap_or(0);
    for (&source, &offset) in instance.sources.iter().zip(&improver.offsets) {
        offsets[source as usize] = offset * instance.grain;
    }
    Plan {
        offsets,
        arena_bytes: (improver.arena * instance.grain).max(empty),
        lower_bound_bytes: (improver.bound * instance.grain).max(empty),
        ending,
    }
}
