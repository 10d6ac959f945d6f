//! From a problem to the best plan that the request allows.

use std::time::Instant;

use crate::improve::Improver;
use crate::instance::Instance;
use crate::monitor::{Limits, Monitor};
use crate::plan::{Ending, Plan, Request};
use crate::problem::{Buffer, ProblemError};
use crate::start::first_plan;

/// What the planner spends without a time limit, in looks at a buffer: about a second.
const EFFORT: u64 = 60_000_000;

/// Up to this many buffers, exact search is worth its time.
const SEARCHABLE: usize = 5_000;

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
    let limits = Limits { monitor, deadline };
    let goal = request.capacity.map(|capacity| capacity.max(instance.lower_bound));
    let offsets = first_plan(&instance, goal.unwrap_or(instance.lower_bound), &limits);
    let mut improver = Improver::new(&instance, offsets);
    let ending = improve(&mut improver, request, &limits);
    Ok(answer(buffers, &improver, ending))
}

/// Searches on until the question is answered or a limit is reached.
fn improve(improver: &mut Improver<'_>, request: &Request, limits: &Limits<'_>) -> Ending {
    let mut spent = 0;
    loop {
        let fits = request.capacity.is_some_and(|capacity| improver.arena <= capacity);
        let refuted = request.capacity.is_some_and(|capacity| capacity < improver.bound);
        if fits || refuted || improver.arena == improver.bound {
            return Ending::Proved;
        }
        if let Some(ending) = limits.reached() {
            return ending;
        }
        spent += improver.next_cost();
        if limits.deadline.is_none() && spent > EFFORT {
            return Ending::EffortSpent;
        }
        improver.next_round(request.capacity, limits);
    }
}

fn answer(buffers: &[Buffer], improver: &Improver<'_>, ending: Ending) -> Plan {
    let mut offsets: Vec<i64> = buffers.iter().map(|buffer| buffer.pinned.unwrap_or(0)).collect();
    // Empty buffers take no place, but a pinned one has its offset inside the arena all the same.
    let empty = buffers.iter().filter(|b| b.size == 0).map(|b| b.pinned.unwrap_or(0)).max();
    let empty = empty.unwrap_or(0);
    for (&source, &offset) in improver.sources().iter().zip(&improver.offsets) {
        offsets[source as usize] = offset;
    }
    Plan {
        offsets,
        arena_bytes: improver.arena.max(empty),
        lower_bound_bytes: improver.bound.max(empty),
        ending,
    }
}
