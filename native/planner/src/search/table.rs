//! States already searched in vain.

/// Remembers keys of hopeless states; a new one takes the place of an old one.
///
/// Keys have 128 bits, so that two states never share one in practice.
pub struct Table {
    slots: Vec<u128>,
}

impl Table {
    /// Returns a table for a search of so many nodes.
    pub fn with_room_for(nodes: u64) -> Self {
        let size = nodes.clamp(1 << 8, 1 << 19).next_power_of_two();
        Self { slots: vec![0; usize::try_from(size).unwrap_or(1 << 8)] }
    }

    /// Tells whether the state was searched in vain.
    pub fn contains(&self, key: u128) -> bool {
        self.slots[self.slot(key)] == key
    }

    /// Remembers a state searched in vain.
    pub fn insert(&mut self, key: u128) {
        let slot = self.slot(key);
        self.slots[slot] = key;
    }

    const fn slot(&self, key: u128) -> usize {
        let bits = key as usize;
        bits & (self.slots.len() - 1)
    }
}
