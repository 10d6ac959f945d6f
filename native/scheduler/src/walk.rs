//! Running steps one after the other within a target.

use crate::bits::Bits;
use crate::instance::{Instance, Step};

/// Operators run so far.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    pub instance: &'a Instance,
    pub done: Bits,
    /// Bytes stored.
    pub alive: i64,
    /// Largest load allowed.
    target: i64,
    /// Least load that was refused.
    pub refused: i64,
}

impl<'a> Walk<'a> {
    /// Starts behind `done`.
    pub fn new(instance: &'a Instance, target: i64, done: Bits, alive: i64) -> Self {
        Self { instance, done, alive, target, refused: i64::MAX }
    }

    /// Runs all steps if they fit, and otherwise none; tells which.
    pub fn take(&mut self, steps: &[Step]) -> bool {
        let alive = self.alive;
        for (number, &step) in steps.iter().enumerate() {
            let room = self.instance.step_room(step, &self.done);
            let load = room.map(|room| self.alive + room);
            if load.is_none_or(|load| load > self.target) {
                self.refused = self.refused.min(load.unwrap_or(i64::MAX));
                self.undo(&steps[..number], alive);
                return false;
            }
            for operator in step.operators() {
                self.done.insert(operator);
                self.alive += self.instance.change(operator, &self.done);
            }
        }
        true
    }

    /// Returns by how much the stored bytes would change behind steps, whether they fit or not.
    pub fn change(&mut self, steps: &[Step]) -> i64 {
        let mut change = 0;
        for operator in steps.iter().flat_map(|step| step.operators()) {
            self.done.insert(operator);
            change += self.instance.change(operator, &self.done);
        }
        self.undo(steps, self.alive);
        change
    }

    /// Takes back the last steps, before which `alive` bytes were stored.
    pub fn undo(&mut self, steps: &[Step], alive: i64) {
        steps.iter().flat_map(|step| step.operators()).for_each(|o| self.done.remove(o));
        self.alive = alive;
    }
}
