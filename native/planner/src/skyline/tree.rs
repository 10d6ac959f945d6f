//! Finds the most valuable unplaced item that is alive only within a given range of sections.

use crate::instance::{Item, Span};

/// Items per leaf.
const LEAF: usize = 8;

/// Worth of an item, a logarithm.
type Worth = f64;

const NOTHING: Worth = f64::NEG_INFINITY;

/// What is below a node: bounds of all its items, and the greatest worth of those left.
#[derive(Clone, Copy)]
struct Node {
    least_first: u32,
    greatest_first: u32,
    least_end: u32,
    greatest_end: u32,
    best: Worth,
}

/// A tree over the plane of first and last sections, cut in half by turns.
///
/// Node `k` has the children `2k + 1` and `2k + 2`; leaves hold equal shares of the items.
pub struct Tree {
    nodes: Vec<Node>,
    /// Items with their lifetimes and worth, in leaf order.
    entries: Vec<(u32, Span, Worth)>,
    /// Start of each leaf in `entries`; one more at the end.
    leaves: Vec<usize>,
    left: usize,
}

impl Tree {
    /// Builds the tree.
    pub fn new(items: &[Item], numbers: Vec<u32>, worth: &[Worth]) -> Self {
        let mut entries: Vec<(u32, Span, Worth)> = numbers
            .into_iter()
            .map(|number| (number, items[number as usize].hull, worth[number as usize]))
            .collect();
        let leaf_count = entries.len().div_ceil(LEAF).max(1).next_power_of_two();
        let leaves: Vec<usize> =
            (0..=leaf_count).map(|leaf| leaf * entries.len() / leaf_count).collect();
        cut(&mut entries, &leaves, true);
        let empty = Node {
            least_first: u32::MAX,
            greatest_first: 0,
            least_end: u32::MAX,
            greatest_end: 0,
            best: NOTHING,
        };
        let left = entries.len();
        let mut tree = Self { nodes: vec![empty; 2 * leaf_count - 1], entries, leaves, left };
        for node in (0..tree.nodes.len()).rev() {
            tree.nodes[node] = tree.bounds(node, empty);
        }
        tree
    }

    /// Tells whether all items are taken.
    pub const fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Takes out the most valuable item that is alive within `span` only.
    pub fn take(&mut self, span: Span) -> Option<u32> {
        let mut best = (NOTHING, usize::MAX);
        self.search(0, span, &mut best);
        let (_, position) = best;
        let number = self.entries.get(position)?.0;
        self.entries[position].2 = NOTHING;
        self.left -= 1;
        let leaf = self.leaves.partition_point(|&start| start <= position) - 1;
        let mut node = leaf + self.first_leaf();
        self.nodes[node].best = self.best_of(node);
        while node > 0 {
            node = (node - 1) / 2;
            self.nodes[node].best = self.best_of(node);
        }
        Some(number)
    }

    fn search(&self, index: usize, span: Span, best: &mut (Worth, usize)) {
        let node = &self.nodes[index];
        if node.best <= best.0 || node.greatest_first < span.first || node.least_end > span.end {
            return;
        }
        if index >= self.first_leaf() {
            for position in self.leaf(index) {
                let (_, hull, worth) = self.entries[position];
                if worth > best.0 && span.first <= hull.first && hull.end <= span.end {
                    *best = (worth, position);
                }
            }
            return;
        }
        let (one, two) = (2 * index + 1, 2 * index + 2);
        let (first, second) =
            if self.nodes[one].best >= self.nodes[two].best { (one, two) } else { (two, one) };
        self.search(first, span, best);
        self.search(second, span, best);
    }

    const fn first_leaf(&self) -> usize {
        self.nodes.len() / 2
    }

    fn leaf(&self, node: usize) -> std::ops::Range<usize> {
        let leaf = node - self.first_leaf();
        self.leaves[leaf]..self.leaves[leaf + 1]
    }

    fn best_of(&self, node: usize) -> Worth {
        if node >= self.first_leaf() {
            return self.leaf(node).fold(NOTHING, |best, i| best.max(self.entries[i].2));
        }
        self.nodes[2 * node + 1].best.max(self.nodes[2 * node + 2].best)
    }

    fn bounds(&self, node: usize, mut bounds: Node) -> Node {
        bounds.best = self.best_of(node);
        let mut add = |other: Node| {
            bounds.least_first = bounds.least_first.min(other.least_first);
            bounds.greatest_first = bounds.greatest_first.max(other.greatest_first);
            bounds.least_end = bounds.least_end.min(other.least_end);
            bounds.greatest_end = bounds.greatest_end.max(other.greatest_end);
        };
        if node < self.first_leaf() {
            add(self.nodes[2 * node + 1]);
            add(self.nodes[2 * node + 2]);
            return bounds;
        }
        for position in self.leaf(node) {
            let hull = self.entries[position].1;
            add(Node {
                least_first: hull.first,
                greatest_first: hull.first,
                least_end: hull.end,
                greatest_end: hull.end,
                best: NOTHING,
            });
        }
        bounds
    }
}

/// Sorts the entries into leaves, by first and last section in turn.
fn cut(entries: &mut [(u32, Span, Worth)], leaves: &[usize], by_first: bool) {
    let count = leaves.len() - 1;
    if count <= 1 {
        return;
    }
    let middle = leaves[count / 2] - leaves[0];
    if middle < entries.len() {
        entries.select_nth_unstable_by_key(middle, |&(number, hull, _)| {
            let (first, end) = (hull.first, hull.end);
            if by_first { (first, end, number) } else { (end, first, number) }
        });
    }
    let (low, high) = entries.split_at_mut(middle);
    cut(low, &leaves[..=count / 2], !by_first);
    cut(high, &leaves[count / 2..], !by_first);
}
