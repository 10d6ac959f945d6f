//! Is there an order whose loads stay within a target? A walk over sets of finished operators.
//!
//! Two orders of the same operators lead to the same set, and what comes behind depends on the set
//! alone. So the sets are walked layer by layer, by their number of operators, and each is kept
//! once. A layer that grows too wide loses the sets that store most; then nothing is proved.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use condense_planner::Limits;

use crate::bits::Bits;
use crate::descent::Descent;
use crate::instance::{Instance, Step};
use crate::moves::{Move, Moves};
use crate::walk::Walk;

/// Most steps that one search may keep track of: half a gigabyte.
const MOST_STEPS: usize = 1 << 24;

/// Sets between two looks at the clock.
const PATIENCE: usize = 256;

/// How a search ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The steps of an order within the target.
    Found(Vec<Step>),
    /// No order has a peak below this.
    Exhausted(i64),
    /// Sets were dropped, or the time was up.
    Stopped,
}

/// A set of finished operators.
#[derive(Clone, Debug)]
pub struct State {
    pub done: Bits,
    /// Operators with which a move that is possible ends.
    pub ready: Bits,
    /// Bytes stored.
    pub alive: i64,
    /// The place of the last step in the trace.
    trace: usize,
}

impl State {
    fn start(instance: &Instance, moves: &Moves) -> Self {
        let done = instance.none_done();
        let free = (0..instance.count()).filter(|&operator| moves.is_ready(operator, &done));
        let ready = Bits::of(instance.count(), free);
        Self { done, ready, alive: instance.stored, trace: 0 }
    }
}

/// One search.
pub struct Search<'a> {
    instance: &'a Instance,
    moves: &'a Moves,
    target: i64,
    /// Least load that was refused.
    refused: i64,
    /// For each step of each order under way, the place of the step before.
    trace: Vec<(usize, Step)>,
    layers: Vec<HashMap<Bits, State>>,
    /// Sets met.
    pub met: usize,
}

impl<'a> Search<'a> {
    /// Prepares a search for an order whose loads are at most `target`.
    pub fn new(instance: &'a Instance, moves: &'a Moves, target: i64) -> Self {
        Self {
            instance,
            moves,
            target,
            refused: i64::MAX,
            trace: vec![(0, Step::single(0))],
            layers: vec![HashMap::new(); instance.count() + 1],
            met: 0,
        }
    }

    /// Searches with at most `width` sets in each layer and about `most` sets altogether.
    pub fn run(&mut self, width: usize, most: usize, limits: &Limits<'_>) -> Outcome {
        let start = State::start(self.instance, self.moves);
        let stored = start.alive + self.instance.unread;
        if stored > self.target {
            return Outcome::Exhausted(stored);
        }
        let mut complete = true;
        self.layers[0].insert(start.done.clone(), start);
        for layer in 0..self.instance.count() {
            let states = self.leave(layer, width, &mut complete);
            for (number, state) in states.iter().enumerate() {
                let full = self.met > most || self.trace.len() > MOST_STEPS;
                if full || number % PATIENCE == 0 && limits.interrupted().is_some() {
                    return Outcome::Stopped;
                }
                self.expand(state);
            }
        }
        match self.layers[self.instance.count()].values().next() {
            Some(end) => Outcome::Found(self.steps(end.trace)),
            None if complete => Outcome::Exhausted(self.refused),
            None => Outcome::Stopped,
        }
    }

    /// Returns the sets of a layer in a fixed order, the best of them if there are too many.
    fn leave(&mut self, layer: usize, width: usize, complete: &mut bool) -> Vec<State> {
        let sets = std::mem::take(&mut self.layers[layer]);
        let mut states: Vec<State> = sets.into_values().collect();
        states.sort_unstable_by_key(|state| (state.alive, state.trace));
        *complete &= states.len() <= width;
        states.truncate(width);
        states
    }

    /// Makes each move that is possible.
    fn expand(&mut self, state: &State) {
        let moves = self.moves;
        for operator in state.ready.iter() {
            for next in moves.single[operator].iter().chain(&moves.pair[operator]) {
                self.enter(state, next);
            }
        }
    }

    /// Puts the set behind a move into its layer, and runs what had better run at once.
    fn enter(&mut self, state: &State, next: &Move) {
        let instance = self.instance;
        if !next.needs.is_subset(&state.done) {
            return;
        }
        let mut walk = Walk::new(instance, self.target, state.done.clone(), state.alive);
        if !walk.take(&next.steps) {
            self.refused = self.refused.min(walk.refused);
            return;
        }
        self.met += 1;
        let mut descent = Descent::new(self.moves, walk, state.ready.clone());
        descent.follow(&next.steps);
        descent.run();
        let Descent { walk, ready, steps, .. } = descent;
        self.refused = self.refused.min(walk.refused);
        if let Entry::Vacant(place) = self.layers[walk.done.len()].entry(walk.done) {
            let mut trace = state.trace;
            for step in steps {
                self.trace.push((trace, step));
                trace = self.trace.len() - 1;
            }
            let done = place.key().clone();
            place.insert(State { done, ready, alive: walk.alive, trace });
        }
    }

    fn steps(&self, end: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut place = end;
        while place != 0 {
            let (before, step) = self.trace[place];
            steps.push(step);
            place = before;
        }
        steps.reverse();
        steps
    }
}
