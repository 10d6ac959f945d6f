//! Is there an order whose loads stay within a target? A walk over sets of finished operators.
//!
//! Two orders of the same operators lead to the same set, and what comes behind depends on the set
//! alone. So the sets are walked layer by layer, by their number of operators, and each is kept
//! once. A layer that grows too wide loses the sets that store most; then nothing is proved.

use std::collections::HashMap;

use condense_planner::Limits;

use crate::bits::Bits;
use crate::descent::Descent;
use crate::instance::{Instance, Step};

/// Most sets that one search may keep track of.
const MOST_SETS: usize = 1 << 25;

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
    /// Operators that can run next.
    pub ready: Bits,
    /// Bytes stored.
    pub alive: i64,
    /// The place of the last step in the trace.
    trace: usize,
}

impl State {
    fn start(instance: &Instance) -> Self {
        let done = instance.none_done();
        let free = |operator: &usize| instance.graph.predecessors[*operator].len() == 0;
        let ready = Bits::of(instance.count(), (0..instance.count()).filter(free));
        Self { done, ready, alive: instance.stored, trace: 0 }
    }

    /// Runs one operator.
    pub fn run(&mut self, instance: &Instance, operator: usize) {
        self.done.insert(operator);
        self.ready.remove(operator);
        self.alive += instance.change(operator, &self.done);
        for &next in &instance.graph.successors[operator] {
            if instance.graph.predecessors[next].is_subset(&self.done) {
                self.ready.insert(next);
            }
        }
    }
}

/// One search.
pub struct Search<'a> {
    instance: &'a Instance,
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
    pub fn new(instance: &'a Instance, target: i64) -> Self {
        Self {
            instance,
            target,
            refused: i64::MAX,
            trace: vec![(0, Step::single(0))],
            layers: vec![HashMap::new(); instance.count() + 1],
            met: 0,
        }
    }

    /// Searches with at most `width` sets in each layer.
    pub fn run(&mut self, width: usize, limits: &Limits<'_>) -> Outcome {
        let start = State::start(self.instance);
        if start.alive + self.instance.unread > self.target {
            return Outcome::Exhausted(start.alive + self.instance.unread);
        }
        let mut complete = true;
        self.layers[0].insert(start.done.clone(), start);
        for layer in 0..self.instance.count() {
            let mut states: Vec<State> =
                std::mem::take(&mut self.layers[layer]).into_values().collect();
            if states.len() > width {
                states.sort_unstable_by_key(|state| (state.alive, state.trace));
                states.truncate(width);
                complete = false;
            } else {
                states.sort_unstable_by_key(|state| state.trace);
            }
            for (number, state) in states.iter().enumerate() {
                if number % PATIENCE == 0 && limits.reached().is_some() {
                    return Outcome::Stopped;
                }
                if self.trace.len() > MOST_SETS {
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

    /// Runs each operator that is ready, and each pair.
    fn expand(&mut self, state: &State) {
        let instance = self.instance;
        let first = state.trace == 0;
        let stored = state.alive + if first { instance.unread } else { 0 };
        for operator in state.ready.iter() {
            if self.fits(stored + instance.room(operator, &state.done)) {
                self.enter(state, Step::single(operator));
            }
            for pair in &instance.pairs[operator] {
                let room = instance.pair_room(pair, &state.done);
                if room.is_some_and(|room| self.fits(stored + room)) {
                    self.enter(state, Step { first: operator, second: Some(pair.consumer) });
                }
            }
        }
    }

    fn fits(&mut self, load: i64) -> bool {
        if load > self.target {
            self.refused = self.refused.min(load);
        }
        load <= self.target
    }

    /// Puts the set behind a step into its layer, and runs what had better run at once.
    fn enter(&mut self, state: &State, step: Step) {
        let mut next = state.clone();
        self.met += 1;
        self.take(&mut next, step);
        while let Some(steps) =
            Descent::new(self.instance, self.target, &mut self.refused).find(&next)
        {
            steps.into_iter().for_each(|step| self.take(&mut next, step));
        }
        let layer = &mut self.layers[next.done.len()];
        if !layer.contains_key(&next.done) {
            layer.insert(next.done.clone(), next);
        }
    }

    fn take(&mut self, state: &mut State, step: Step) {
        step.operators().for_each(|operator| state.run(self.instance, operator));
        self.trace.push((state.trace, step));
        state.trace = self.trace.len() - 1;
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
