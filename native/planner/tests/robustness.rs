//! No input makes the planner panic, and what should not matter does not.

mod common;

use std::time::{Duration, Instant};

use common::{assert_valid, rich_buffer, small_buffer};
use condense_planner::{Buffer, Ending, Lifetime, Monitor, Plan, ProblemError, Request, plan};
use proptest::prelude::*;

const CASES: u32 = if cfg!(miri) { 5 } else { 500 };

fn run(buffers: &[Buffer]) -> Result<Plan, ProblemError> {
    plan(buffers, &Request::default(), &Monitor::default())
}

/// Any numbers, extreme ones often.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        -2..20i64,
        prop::sample::select(vec![i64::MIN, i64::MAX, 1 << 60, 1 << 59, (1 << 60) - 40]),
    ]
}

fn any_buffer() -> impl Strategy<Value = Buffer> {
    let gaps = prop::collection::vec((number(), number()), 0..3);
    (number(), number(), number(), number(), prop::option::of(number()), gaps).prop_map(
        |(lower, upper, size, alignment, pinned, gaps)| Buffer {
            lifetime: Lifetime { lower, upper },
            size,
            alignment,
            pinned,
            gaps: gaps.into_iter().map(|(lower, upper)| Lifetime { lower, upper }).collect(),
        },
    )
}

/// Buffers that pass the checks, with numbers as large as those allow.
fn large_buffer() -> impl Strategy<Value = Buffer> {
    let step = prop_oneof![any::<i64>(), -3..3i64];
    let size = prop_oneof![0..(1i64 << 57), 0..4i64];
    let alignment = prop_oneof![1..(1i64 << 57), 1..4i64];
    (step.clone(), step, size, alignment).prop_filter_map("empty", |(a, b, size, alignment)| {
        (a != b).then(|| Buffer { alignment, ..Buffer::new(a.min(b), a.max(b), size) })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn any_input_gives_a_plan_or_an_error(buffers in prop::collection::vec(any_buffer(), 0..4)) {
        if let Ok(plan) = run(&buffers) {
            assert_valid(&buffers, &plan);
        }
    }

    #[test]
    fn large_numbers_do_not_overflow(buffers in prop::collection::vec(large_buffer(), 0..7)) {
        if let Ok(plan) = run(&buffers) {
            assert_valid(&buffers, &plan);
        }
    }

    #[test]
    fn order_does_not_matter(
        (buffers, shuffled) in prop::collection::vec(small_buffer(&[1, 4]), 1..9)
            .prop_flat_map(|buffers| (Just(buffers.clone()), Just(buffers).prop_shuffle()))
    ) {
        let (one, other) = (run(&buffers).unwrap(), run(&shuffled).unwrap());
        prop_assert_eq!(one.arena_bytes, other.arena_bytes);
        prop_assert_eq!(one.lower_bound_bytes, other.lower_bound_bytes);
    }

    #[test]
    fn scaling_scales(buffers in prop::collection::vec(small_buffer(&[1]), 1..30), factor in 2..1000i64) {
        let scaled: Vec<Buffer> = buffers
            .iter()
            .map(|buffer| Buffer { size: buffer.size * factor, ..buffer.clone() })
            .collect();
        let (one, other) = (run(&buffers).unwrap(), run(&scaled).unwrap());
        prop_assert_eq!(one.arena_bytes * factor, other.arena_bytes);
        prop_assert_eq!(one.lower_bound_bytes * factor, other.lower_bound_bytes);
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES / 25, ..ProptestConfig::default() })]

    #[test]
    fn larger_problems(
        (buffers, shuffled) in prop::collection::vec(rich_buffer(), 20..40)
            .prop_flat_map(|buffers| (Just(buffers.clone()), Just(buffers).prop_shuffle()))
    ) {
        if let (Ok(one), Ok(other)) = (run(&buffers), run(&shuffled)) {
            assert_valid(&buffers, &one);
            prop_assert_eq!(one.arena_bytes, other.arena_bytes);
        }
    }
}

#[test]
fn nothing_to_place() {
    let plan = run(&[]).unwrap();
    assert_eq!((plan.arena_bytes, plan.lower_bound_bytes), (0, 0));
    assert_eq!(plan.ending, Ending::Proved);
}

#[test]
fn empty_buffers_take_no_place() {
    let mut pinned = Buffer::new(0, 5, 0);
    pinned.pinned = Some(12);
    let plan = run(&[Buffer::new(0, 5, 0), Buffer::new(0, 5, 7), pinned]).unwrap();
    assert_eq!(plan.offsets, [0, 0, 12]);
    assert_eq!((plan.arena_bytes, plan.lower_bound_bytes), (12, 12));
}

#[test]
fn colliding_pins_are_named() {
    let mut buffers = vec![Buffer::new(0, 5, 8), Buffer::new(0, 9, 8), Buffer::new(4, 9, 8)];
    buffers[0].pinned = Some(8);
    buffers[2].pinned = Some(4);
    assert_eq!(run(&buffers), Err(ProblemError::PinsCollide(2, 0)));
}

#[test]
fn every_rule_has_a_case() {
    let buffer = |lower, upper, size| Buffer::new(lower, upper, size);
    let gap = |lower, upper| Buffer { gaps: vec![Lifetime { lower, upper }], ..buffer(0, 5, 1) };
    let cases = [
        (buffer(3, 3, 1), ProblemError::EmptyLifetime(0)),
        (buffer(0, 1, -1), ProblemError::NegativeSize(0)),
        (Buffer { alignment: 0, ..buffer(0, 1, 1) }, ProblemError::BadAlignment(0)),
        (Buffer { alignment: 4, pinned: Some(2), ..buffer(0, 1, 1) }, ProblemError::BadPin(0)),
        (gap(3, 6), ProblemError::BadGaps(0)),
        (gap(0, 5), ProblemError::BadGaps(0)),
        (gap(2, 2), ProblemError::BadGaps(0)),
        (buffer(0, 1, i64::MAX), ProblemError::TooLarge),
    ];
    for (buffer, error) in cases {
        assert_eq!(run(&[buffer]), Err(error));
    }
}

/// A problem too hard to finish.
fn hard_problem() -> Vec<Buffer> {
    let mut state = 7_i64;
    let mut random = |limit: i64| {
        state = (state * 1_103_515_245 + 12345) % (1 << 31);
        state / 65536 % limit
    };
    let buffers = (0..400).map(|_| {
        let lower = random(200);
        Buffer::new(lower, lower + 1 + random(30), 1 + random(1000))
    });
    buffers.collect()
}

#[test]
#[cfg_attr(miri, ignore = "needs seconds of search")]
fn a_time_limit_ends_the_search() {
    let buffers = hard_problem();
    let limit = Duration::from_millis(300);
    let request = Request { capacity: Some(0), time_limit: Some(limit) };
    let refuted = plan(&buffers, &request, &Monitor::default()).unwrap();
    assert_eq!(refuted.ending, Ending::Proved);
    let start = Instant::now();
    let request = Request { capacity: None, time_limit: Some(limit) };
    let plan = plan(&buffers, &request, &Monitor::default()).unwrap();
    assert_valid(&buffers, &plan);
    assert!(plan.ending == Ending::Proved || start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_stopped_planner_still_answers() {
    let monitor = Monitor::default();
    monitor.stop();
    let buffers = hard_problem();
    let plan = plan(&buffers, &Request::default(), &monitor).unwrap();
    assert_valid(&buffers, &plan);
    assert!(matches!(plan.ending, Ending::Proved | Ending::Interrupted));
    assert_eq!(monitor.best(), Some(plan.arena_bytes));
}

#[test]
#[cfg_attr(miri, ignore = "needs seconds of search")]
fn the_answer_is_always_the_same() {
    let buffers = hard_problem();
    let first = run(&buffers).unwrap();
    for _ in 0..2 {
        assert_eq!(run(&buffers).unwrap(), first);
    }
}
