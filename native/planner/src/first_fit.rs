//! First fit: buffers in some order, each at the lowest offset that is free for its lifetime.
//!
//! With the largest buffers first, this is "greedy by size" of Pisarchyk and Lee,
//! "Efficient Memory Management for Deep Neural Net Inference" (2020).

use crate::instance::Instance;
use crate::monitor::Limits;

/// Places the items in the given order; pinned items must come first.
///
/// Takes time quadratic in the number of items; returns nothing where a limit breaks it off.
pub fn first_fit(instance: &Instance, order: &[u32], limits: &Limits<'_>) -> Option<Vec<i64>> {
    let mut offsets = vec![0; instance.items.len()];
    let mut placed: Vec<u32> = Vec::with_capacity(order.len());
    for (step, &number) in order.iter().enumerate() {
        if step.is_multiple_of(1024) && limits.interrupted().is_some() {
            return None;
        }
        let offset = lowest_free(instance, &offsets, &placed, number as usize);
        offsets[number as usize] = offset;
        let position = placed.partition_point(|&other| offsets[other as usize] <= offset);
        placed.insert(position, number);
    }
    Some(offsets)
}

/// Finds the lowest free offset; `placed` is sorted by offset.
fn lowest_free(instance: &Instance, offsets: &[i64], placed: &[u32], number: usize) -> i64 {
    let item = &instance.items[number];
    if let Some(offset) = item.pinned {
        return offset;
    }
    let mut offset = 0;
    for &other in placed {
        let below = offsets[other as usize];
        if below >= offset + item.extent {
            break;
        }
        let other = &instance.items[other as usize];
        if below + other.extent > offset && item.overlaps(other) {
            offset = item.align(below + other.extent);
        }
    }
    offset
}
