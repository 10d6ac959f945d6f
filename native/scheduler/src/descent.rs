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
use crate::instance::Step;
use crate::moves::{Move, Moves};
use crate::walk::Walk;

/// Most moves looked at for one start of a chain.
const LONGEST: usize = 48;

/// Steps taken, and those that may follow at once.
pub struct Descent<'a> {
    pub walk: Walk<'a>,
    /// Operators with which a move that is possible ends.
    pub ready: Bits,
    /// Steps taken from the start on.
    pub steps: Vec<Step>,
    moves: &'a Moves,
    looks: usize,
}

impl<'a> Descent<'a> {
    /// Starts behind a walk; `ready` are the moves that were possible before it.
    pub fn new(moves: &'a Moves, walk: Walk<'a>, ready: Bits) -> Self {
        Self { walk, ready, steps: Vec::new(), moves, looks: 0 }
    }

    /// Takes over steps that the walk has made.
    pub fn follow(&mut self, steps: &[Step]) {
        self.steps.extend(steps);
        self.update_ready(steps);
    }

    /// Runs chains as long as there are any that may run at once.
    pub fn run(&mut self) {
        while let Some(start) = self.find() {
            let steps = self.steps.split_off(start);
            self.follow(&steps);
        }
    }

    /// Runs one chain; returns where its steps start.
    fn find(&mut self) -> Option<usize> {
        let start = self.steps.len();
        let ready: Vec<usize> = self.ready.iter().collect();
        ready.into_iter().find_map(|operator| {
            self.looks = LONGEST;
            self.descend(operator, self.walk.alive).then_some(start)
        })
    }

    fn update_ready(&mut self, steps: &[Step]) {
        let instance = self.walk.instance;
        for operator in steps.iter().flat_map(|step| step.operators()) {
            self.ready.remove(operator);
            for head in self.moves.behind(instance, operator, &self.walk.done) {
                self.ready.insert(head);
            }
        }
    }

    /// Tells whether a chain that goes on with `operator` comes down to `low` bytes; takes it.
    fn descend(&mut self, operator: usize, low: i64) -> bool {
        let moves = self.moves;
        let Some(single) = moves.single[operator].as_ref().filter(|_| self.looks > 0) else {
            return false;
        };
        self.looks -= 1;
        let alive = self.walk.alive;
        let fits = self.walk.take(&single.steps);
        if fits {
            if !self.walk.instance.clings[operator] {
                return self.go_on(&single.steps, alive, low);
            }
            self.walk.undo(&single.steps, alive);
        }
        let low = low.min(alive + self.walk.change(&single.steps));
        let possible = |pair: &&Move| pair.needs.is_subset(&self.walk.done);
        let Some(pair) = moves.pairs[operator].iter().find(possible) else {
            return false;
        };
        if self.walk.take(&pair.steps) {
            return self.go_on(&pair.steps, alive, low);
        }
        let consumer = pair.steps.last().and_then(|step| step.second);
        let Some(second) = consumer.and_then(|c| moves.single[c].as_ref()).filter(|_| fits) else {
            return false;
        };
        let apart = [&single.steps[..], &second.steps].concat();
        self.walk.take(&apart) && self.go_on(&apart, alive, low)
    }

    /// Follows the chain behind steps just taken, unless it is down already; or takes them back.
    fn go_on(&mut self, steps: &[Step], before: i64, low: i64) -> bool {
        self.steps.extend(steps);
        let alive = self.walk.alive;
        let last = steps.iter().flat_map(|step| step.operators()).last();
        let found = alive <= low
            || last.is_some_and(|last| {
                let moves = self.moves;
                let next: Vec<usize> =
                    moves.behind(self.walk.instance, last, &self.walk.done).collect();
                next.into_iter().any(|operator| self.descend(operator, low))
            });
        if !found {
            self.steps.truncate(self.steps.len() - steps.len());
            self.walk.undo(steps, before);
        }
        found
    }
}
