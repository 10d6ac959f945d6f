//! Which question to ask first, and which answer to try first.

use crate::instance::Instance;
use crate::order::{ORDERS, Order};

/// Which section to ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// Fewest possible answers; among those, fewest bytes to lose.
    FewestThenTightest,
    /// Lowest floor.
    Lowest,
    /// Fewest bytes to lose.
    Tightest,
    /// Fewest possible answers; among those, the lowest floor.
    FewestThenLowest,
}

const FOCUSES: [Focus; 4] =
    [Focus::Lowest, Focus::FewestThenTightest, Focus::FewestThenLowest, Focus::Tightest];

/// A way to walk the search tree; all ways find a plan if there is one, in very different times.
#[derive(Clone, Copy, Debug)]
pub struct Strategy {
    /// Which section to ask about.
    pub focus: Focus,
    /// Which buffer to try first.
    pub order: Order,
    /// Shuffles the order a little, unless zero.
    pub seed: u64,
}

impl Strategy {
    /// Returns the strategy of a number: first all plain ones, then shuffled ones without end.
    #[must_use]
    pub fn numbered(number: usize) -> Self {
        let plain = FOCUSES.len() * ORDERS.len();
        Self {
            focus: FOCUSES[number % FOCUSES.len()],
            order: ORDERS[number / FOCUSES.len() % ORDERS.len()],
            seed: (number / plain) as u64,
        }
    }

    /// Returns the position of each item in the order to try.
    pub(super) fn ranks(&self, instance: &Instance) -> Vec<u32> {
        let order = self.order.shuffled(instance, self.seed);
        let mut ranks = vec![0; order.len()];
        for (rank, &item) in (0..).zip(&order) {
            ranks[item as usize] = rank;
        }
        ranks
    }
}
