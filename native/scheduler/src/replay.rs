//! What an order costs, and which neighbours had better run as one.

use crate::bits::Bits;
use crate::instance::{Instance, Step};

/// Runs steps one after the other.
struct Replay<'a> {
    instance: &'a Instance,
    done: Bits,
    alive: i64,
}

impl<'a> Replay<'a> {
    fn new(instance: &'a Instance) -> Self {
        let done = instance.none_done();
        Self { instance, done, alive: instance.stored }
    }

    /// Returns the load of a step; none where a pair cannot run as one.
    fn load(&self, step: Step) -> Option<i64> {
        let room = self.instance.step_room(step, &self.done);
        room.map(|room| self.alive + room)
    }

    /// Returns the greater load of an operator and the next, each by itself.
    fn load_apart(&self, operator: usize) -> i64 {
        let mut copy = Self { done: self.done.clone(), ..*self };
        let first = copy.load(Step::single(operator));
        copy.run(Step::single(operator));
        first.max(copy.load(Step::single(operator + 1))).unwrap_or(i64::MAX)
    }

    fn run(&mut self, step: Step) {
        for operator in step.operators() {
            self.done.insert(operator);
            self.alive += self.instance.change(operator, &self.done);
        }
    }
}

/// Returns the load of each of the steps, all of which can run.
pub fn loads(instance: &Instance, steps: &[Step]) -> Vec<i64> {
    let mut replay = Replay::new(instance);
    let mut load = |&step: &Step| {
        let load = replay.load(step).unwrap_or(i64::MAX);
        replay.run(step);
        load
    };
    steps.iter().map(&mut load).collect()
}

/// Returns the peak of the steps.
pub fn peak(instance: &Instance, steps: &[Step]) -> i64 {
    loads(instance, steps).into_iter().fold(instance.stored + instance.unread, i64::max)
}

/// Returns the steps of the order in which the operators are numbered, with neighbours as one
/// wherever that costs no more.
pub fn numbered_order(instance: &Instance) -> Vec<Step> {
    let mut replay = Replay::new(instance);
    let mut steps = Vec::new();
    let mut operator = 0;
    while operator < instance.count() {
        let single = Step::single(operator);
        let pair = Step { first: operator, second: Some(operator + 1) };
        let step = match replay.load(pair) {
            Some(together) if together <= replay.load_apart(operator) => pair,
            _ => single,
        };
        replay.run(step);
        operator += step.operators().count();
        steps.push(step);
    }
    steps
}
