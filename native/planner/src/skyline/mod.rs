//! Fills the lowest valley of the skyline first: a first answer in near n·log n time.
//!
//! After Sekiyama et al., "Profile-guided memory optimization for deep neural networks" (2018):
//! the lowest flat range takes the most valuable buffer that fits between its walls; a range that
//! takes none is raised to its lower wall. Each step ends a buffer or a range, so there are at most
//! a few times as many steps as buffers.

mod ranges;
mod tree;

use crate::instance::{Instance, Item};
use crate::random::Random;
use ranges::Ranges;
use tree::Tree;

/// What makes a buffer worth the place: length and size, each to some power, and some luck.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// Power of the length of the lifetime.
    pub length: f64,
    /// Power of the size.
    pub size: f64,
    /// Reach of the luck: 0 is none, 0.5 makes values differ by half.
    pub luck: f64,
    /// Which luck.
    pub seed: u64,
}

/// Long lifetimes, much size times lifetime, large sizes.
pub const VALUES: [Value; 3] = [Value::new(1.0, 1e-3), Value::new(1.0, 1.0), Value::new(1e-3, 1.0)];

impl Value {
    const fn new(length: f64, size: f64) -> Self {
        Self { length, size, luck: 0.0, seed: 0 }
    }

    /// Returns the value of a number, without end.
    #[must_use]
    pub fn numbered(number: u64) -> Self {
        let mut random = Random::new(number + 1);
        Self {
            length: random.fraction() * 1.5,
            size: random.fraction(),
            luck: random.fraction() * random.fraction() * 0.5,
            seed: number,
        }
    }

    /// Returns the logarithms of the values of all items.
    #[must_use]
    pub fn of_all(self, instance: &Instance) -> Vec<f64> {
        let mut random = Random::new(self.seed);
        instance.items.iter().map(|item| self.of(item, &mut random)).collect()
    }

    /// Returns the logarithm of the value.
    fn of(self, item: &Item, random: &mut Random) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "close values are as good as each other")]
        let (length, size) = (f64::from(item.hull.len()), item.extent as f64);
        let luck = if self.luck > 0.0 { self.luck * random.fraction() } else { 0.0 };
        self.length * length.ln() + self.size * size.ln() + luck
    }
}

/// Places all items, those of great worth first, unless told to stop.
///
/// Lifetimes count without their gaps, and nothing lies below a pinned item.
pub fn fill_valleys(
    instance: &Instance,
    worth: &[f64],
    stop: &dyn Fn() -> bool,
) -> Option<Vec<i64>> {
    let items = &instance.items;
    let mut offsets: Vec<i64> = items.iter().map(|item| item.pinned.unwrap_or(0)).collect();
    let free: Vec<u32> = (0..)
        .zip(items)
        .filter(|(_, item)| item.pinned.is_none())
        .map(|(number, _)| number)
        .collect();
    let mut tree = Tree::new(items, free, worth);
    let mut ranges = Ranges::new(&floors(instance));
    let mut steps = 0_u32;
    while let Some(valley) = ranges.lowest() {
        steps = steps.wrapping_add(1);
        if steps.is_multiple_of(1024) && stop() {
            return None;
        }
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
    Some(offsets)
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
