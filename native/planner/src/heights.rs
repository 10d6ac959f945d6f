//! Heights of sections that only rise, with the highest of any range in logarithmic time.

use crate::instance::Span;

/// A tree over the sections; node `k` has the children `2k` and `2k + 1`.
pub struct Heights {
    /// Number of leaves, a power of two.
    leaves: usize,
    /// Greatest height of any section below a node.
    highest: Vec<i64>,
    /// Height to which all sections below a node have been raised.
    raised: Vec<i64>,
}

impl Heights {
    /// Returns sections of height 0.
    pub fn new(sections: usize) -> Self {
        let leaves = sections.max(1).next_power_of_two();
        Self { leaves, highest: vec![0; 2 * leaves], raised: vec![0; 2 * leaves] }
    }

    /// Returns the greatest height in the range.
    pub fn highest(&self, span: Span) -> i64 {
        self.query(1, 0, self.leaves, span)
    }

    /// Raises the range to `height`, where it is lower.
    pub fn raise(&mut self, span: Span, height: i64) {
        self.update(1, 0, self.leaves, span, height);
    }

    fn query(&self, node: usize, start: usize, length: usize, span: Span) -> i64 {
        let range = span.indices();
        if range.end <= start || start + length <= range.start {
            return 0;
        }
        if range.start <= start && start + length <= range.end {
            return self.highest[node];
        }
        let half = length / 2;
        let left = self.query(2 * node, start, half, span);
        let right = self.query(2 * node + 1, start + half, half, span);
        left.max(right).max(self.raised[node])
    }

    fn update(&mut self, node: usize, start: usize, length: usize, span: Span, height: i64) {
        let range = span.indices();
        if range.end <= start || start + length <= range.start {
            return;
        }
        self.highest[node] = self.highest[node].max(height);
        if range.start <= start && start + length <= range.end {
            self.raised[node] = self.raised[node].max(height);
            return;
        }
        let half = length / 2;
        self.update(2 * node, start, half, span, height);
        self.update(2 * node + 1, start + half, half, span, height);
    }
}
