use super::{Part, Shape, ShapeError, place};
use crate::monitor::Monitor;
use crate::plan::{Ending, Request};

fn part(lower: i64, upper: i64, bottom: i64, top: i64) -> Part {
    Part { lower, upper, bottom, top }
}

fn shape(parts: &[Part]) -> Shape {
    Shape { parts: parts.to_vec(), alignment: 1 }
}

fn arena(shapes: &[Shape]) -> (i64, i64, Ending) {
    let plan = place(shapes, &Request::default(), 200, &Monitor::default()).expect("sound shapes");
    check_apart(shapes, &plan.offsets);
    (plan.arena_bytes, plan.lower_bound_bytes, plan.ending)
}

fn check_apart(shapes: &[Shape], offsets: &[i64]) {
    for (i, one) in shapes.iter().enumerate() {
        assert_eq!(offsets[i] % one.alignment, 0);
        for (j, other) in shapes.iter().enumerate().skip(i + 1) {
            for a in &one.parts {
                for b in &other.parts {
                    let in_time = a.lower < b.upper && b.lower < a.upper;
                    let in_memory = offsets[i] + a.bottom < offsets[j] + b.top
                        && offsets[j] + b.bottom < offsets[i] + a.top;
                    assert!(!(in_time && in_memory), "shapes {i} and {j} collide");
                }
            }
        }
    }
}

#[test]
fn nothing_needs_nothing() {
    assert_eq!(arena(&[]), (0, 0, Ending::Proved));
}

#[test]
fn a_buffer_uses_the_part_of_a_concatenation_that_is_not_written_yet() {
    let concatenation = shape(&[part(0, 4, 0, 10), part(2, 4, 10, 20)]);
    let temporary = shape(&[part(0, 2, 0, 10)]);
    assert_eq!(arena(&[concatenation, temporary]), (20, 20, Ending::Proved));
}

#[test]
fn a_buffer_uses_what_a_shrinking_tensor_leaves() {
    let shrinking = shape(&[part(0, 2, 0, 30), part(2, 5, 0, 10)]);
    let others = [shape(&[part(2, 4, 0, 15)]), shape(&[part(3, 5, 0, 5)])];
    assert_eq!(arena(&[shrinking, others[0].clone(), others[1].clone()]), (30, 30, Ending::Proved));
}

#[test]
fn a_hole_between_parts_is_used() {
    let ring = shape(&[part(0, 3, 0, 4), part(0, 3, 8, 12)]);
    assert_eq!(arena(&[ring, shape(&[part(1, 2, 0, 4)])]), (12, 12, Ending::Proved));
}

#[test]
fn alignment_is_kept() {
    let one = Shape { parts: vec![part(0, 2, 0, 5)], alignment: 4 };
    let two = Shape { parts: vec![part(0, 2, 0, 5)], alignment: 4 };
    let (arena, bound, ending) = arena(&[one, two]);
    assert_eq!((arena, bound, ending), (13, 10, Ending::EffortSpent));
}

#[test]
fn malformed_shapes_are_refused() {
    let plan = |shapes: &[Shape]| place(shapes, &Request::default(), 200, &Monitor::default());
    assert_eq!(plan(&[shape(&[part(1, 1, 0, 1)])]), Err(ShapeError::Malformed(0)));
    assert_eq!(plan(&[shape(&[part(0, 1, 2, 1)])]), Err(ShapeError::Malformed(0)));
    assert_eq!(plan(&[shape(&[part(0, 1, 0, i64::MAX)])]), Err(ShapeError::TooLarge));
}

#[test]
fn random_shapes_never_collide_and_never_need_less_than_the_load() {
    let mut state = 1_u64;
    let mut below = move |count: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        i64::try_from(state >> 34).expect("30 bits") % count
    };
    for _ in 0..300 {
        let shapes: Vec<Shape> = (0..=below(9))
            .map(|_| {
                let start = below(6);
                let height = 1 + below(9);
                let mut parts = vec![part(start, start + 1 + below(4), 0, height)];
                if below(2) == 0 {
                    let later = parts[0].upper;
                    parts.push(part(later, later + 1 + below(3), below(height), height));
                }
                Shape { parts, alignment: 1 }
            })
            .collect();
        let (arena, bound, _) = arena(&shapes);
        assert!(arena >= bound);
    }
}
