//! A part of a problem that is solved by itself.

use condense_planner::Limits;

use crate::bound::lower_bound;
use crate::instance::{Instance, Step};
use crate::moves::Moves;
use crate::problem::{Accumulation, OrderProblem, Overwrite, ProblemError, StoredMap};
use crate::replay::{numbered_order, peak};
use crate::search::{Outcome, Search};

/// Sets in a layer of the first search.
const FIRST_WIDTH: usize = 16;

/// Bytes that the sets of one layer may take.
const LAYER_BYTES: usize = 64 << 20;

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

    /// Brings the two bounds closer; returns the number of sets that this took.
    ///
    /// An order with a peak of `enough` bytes is as good as a better one.
    pub fn improve(&mut self, enough: i64, limits: &Limits<'_>) -> usize {
        if !self.bounded {
            self.bounded = true;
            self.lower =
                lower_bound(&self.instance, self.lower.max(enough), limits).min(self.upper);
            return self.instance.count();
        }
        let mut met = 0;
        let mut hopeless = self.lower.max(enough) - 1;
        let mut target = hopeless + 1;
        while target < self.upper && limits.interrupted().is_none() {
            let mut search = Search::new(&self.instance, &self.moves, target);
            let outcome = search.run(self.width, limits);
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

/// Returns the part of a problem between two places of an order that all orders pass.
///
/// `order` names the operators from the first place to the second, `place` says where each stands.
pub fn restrict(problem: &OrderProblem, place: &[usize], order: &[usize]) -> OrderProblem {
    let first = order.first().map_or(0, |&first| place[first]);
    let end = first + order.len();
    let inside = |operator: &usize| (first..end).contains(&place[*operator]);
    let number = |operator: usize| place[operator] - first;
    let mut part = OrderProblem::default();
    for &operator in order {
        let before = problem.predecessors[operator].iter().filter(|other| inside(other));
        part.predecessors.push(before.map(|&other| number(other)).collect());
    }
    let mut number_of_map = vec![usize::MAX; problem.maps.len()];
    for (index, map) in problem.maps.iter().enumerate() {
        let unread = map.readers.is_empty() && !map.kept;
        let written = map.writer.is_none_or(|writer| place[writer] < end);
        let needed = map.kept || map.readers.iter().any(|&reader| place[reader] >= first);
        let shown = match map.writer {
            Some(writer) if unread => inside(&writer),
            None if unread => first == 0,
            _ => written && needed,
        };
        if shown {
            number_of_map[index] = part.maps.len();
            part.maps.push(StoredMap {
                size: map.size,
                writer: map.writer.filter(|writer| inside(writer)).map(number),
                readers: map.readers.iter().filter(|r| inside(r)).map(|&r| number(r)).collect(),
                kept: map.kept || map.readers.iter().any(|&reader| place[reader] >= end),
            });
        }
    }
    let renumbered = |maps: &[usize]| maps.iter().map(|&map| number_of_map[map]).collect();
    for overwrite in problem.overwrites.iter().filter(|overwrite| inside(&overwrite.operator)) {
        part.overwrites.push(Overwrite {
            operator: number(overwrite.operator),
            maps: renumbered(&overwrite.maps),
            saved_bytes: overwrite.saved_bytes,
        });
    }
    for pair in problem.accumulations.iter() {
        if inside(&pair.producer) && inside(&pair.consumer) {
            part.accumulations.push(Accumulation {
                producer: number(pair.producer),
                consumer: number(pair.consumer),
                maps: renumbered(&pair.maps),
                saved_bytes: pair.saved_bytes,
            });
        }
    }
    part
}
