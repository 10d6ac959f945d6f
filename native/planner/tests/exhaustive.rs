//! The planner against exhaustive search.

mod common;

use common::{assert_valid, rich_buffer, small_buffer, smallest_arena};
use condense_planner::{Buffer, Ending, Monitor, Plan, ProblemError, Request, plan};
use proptest::prelude::*;

/// Interpreters such as Miri are thousands of times slower.
const CASES: u32 = if cfg!(miri) { 5 } else { 5_000 };

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
