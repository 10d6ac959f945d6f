//! The orders in which shapes are placed: first some that are often good, then their neighbours.

use std::cmp::Reverse;

use super::Shape;
use super::fit::Placement;

/// Orders that are kept to start from.
const KEPT: usize = 8;

/// What shapes are sorted by: large first, then early first.
type Key = (Reverse<i64>, i64);

/// Returns the orders that are tried first.
pub fn first_orders(shapes: &[Shape]) -> Vec<Vec<u32>> {
    let keys: [fn(&Shape) -> Key; 6] = [
        |shape| (Reverse(shape.extent()), first_step(shape)),
        |shape| (Reverse(bytes_and_steps(shape)), first_step(shape)),
        |shape| (Reverse(steps(shape)), -shape.extent()),
        |shape| (Reverse(0), first_step(shape)),
        |shape| (Reverse(0), -last_step(shape)),
        |shape| (Reverse(shape.extent()), -last_step(shape)),
    ];
    keys.iter().map(|key| sorted(shapes, key)).collect()
}

fn sorted(shapes: &[Shape], key: impl Fn(&Shape) -> Key) -> Vec<u32> {
    let mut order: Vec<u32> = (0..u32::try_from(shapes.len()).unwrap_or(u32::MAX)).collect();
    order.sort_by_key(|&number| key(&shapes[number as usize]));
    order
}

fn first_step(shape: &Shape) -> i64 {
    shape.parts.iter().map(|part| part.lower).min().unwrap_or(0)
}

fn last_step(shape: &Shape) -> i64 {
    shape.parts.iter().map(|part| part.upper).max().unwrap_or(0)
}

fn steps(shape: &Shape) -> i64 {
    last_step(shape) - first_step(shape)
}

/// Saturates: it only ranks.
fn bytes_and_steps(shape: &Shape) -> i64 {
    shape.parts.iter().fold(0_i64, |sum, part| {
        sum.saturating_add((part.top - part.bottom).saturating_mul(part.upper - part.lower))
    })
}

/// Proposes orders: a good one, in which a shape that reached too high is placed earlier.
///
/// The idea is that of squeaky wheel optimisation (Joslin and Clements, 1999).
pub struct Orders {
    /// Arena and order of the best tries.
    kept: Vec<(i64, Vec<u32>)>,
    random: u64,
    source: usize,
}

impl Orders {
    /// Starts from orders whose arenas are known.
    pub fn new(mut starts: Vec<(i64, Vec<u32>)>) -> Self {
        starts.sort_by_key(|(arena, _)| *arena);
        Self { kept: starts, random: 0x9E37_79B9_7F4A_7C15, source: 0 }
    }

    /// Returns the next order to try.
    pub fn next(&mut self, best: &Placement) -> Vec<u32> {
        self.source = self.below(self.kept.len());
        let mut order = self.kept[self.source].1.clone();
        let swaps = 1 + self.below(3);
        for turn in 0..swaps {
            let from = if turn == 0 && self.below(2) == 0 {
                let highest = best.highest;
                order.iter().position(|&number| number as usize == highest).unwrap_or(0)
            } else {
                self.below(order.len())
            };
            let to = self.below(from + 1);
            order[to..=from].rotate_right(1);
        }
        order
    }

    /// Keeps an order that is no worse than the one that it came from.
    pub fn judge(&mut self, order: Vec<u32>, placement: &Placement) {
        if placement.arena <= self.kept[self.source].0 {
            self.kept[self.source] = (placement.arena, order);
            self.kept.sort_by_key(|(arena, _)| *arena);
            self.kept.truncate(KEPT);
        }
    }

    /// Returns a number below `count` (xorshift; the same sequence at every call of the planner).
    fn below(&mut self, count: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 33).unwrap_or(0) % count.max(1)
    }
}
