//! Places shapes: buffers whose parts come and go, at positions fixed relative to each other.
//!
//! Such is a concatenation whose inputs are produced inside it one after the other, or a tensor
//! whose place is taken by a smaller one. A buffer is a shape of one part.

mod conflicts;
mod fit;
mod orders;

use std::time::Instant;

use crate::monitor::{Limits, Monitor};
use crate::plan::{Ending, Plan, Request};
use crate::problem::MAX_TOTAL_BYTES;
use conflicts::Conflicts;
use fit::{Placement, first_fit};
use orders::{Orders, first_orders};

/// Bytes that are needed for some time: `bottom..top` of the shape, over the steps `lower..upper`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// First step.
    pub lower: i64,
    /// First step after.
    pub upper: i64,
    /// First byte, from the start of the shape.
    pub bottom: i64,
    /// First byte after.
    pub top: i64,
}

/// Parts that move together. They do not overlap each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// What is needed, and when.
    pub parts: Vec<Part>,
    /// The offset of the shape is a multiple of this many bytes.
    pub alignment: i64,
}

impl Shape {
    /// Returns the bytes from the start of the shape to the end of its highest part.
    #[must_use]
    pub fn extent(&self) -> i64 {
        self.parts.iter().map(|part| part.top).max().unwrap_or(0)
    }
}

/// Why shapes cannot be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// A part of the shape is empty, upside down, or below its start; or its alignment is not
    /// positive.
    Malformed(usize),
    /// All shapes together exceed [`MAX_TOTAL_BYTES`].
    TooLarge,
}

/// Places shapes in the smallest arena that can be found.
///
/// Without a time limit, `tries_per_shape` says how many plans are tried.
///
/// # Errors
///
/// Returns what makes the input unusable.
pub fn place(
    shapes: &[Shape],
    request: &Request,
    tries_per_shape: usize,
    monitor: &Monitor,
) -> Result<Plan, ShapeError> {
    check(shapes)?;
    let bound = largest_load(shapes);
    let goal = request.capacity.unwrap_or(bound).max(bound);
    let deadline = request.time_limit.and_then(|limit| Instant::now().checked_add(limit));
    let limits = Limits { monitor, deadline, effort: u64::MAX };
    let conflicts = Conflicts::new(shapes);
    let tries =
        if deadline.is_some() { usize::MAX } else { tries_per_shape.saturating_mul(shapes.len()) };
    let (best, ending) = search(shapes, &conflicts, goal, tries, &limits);
    let ending = if best.arena <= goal { Ending::Proved } else { ending };
    Ok(Plan { offsets: best.offsets, arena_bytes: best.arena, lower_bound_bytes: bound, ending })
}

/// Tries orders of placing until the arena is as small as asked for, or the tries are spent.
fn search(
    shapes: &[Shape],
    conflicts: &Conflicts,
    goal: i64,
    tries: usize,
    limits: &Limits<'_>,
) -> (Placement, Ending) {
    let mut best: Option<Placement> = None;
    let mut starts = Vec::new();
    for order in first_orders(shapes) {
        let placement = first_fit(shapes, conflicts, &order);
        if best.as_ref().is_none_or(|known| placement.arena < known.arena) {
            limits.monitor.report(placement.arena);
            best = Some(placement.clone());
        }
        starts.push((placement.arena, order));
    }
    let mut best = best.unwrap_or_default();
    let mut orders = Orders::new(starts);
    for _ in 0..tries {
        if best.arena <= goal {
            return (best, Ending::Proved);
        }
        if let Some(ending) = limits.interrupted() {
            return (best, ending);
        }
        let order = orders.next(&best);
        let placement = first_fit(shapes, conflicts, &order);
        orders.judge(order, &placement);
        if placement.arena < best.arena {
            limits.monitor.report(placement.arena);
            best = placement;
        }
    }
    (best, Ending::EffortSpent)
}

fn check(shapes: &[Shape]) -> Result<(), ShapeError> {
    let mut total: i64 = 0;
    for (number, shape) in shapes.iter().enumerate() {
        let sound =
            |part: &Part| part.lower < part.upper && 0 <= part.bottom && part.bottom < part.top;
        if shape.alignment < 1 || !shape.parts.iter().all(sound) {
            return Err(ShapeError::Malformed(number));
        }
        total = total
            .checked_add(shape.extent())
            .and_then(|sum| sum.checked_add(shape.alignment))
            .filter(|&sum| sum <= MAX_TOTAL_BYTES)
            .ok_or(ShapeError::TooLarge)?;
    }
    Ok(())
}

/// Returns the largest sum of the parts alive at one step: no arena can be smaller.
fn largest_load(shapes: &[Shape]) -> i64 {
    let mut changes: Vec<(i64, i64)> = shapes
        .iter()
        .flat_map(|shape| &shape.parts)
        .flat_map(|part| {
            let size = part.top - part.bottom;
            [(part.lower, size), (part.upper, -size)]
        })
        .collect();
    changes.sort_unstable(); // at one step, what ends comes before what starts
    let mut load = 0;
    changes.iter().fold(0, |largest, &(_, change)| {
        load += change;
        largest.max(load)
    })
}

#[cfg(test)]
mod tests;
