//! What several test files need: a check of plans, and generators.

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
