//! Makes a plan smaller by trial and blame.
//!
//! "Squeaky wheel" optimization (Joslin and Clements, 1999): fill the valleys, find the buffers
//! that end too high, make them worth more, and start again. What is hard to place comes to be
//! placed early, whatever makes it hard.

use crate::instance::Instance;
use crate::monitor::Limits;
use crate::random::Random;
use crate::skyline::{VALUES, Value, fill_valleys};

/// After so many steps in vain, go back to the best state.
const PATIENCE: u32 = 150;

/// One series of trials.
#[derive(Clone)]
pub struct Climb {
    /// The best plan of this climb.
    pub offsets: Vec<i64>,
    /// Its arena in bytes.
    pub arena: i64,
    worth: Vec<f64>,
    best_worth: Vec<f64>,
    /// Most that blame adds to a worth.
    blame: f64,
    random: Random,
    steps_in_vain: u32,
}

impl Climb {
    /// Returns the climb of a number; each has its own start and pace.
    #[must_use]
    pub fn numbered(instance: &Instance, number: u64) -> Self {
        let value = match number {
            0 | 1 => VALUES[0],
            _ => Value::numbered(number),
        };
        let worth = value.of_all(instance);
        Self {
            offsets: Vec::new(),
            arena: i64::MAX,
            best_worth: worth.clone(),
            worth,
            blame: if number.is_multiple_of(2) { 0.1 } else { 0.3 },
            random: Random::new(number),
            steps_in_vain: 0,
        }
    }

    /// Takes some steps, fewer where a limit or a plan within `goal` bytes is reached.
    pub fn advance(&mut self, instance: &Instance, steps: u32, goal: i64, limits: &Limits<'_>) {
        for _ in 0..steps {
            if self.arena <= goal {
                return;
            }
            let stop = || limits.interrupted().is_some();
            let Some(offsets) = fill_valleys(instance, &self.worth, &stop) else {
                return;
            };
            let arena = instance.arena(&offsets);
            self.steps_in_vain += 1;
            let too_high = self.too_high(instance, arena);
            self.blame(instance, &offsets, too_high);
            if arena < self.arena {
                (self.arena, self.offsets) = (arena, offsets);
                self.best_worth.clone_from(&self.worth);
                self.steps_in_vain = 0;
            } else if self.steps_in_vain.is_multiple_of(PATIENCE) {
                self.turn_back(instance);
            }
        }
    }

    /// Goes back to the best state, or off in a new direction.
    fn turn_back(&mut self, instance: &Instance) {
        if self.random.below(2) == 0 {
            self.worth.clone_from(&self.best_worth);
        } else {
            self.worth = Value::numbered(self.random.below(u64::MAX)).of_all(instance);
        }
    }

    /// Returns the height above which an end is to blame: a tenth of the way to the lower bound.
    fn too_high(&self, instance: &Instance, arena: i64) -> i64 {
        let excess = self.arena.min(arena) - instance.lower_bound;
        instance.lower_bound + (excess - excess / 10 - 1).max(0)
    }

    fn blame(&mut self, instance: &Instance, offsets: &[i64], too_high: i64) {
        for ((worth, item), offset) in self.worth.iter_mut().zip(&instance.items).zip(offsets) {
            if offset + item.size > too_high {
                *worth += self.blame * self.random.fraction();
            }
        }
    }
}
