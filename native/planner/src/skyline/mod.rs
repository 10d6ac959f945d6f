//! Fills the lowest valley of the skyline first: a first answer in near n·log n time.
//!
//! After Sekiyama et al., "Profile-guided memory optimization for deep neural networks" (2018):
//! the lowest flat range takes the most valuable buffer that fits between its walls; a range that
//! takes none is raised to its lower wall. Each step ends a buffer or a range, so there are at most
//! a few times as many steps as buffers.

mod ranges;
mod tree;

use crate::instance::{Instance, Item};
use ranges::Ranges;
use tree::Tree;

/// What makes a buffer worth the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Long lifetimes.
    Length,
    /// Much size times lifetime.
    Area,
    /// Large sizes.
    Size,
}

/// All values, the best on average first.
pub const VALUES: [Value; 3] = [Value::Length, Value::Area, Value::Size];

impl Value {
    fn of(self, item: &Item) -> (f64, i64) {
        #[expect(clippy::cast_precision_loss, reason = "close values are as good as each other")]
        let (length, size) = (f64::from(item.hull.len()), item.extent as f64);
        match self {
            Self::Length => (length, item.extent),
            Self::Area => (length * size, item.extent),
            Self::Size => (size, i64::from(item.hull.len())),
        }
    }
}

/// Places all items; lifetimes count without their gaps, and nothing lies below a pinned item.
#[must_use]
pub fn fill_valleys(instance: &Instance, value: Value) -> Vec<i64> {
    let items = &instance.items;
    let mut offsets: Vec<i64> = items.iter().map(|item| item.pinned.unwrap_or(0)).collect();
    let free: Vec<u32> = (0..)
        .zip(items)
        .filter(|(_, item)| item.pinned.is_none())
        .map(|(number, _)| number)
        .collect();
    let mut tree = Tree::new(items, free, |item| value.of(item));
    let mut ranges = Ranges::new(&floors(instance));
    while let Some(valley) = ranges.lowest() {
        match tree.take(valley.span) {
            Some(number) => {
                let item = &items[number as usize];
                let offset = item.align(valley.height);
                offsets[number as usize] = offset;
                ranges.cover(valley, item.hull, offset + item.extent);
            }
            None if tree.is_empty() => break,
            None => ranges.raise(valley),
        }
    }
    offsets
}

/// Returns, for each section, where the pinned items end.
fn floors(instance: &Instance) -> Vec<i64> {
    let mut floors = vec![0; instance.load.len()];
    let mut pinned: Vec<&Item> = instance.items.iter().filter(|i| i.pinned.is_some()).collect();
    pinned.sort_by_key(|item| item.pinned.unwrap_or(0) + item.extent);
    for item in pinned {
        floors[item.hull.indices()].fill(item.pinned.unwrap_or(0) + item.extent);
    }
    floors
}
