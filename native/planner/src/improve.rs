//! Makes a plan smaller by searching for plans within less and less memory.

use std::ops::ControlFlow;

use crate::instance::Instance;
use crate::monitor::Limits;
use crate::parallel::first_success;
use crate::search::{Outcome, Strategy, search};

/// Strategies tried with each budget.
const STRATEGIES: usize = 20;

/// What is known about the arena of one instance.
pub struct Improver<'a> {
    instance: &'a Instance,
    /// The best plan so far.
    pub offsets: Vec<i64>,
    /// Its arena.
    pub arena: i64,
    /// No arena can be smaller.
    pub bound: i64,
    /// Number of the next round.
    round: u32,
    /// All arenas of plans worth finding differ by multiples of this.
    grain: i64,
}

impl<'a> Improver<'a> {
    /// Starts from a plan.
    pub fn new(instance: &'a Instance, offsets: Vec<i64>) -> Self {
        Self {
            instance,
            arena: instance.arena(&offsets),
            offsets,
            bound: instance.lower_bound,
            round: 0,
            grain: grain(instance),
        }
    }

    /// Returns the position of each item in the input.
    pub fn sources(&self) -> &[u32] {
        &self.instance.sources
    }

    /// Searches once more, with twice the budget of the round before.
    ///
    /// With a goal: for a plan within the goal. Else for ever smaller plans, first at the bound
    /// itself, then half-way between what is hopeless at this budget and what is found.
    pub fn next_round(&mut self, goal: Option<i64>, limits: &Limits<'_>) {
        let mut hopeless = self.bound - 1;
        let mut target = goal.unwrap_or(self.bound);
        while self.bound <= target && target < self.arena && limits.reached().is_none() {
            match self.attempt(target, limits) {
                Outcome::Solved(offsets) => {
                    self.arena = self.instance.arena(&offsets);
                    self.offsets = offsets;
                    limits.monitor.report(self.arena);
                }
                Outcome::Exhausted => {
                    self.bound = crate::instance::align_up(target + 1, self.grain).min(self.arena);
                }
                Outcome::Stopped => hopeless = target,
            }
            hopeless = hopeless.max(self.bound - 1);
            if goal.is_some() || self.arena - hopeless <= self.arena / 1000 + 1 {
                break;
            }
            target = hopeless + (self.arena - hopeless) / 2;
        }
        self.round += 1;
    }

    /// Returns the cost of the next round, in looks at a buffer.
    pub fn next_cost(&self) -> u64 {
        self.budget().saturating_mul((STRATEGIES * self.instance.items.len()) as u64)
    }

    fn budget(&self) -> u64 {
        (2 * self.instance.items.len() as u64 + 200) << self.round.min(40)
    }

    fn attempt(&self, target: i64, limits: &Limits<'_>) -> Outcome {
        let budget = self.budget();
        let first = self.round as usize * STRATEGIES;
        first_success(STRATEGIES, |job, wanted| {
            let strategy = Strategy::numbered(first + job);
            let watch = || {
                if wanted() && limits.reached().is_none() {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            };
            let outcome = search(self.instance, target, &strategy, budget, &watch);
            (outcome != Outcome::Stopped).then_some(outcome)
        })
        .unwrap_or(Outcome::Stopped)
    }
}

/// Returns the greatest number that divides all sizes, alignments and pinned offsets.
fn grain(instance: &Instance) -> i64 {
    let grain = instance.items.iter().fold(0, |grain, item| {
        let step = item.pinned.unwrap_or(if item.alignment == 1 { 0 } else { item.alignment });
        crate::instance::gcd(crate::instance::gcd(grain, item.size), step)
    });
    grain.max(1)
}
