//! From a problem to the best plan that the request allows.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::first_fit::first_fit;
use crate::instance::Instance;
use crate::order::ORDERS;
use crate::plan::{Ending, Plan, Request};
use crate::problem::{Buffer, ProblemError};

/// Lets another thread watch the planner and stop it.
#[derive(Debug)]
pub struct Monitor {
    stop: AtomicBool,
    best: AtomicI64,
}

impl Default for Monitor {
    fn default() -> Self {
        Self { stop: AtomicBool::new(false), best: AtomicI64::new(i64::MAX) }
    }
}

impl Monitor {
    /// Asks the planner to return its best plan so far.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Tells whether somebody asked to stop.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Returns the arena of the best plan so far in bytes; none before the first plan.
    #[must_use]
    pub fn best(&self) -> Option<i64> {
        let best = self.best.load(Ordering::Relaxed);
        (best != i64::MAX).then_some(best)
    }

    fn report(&self, arena: i64) {
        self.best.fetch_min(arena, Ordering::Relaxed);
    }
}

/// Places the buffers.
///
/// # Errors
///
/// Returns what makes the input unusable.
pub fn plan(
    buffers: &[Buffer],
    _request: &Request,
    monitor: &Monitor,
) -> Result<Plan, ProblemError> {
    let instance = Instance::new(buffers)?;
    let mut best = vec![0; instance.items.len()];
    let mut arena = i64::MAX;
    for order in ORDERS {
        let offsets = first_fit(&instance, &order.sorted(&instance));
        if instance.arena(&offsets) < arena {
            arena = instance.arena(&offsets);
            monitor.report(arena);
            best = offsets;
        }
    }
    let mut offsets: Vec<i64> = buffers.iter().map(|b| b.pinned.unwrap_or(0)).collect();
    for (&source, &offset) in instance.sources.iter().zip(&best) {
        offsets[source as usize] = offset;
    }
    let arena_bytes =
        offsets.iter().zip(buffers).map(|(offset, b)| offset + b.size).max().unwrap_or(0);
    let ending =
        if arena_bytes == instance.lower_bound { Ending::Proved } else { Ending::EffortSpent };
    Ok(Plan { offsets, arena_bytes, lower_bound_bytes: instance.lower_bound, ending })
}
