//! First fit: shapes in some order, each at the lowest offset at which it meets none before it.

use super::Shape;
use super::conflicts::Conflicts;
use crate::instance::align_up;

/// Where shapes lie.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    /// Bytes from the start of the arena, by shape.
    pub offsets: Vec<i64>,
    /// Size of the arena.
    pub arena: i64,
    /// The shape that reaches highest; the first placed of several.
    pub highest: usize,
}

/// Places the shapes in the given order.
pub fn first_fit(shapes: &[Shape], conflicts: &Conflicts, order: &[u32]) -> Placement {
    let mut placement = Placement { offsets: vec![-1; shapes.len()], ..Placement::default() };
    let mut forbidden: Vec<(i64, i64)> = Vec::new();
    for &number in order {
        let number = number as usize;
        forbidden.clear();
        for (other, ranges) in conflicts.of(number) {
            let offset = placement.offsets[*other as usize];
            if offset >= 0 {
                forbidden.extend(ranges.iter().map(|r| (offset + r.low, offset + r.high)));
            }
        }
        let offset = lowest_free(&mut forbidden, shapes[number].alignment);
        placement.offsets[number] = offset;
        let top = offset + shapes[number].extent();
        if top > placement.arena {
            placement.arena = top;
            placement.highest = number;
        }
    }
    placement
}

/// Returns the lowest aligned offset that is inside none of the open ranges.
fn lowest_free(forbidden: &mut [(i64, i64)], alignment: i64) -> i64 {
    forbidden.sort_unstable();
    let mut offset = 0;
    for &(low, high) in forbidden.iter() {
        if offset <= low {
            break;
        }
        if offset < high {
            offset = align_up(high, alignment);
        }
    }
    offset
}
