//! What several test files need: a check of plans and the truth about small problems.

use condense_planner::{Buffer, Lifetime, Plan};
use proptest::prelude::*;

/// Tells whether two buffers are alive at one step.
pub fn overlap(a: &Buffer, b: &Buffer) -> bool {
    a.active().any(|x| b.active().any(|y| x.lower < y.upper && y.lower < x.upper))
}

/// Panics unless the plan is one.
pub fn assert_valid(buffers: &[Buffer], plan: &Plan) {
    assert_eq!(plan.offsets.len(), buffers.len());
    assert!(plan.lower_bound_bytes <= plan.arena_bytes);
    for (buffer, &offset) in buffers.iter().zip(&plan.offsets) {
        assert!(offset >= 0 && offset + buffer.size <= plan.arena_bytes);
        assert_eq!(offset % buffer.alignment, 0);
        assert!(buffer.pinned.is_none_or(|pinned| pinned == offset));
    }
    for (i, (a, &at)) in buffers.iter().zip(&plan.offsets).enumerate() {
        for (b, &bt) in buffers.iter().zip(&plan.offsets).skip(i + 1) {
            let apart = at + a.size <= bt || bt + b.size <= at || a.size == 0 || b.size == 0;
            assert!(apart || !overlap(a, b), "{a:?} at {at} and {b:?} at {bt} collide");
        }
    }
}

/// Returns the smallest arena of all plans, by trying all orders from the bottom up.
///
/// Every plan can be pushed down until each buffer rests on another; then placing its buffers by
/// rising offset, each as low as those before it allow, gives it back.
pub fn smallest_arena(buffers: &[Buffer]) -> i64 {
    let mut best = i64::MAX;
    let mut offsets = vec![None; buffers.len()];
    try_orders(buffers, &mut offsets, 0, 0, &mut best);
    best
}

fn try_orders(
    buffers: &[Buffer],
    offsets: &mut Vec<Option<i64>>,
    last: i64,
    arena: i64,
    best: &mut i64,
) {
    if arena >= *best {
        return;
    }
    if offsets.iter().all(Option::is_some) {
        *best = arena;
        return;
    }
    for index in 0..buffers.len() {
        if offsets[index].is_some() {
            continue;
        }
        let buffer = &buffers[index];
        let floor = (0..buffers.len())
            .filter(|&other| overlap(buffer, &buffers[other]))
            .filter_map(|other| offsets[other].map(|offset| offset + buffers[other].size))
            .max()
            .unwrap_or(0);
        let offset = match buffer.pinned {
            Some(pinned) if pinned < floor => continue,
            Some(pinned) => pinned,
            None => (floor + buffer.alignment - 1) / buffer.alignment * buffer.alignment,
        };
        if offset >= last {
            offsets[index] = Some(offset);
            try_orders(buffers, offsets, offset, arena.max(offset + buffer.size), best);
            offsets[index] = None;
        }
    }
}

/// Generates buffers that crowd: few steps, few sizes.
pub fn small_buffer(alignments: &'static [i64]) -> impl Strategy<Value = Buffer> {
    let plain = (0..10i64, 1..6i64, 1..9i64, prop::sample::select(alignments));
    plain.prop_map(|(lower, length, size, alignment)| Buffer {
        alignment,
        ..Buffer::new(lower, lower + length, size)
    })
}

/// Generates buffers, some of them with a gap or pinned.
pub fn rich_buffer() -> impl Strategy<Value = Buffer> {
    (small_buffer(&[1, 2, 3, 4]), 0..4u8, 0..12i64, 0..6i64).prop_map(
        |(mut buffer, kind, at, gap)| {
            if kind == 0 {
                buffer.pinned = Some(at / buffer.alignment * buffer.alignment);
            }
            let Lifetime { lower, upper } = buffer.lifetime;
            if kind >= 2 && lower + 1 + gap < upper - 1 {
                buffer.gaps = vec![Lifetime { lower: lower + 1 + gap, upper: upper - 1 }];
            }
            buffer
        },
    )
}
