//! Orders in which to place buffers.

use std::cmp::Reverse;

use crate::instance::{Instance, Item};
use crate::random::Random;

/// What makes a buffer worth placing early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Large buffers first.
    Size,
    /// Buffers with much size times lifetime first.
    Area,
    /// Long-lived buffers first.
    Length,
    /// Buffers alive at the largest load first, large ones first among them.
    Contention,
    /// By first section, large buffers first among equals.
    Start,
}

/// All orders, the best on average first.
pub const ORDERS: [Order; 5] =
    [Order::Size, Order::Area, Order::Length, Order::Contention, Order::Start];

impl Order {
    /// Returns the item numbers in this order, pinned items in front.
    ///
    /// Ties end with the lifetime and the alignment, so that the order of the input only ever
    /// decides between buffers that are alike.
    #[must_use]
    pub fn sorted(self, instance: &Instance) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..).zip(&instance.items).map(|(i, _)| i).collect();
        numbers.sort_by_cached_key(|&number| {
            let item = &instance.items[number as usize];
            let tie =
                (Reverse(item.size), Reverse(item.hull.len()), item.hull.first, item.alignment);
            (item.pinned.is_none(), self.key(instance, item), tie)
        });
        numbers
    }

    fn key(self, instance: &Instance, item: &Item) -> (i128, i64) {
        let length = i128::from(item.hull.len());
        match self {
            Self::Size => (-i128::from(item.size), 0),
            Self::Area => (-(i128::from(item.size) * length), 0),
            Self::Length => (-length, 0),
            Self::Contention => {
                let peak = instance.load[item.hull.indices()].iter().max().copied().unwrap_or(0);
                (-i128::from(peak), -item.size)
            }
            Self::Start => (i128::from(item.hull.first), 0),
        }
    }

    /// Returns the item numbers in roughly this order; seed 0 is the order itself.
    #[must_use]
    pub fn shuffled(self, instance: &Instance, seed: u64) -> Vec<u32> {
        let sorted = self.sorted(instance);
        if seed == 0 {
            return sorted;
        }
        let mut random = Random::new(seed);
        let reach = sorted.len() as u64 / 4 + 1;
        let mut keyed: Vec<(u64, u32)> =
            (0..).zip(sorted).map(|(place, item)| (place + random.below(reach), item)).collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, item)| item).collect()
    }
}
