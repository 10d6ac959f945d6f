//! Steps that may be taken at once, without looking at the alternatives.
//!
//! From the set S, let a chain of operators X, each waiting for the one before, be runnable within
//! the target, with no more bytes stored behind it than at S or at any point inside. Then some
//! order within the target, if there is one, goes on with X. For take any, and move X to its front.
//! Let A be what has run at some later step, and Y what that holds of X: stored bytes are submodular,
//! `alive(A ∪ X) + alive(S ∪ Y) ≤ alive(A) + alive(S ∪ X)`, and `alive(S ∪ X) ≤ alive(S ∪ Y)`, so
//! `alive(A ∪ X) ≤ alive(A)`: the other operators run with no more stored than before. They can save
//! as many bytes as before, too, since at least as many readers have run. One case remains: a
//! producer in X whose consumer ran together with it and now runs alone. There X must hold the
//! consumer, unless what it saves as part of the pair it can save alone.

use crate::bits::Bits;
use crate::instance::{Instance, Pair, Step};
use crate::search::State;

/// Most operators looked at for one start of a chain.
const LONGEST: usize = 48;

/// Looks for a chain of operators that lead downhill.
pub struct Descent<'a> {
    instance: &'a Instance,
    target: i64,
    refused: &'a mut i64,
    done: Bits,
    chain: Vec<Step>,
    looks: usize,
}

impl<'a> Descent<'a> {
    /// Prepares to look; `refused` becomes the least load above the target that was met.
    pub fn new(instance: &'a Instance, target: i64, refused: &'a mut i64) -> Self {
        let done = instance.none_done();
        Self { instance, target, refused, done, chain: Vec::new(), looks: 0 }
    }

    /// Returns the steps of a chain that may run at once, if one is found.
    pub fn find(mut self, state: &State) -> Option<Vec<Step>> {
        self.done = state.done.clone();
        for operator in state.ready.iter() {
            self.looks = LONGEST;
            if self.descend(operator, state.alive, state.alive) {
                return Some(self.chain);
            }
        }
        None
    }

    /// Tells whether a chain that goes on with `operator` comes down to `low` bytes.
    fn descend(&mut self, operator: usize, alive: i64, low: i64) -> bool {
        if self.looks == 0 {
            return false;
        }
        self.looks -= 1;
        let fits = self.fits(alive + self.instance.room(operator, &self.done));
        if fits && !self.instance.clings[operator] {
            return self.go_on(&[Step::single(operator)], operator, alive, low);
        }
        let instance = self.instance;
        instance.pairs[operator]
            .iter()
            .any(|pair| self.descend_together(operator, pair, fits, alive, low))
    }

    /// Does the same for a producer that its consumer follows at once.
    fn descend_together(
        &mut self,
        operator: usize,
        pair: &Pair,
        first_fits: bool,
        alive: i64,
        low: i64,
    ) -> bool {
        let room = self.instance.pair_room(pair, &self.done);
        let together = room.is_some_and(|room| self.fits(alive + room));
        self.done.insert(operator);
        let between = alive + self.instance.change(operator, &self.done);
        let ready = self.instance.graph.predecessors[pair.consumer].is_subset(&self.done);
        let second = between + self.instance.room(pair.consumer, &self.done);
        let found = if !ready {
            false
        } else if together {
            let step = Step { first: operator, second: Some(pair.consumer) };
            self.go_on(&[step], pair.consumer, between, low.min(between))
        } else if first_fits && self.fits(second) {
            let steps = [Step::single(operator), Step::single(pair.consumer)];
            self.go_on(&steps, pair.consumer, between, low.min(between))
        } else {
            false
        };
        self.done.remove(operator);
        found
    }

    /// Takes steps that end with `operator`, and follows the chain unless it is down already.
    fn go_on(&mut self, steps: &[Step], operator: usize, before: i64, low: i64) -> bool {
        let graph = &self.instance.graph;
        self.done.insert(operator);
        self.chain.extend(steps);
        let alive = before + self.instance.change(operator, &self.done);
        let found = alive <= low
            || graph.successors[operator].iter().any(|&next| {
                graph.predecessors[next].is_subset(&self.done) && self.descend(next, alive, low)
            });
        if !found {
            self.chain.truncate(self.chain.len() - steps.len());
        }
        self.done.remove(operator);
        found
    }

    fn fits(&mut self, load: i64) -> bool {
        if load > self.target {
            *self.refused = load.min(*self.refused);
        }
        load <= self.target
    }
}
