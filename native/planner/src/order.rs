//! Orders in which to place buffers.

use std::cmp::Reverse;

use crate::instance::{Instance, Item};

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

/// The generator `SplitMix64` (Steele, Lea, Flood 2014): small, and the same on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Returns a generator; equal seeds give equal numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Returns a number below `limit`, which must not be zero.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}
