//! Which distances between two shapes make their parts collide.

use super::{Part, Shape};

/// Distances that are forbidden, `low < distance < high`, between the offset of one shape and
/// that of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forbidden {
    /// The largest distance below that is allowed.
    pub low: i64,
    /// The smallest distance above that is allowed.
    pub high: i64,
}

/// For each shape, the shapes that it may collide with and the distances at which it does.
pub struct Conflicts {
    neighbours: Vec<Vec<(u32, Box<[Forbidden]>)>>,
}

impl Conflicts {
    /// Compares all pairs of shapes.
    pub fn new(shapes: &[Shape]) -> Self {
        let hulls: Vec<(i64, i64)> = shapes.iter().map(hull).collect();
        let mut neighbours = vec![Vec::new(); shapes.len()];
        for one in 0..shapes.len() {
            for other in 0..shapes.len() {
                let apart = hulls[one].1 <= hulls[other].0 || hulls[other].1 <= hulls[one].0;
                if one == other || apart {
                    continue;
                }
                let ranges = forbidden(&shapes[one].parts, &shapes[other].parts);
                if !ranges.is_empty() {
                    let number = u32::try_from(other).unwrap_or(u32::MAX);
                    neighbours[one].push((number, ranges));
                }
            }
        }
        Self { neighbours }
    }

    /// Returns the shapes that a shape may collide with; distances are that shape's offset minus
    /// the neighbour's.
    pub fn of(&self, shape: usize) -> &[(u32, Box<[Forbidden]>)] {
        &self.neighbours[shape]
    }
}

fn hull(shape: &Shape) -> (i64, i64) {
    let lower = shape.parts.iter().map(|part| part.lower).min().unwrap_or(0);
    let upper = shape.parts.iter().map(|part| part.upper).max().unwrap_or(0);
    (lower, upper)
}

/// Returns the distances at which some part of `moved` meets some part of `fixed`, in rising
/// order and merged.
fn forbidden(moved: &[Part], fixed: &[Part]) -> Box<[Forbidden]> {
    let mut ranges: Vec<Forbidden> = Vec::new();
    for part in moved {
        for other in fixed.iter().filter(|o| part.lower < o.upper && o.lower < part.upper) {
            ranges.push(Forbidden { low: other.bottom - part.top, high: other.top - part.bottom });
        }
    }
    ranges.sort_unstable();
    let mut merged: Vec<Forbidden> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            // Ranges are open: where one ends and the next begins, the parts fit.
            Some(last) if range.low < last.high => last.high = last.high.max(range.high),
            _ => merged.push(range),
        }
    }
    merged.into_boxed_slice()
}
