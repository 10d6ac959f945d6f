//! A part of a problem that is solved by itself.

use condense_planner::Limits;

use crate::bound::lower_bound;
use crate::instance::{Instance, Step};
use crate::moves::Moves;
use crate::problem::{OrderProblem, ProblemError};
use crate::replay::{numbered_order, peak};
use crate::search::{Outcome, Search};

/// Sets in a layer of the first search.
const FIRST_WIDTH: usize = 16;

/// Bytes that the sets of one layer may take; the layers behind it hold many times as many.
const LAYER_BYTES: usize = 32 << 20;

/// Operators that run one after the other in every order considered.
pub struct Segment {
    /// The part alone, operators numbered in their given order.
    pub instance: Instance,
    moves: Moves,
    /// Where its first operator stands in the given order of the whole.
    pub first: usize,
    /// The best order so far.
    pub steps: Vec<Step>,
    /// Its peak.
    pub upper: i64,
    /// No order of this part has a smaller peak.
    pub lower: i64,
    bounded: bool,
    width: usize,
}

impl Segment {
    /// Starts from the given order.
    pub fn new(problem: &OrderProblem, first: usize) -> Result<Self, ProblemError> {
        let instance = Instance::new(problem)?;
        let steps = numbered_order(&instance);
        let upper = peak(&instance, &steps);
        let lower = instance.stored + instance.unread;
        let moves = Moves::new(&instance);
        Ok(Self { instance, moves, first, steps, upper, lower, bounded: false, width: FIRST_WIDTH })
    }

    /// Tells whether no wider search is possible.
    pub fn exhausted(&self) -> bool {
        self.width > self.widest()
    }

    fn widest(&self) -> usize {
        LAYER_BYTES / (self.instance.count() / 2 + 128)
    }

    /// Brings the two bounds closer; returns the number of sets that this took, `most` or a few more.
    ///
    /// An order with a peak of `enough` bytes is as good as a better one.
    pub fn improve(&mut self, enough: i64, most: usize, limits: &Limits<'_>) -> usize {
        if !self.bounded {
            self.bounded = true;
            let known = self.lower.max(enough);
            let bound = lower_bound(&self.instance, &self.steps, known, limits);
            self.lower = bound.min(self.upper);
            return self.instance.count();
        }
        let mut met = 0;
        let mut hopeless = self.lower.max(enough) - 1;
        let mut target = hopeless + 1;
        while target < self.upper && met <= most && limits.interrupted().is_none() {
            let mut search = Search::new(&self.instance, &self.moves, target);
            let outcome = search.run(self.width, most - met, limits);
            met += search.met;
            match outcome {
                Outcome::Found(steps) => {
                    self.upper = peak(&self.instance, &steps);
                    self.steps = steps;
                }
                Outcome::Exhausted(least) => self.lower = least.min(self.upper),
                Outcome::Stopped => hopeless = target,
            }
            hopeless = hopeless.max(self.lower - 1);
            if self.upper - hopeless <= self.upper / 1000 + 1 {
                break;
            }
            target = hopeless + (self.upper - hopeless) / 2;
        }
        self.width *= 4;
        met
    }
}
