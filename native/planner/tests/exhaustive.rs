//! The planner against exhaustive search.

mod common;

use common::{assert_valid, overlap, rich_buffer, small_buffer};
use condense_planner::{Buffer, Ending, Monitor, Plan, ProblemError, Request, plan};
use proptest::prelude::*;

/// Interpreters such as Miri are thousands of times slower.
const CASES: u32 = if cfg!(miri) { 5 } else { 5_000 };

/// Returns the smallest arena of all plans, by trying all orders from the bottom up.
///
/// Every plan can be pushed down until each buffer rests on another; then placing its buffers by
/// rising offset, each as low as those before it allow, gives it back.
fn smallest_arena(buffers: &[Buffer]) -> i64 {
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

fn run(buffers: &[Buffer], capacity: Option<i64>) -> Result<Plan, ProblemError> {
    plan(buffers, &Request { capacity, time_limit: None }, &Monitor::default())
}

fn check(buffers: &[Buffer]) -> Result<(), TestCaseError> {
    let plan = match run(buffers, None) {
        Err(ProblemError::PinsCollide(..)) => return Ok(()),
        other => other.map_err(|error| TestCaseError::fail(error.to_string()))?,
    };
    assert_valid(buffers, &plan);
    let smallest = smallest_arena(buffers);
    prop_assert_eq!(plan.arena_bytes, smallest);
    prop_assert_eq!(plan.lower_bound_bytes, smallest);
    prop_assert_eq!(plan.ending, Ending::Proved);
    check_capacity(buffers, smallest)
}

/// One byte less does not fit, and the planner proves it.
fn check_capacity(buffers: &[Buffer], smallest: i64) -> Result<(), TestCaseError> {
    let fits = run(buffers, Some(smallest)).unwrap();
    assert_valid(buffers, &fits);
    prop_assert_eq!(fits.arena_bytes, smallest);
    let refuted = run(buffers, Some(smallest - 1)).unwrap();
    assert_valid(buffers, &refuted);
    prop_assert_eq!(refuted.lower_bound_bytes, smallest);
    prop_assert_eq!(refuted.ending, Ending::Proved);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn plain_buffers(buffers in prop::collection::vec(small_buffer(&[1]), 1..=8)) {
        check(&buffers)?;
    }

    #[test]
    fn aligned_buffers(buffers in prop::collection::vec(small_buffer(&[1, 2, 3, 4, 8]), 1..=8)) {
        check(&buffers)?;
    }

    #[test]
    fn pins_and_gaps(buffers in prop::collection::vec(rich_buffer(), 1..=7)) {
        check(&buffers)?;
    }
}
