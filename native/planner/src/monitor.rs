//! Lets another thread watch the planner and stop it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Instant;

use crate::plan::Ending;

/// Shared between the planner and whoever waits for it.
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

    /// Tells who waits of an answer that needs this many bytes.
    pub fn report(&self, arena: i64) {
        self.best.fetch_min(arena, Ordering::Relaxed);
    }
}

/// Says when to stop, whatever has been found.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Somebody may ask to stop.
    pub monitor: &'a Monitor,
    /// The time is limited.
    pub deadline: Option<Instant>,
    /// The work is limited, in looks at a buffer.
    pub effort: u64,
}

impl Limits<'_> {
    /// Returns why to break off whatever is being done, if there is a reason.
    #[must_use]
    pub fn interrupted(&self) -> Option<Ending> {
        if self.monitor.stopped() {
            return Some(Ending::Interrupted);
        }
        self.deadline.is_some_and(|end| Instant::now() >= end).then_some(Ending::TimeLimit)
    }

    /// Returns why not to begin anything new after so much work, if there is a reason.
    #[must_use]
    pub fn reached(&self, spent: u64) -> Option<Ending> {
        self.interrupted().or_else(|| (spent > self.effort).then_some(Ending::EffortSpent))
    }
}
