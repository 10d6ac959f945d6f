//! The skyline as flat ranges of sections, and the lowest of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::instance::Span;

/// A flat range of sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The sections.
    pub span: Span,
    /// Their height in bytes.
    pub height: i64,
}

/// All ranges, by their first section.
pub struct Ranges {
    /// For the first section of a range: the section after its last; else 0.
    end: Vec<u32>,
    /// For the section after a range: the first section of that range.
    start: Vec<u32>,
    /// For the first section of a range: its height.
    height: Vec<i64>,
    /// Heights and first sections, some out of date.
    queue: BinaryHeap<Reverse<(i64, u32)>>,
}

impl Ranges {
    /// Returns the ranges of a given skyline.
    pub fn new(floors: &[i64]) -> Self {
        let mut ranges = Self {
            end: vec![0; floors.len()],
            start: vec![0; floors.len() + 1],
            height: floors.to_vec(),
            queue: BinaryHeap::new(),
        };
        let mut first = 0;
        for flat in floors.chunk_by(|a, b| a == b) {
            let end = first + u32::try_from(flat.len()).unwrap_or(u32::MAX);
            ranges.insert(Span { first, end }, flat[0]);
            first = end;
        }
        ranges
    }

    /// Returns the lowest range, the leftmost among equals.
    pub fn lowest(&mut self) -> Option<Range> {
        while let Some(&Reverse((height, first))) = self.queue.peek() {
            let end = self.end[first as usize];
            if end > 0 && self.height[first as usize] == height {
                return Some(Range { span: Span { first, end }, height });
            }
            self.queue.pop();
        }
        None
    }

    /// Raises the sections of `span` within a range.
    pub fn cover(&mut self, range: Range, span: Span, height: i64) {
        self.end[range.span.first as usize] = 0;
        if range.span.first < span.first {
            self.insert(Span { first: range.span.first, end: span.first }, range.height);
        }
        if span.end < range.span.end {
            self.insert(Span { first: span.end, end: range.span.end }, range.height);
        }
        self.insert_merged(span, height);
    }

    /// Raises a whole range to its lower wall, or out of the way where it has none.
    pub fn raise(&mut self, range: Range) {
        let left = self.before(range.span.first).map_or(i64::MAX, |wall| wall.height);
        let right = self.after(range.span.end).map_or(i64::MAX, |wall| wall.height);
        self.end[range.span.first as usize] = 0;
        if left.min(right) < i64::MAX {
            self.insert_merged(range.span, left.min(right));
        }
    }

    fn before(&self, first: u32) -> Option<Range> {
        let start = (first > 0).then(|| self.start[first as usize])?;
        self.after(start).filter(|range| range.span.end == first)
    }

    fn after(&self, first: u32) -> Option<Range> {
        let end = self.end.get(first as usize).copied().filter(|&end| end > 0)?;
        Some(Range { span: Span { first, end }, height: self.height[first as usize] })
    }

    fn insert_merged(&mut self, mut span: Span, height: i64) {
        if let Some(left) = self.before(span.first).filter(|range| range.height == height) {
            self.end[left.span.first as usize] = 0;
            span.first = left.span.first;
        }
        if let Some(right) = self.after(span.end).filter(|range| range.height == height) {
            self.end[right.span.first as usize] = 0;
            span.end = right.span.end;
        }
        self.insert(span, height);
    }

    fn insert(&mut self, span: Span, height: i64) {
        self.end[span.first as usize] = span.end;
        self.start[span.end as usize] = span.first;
        self.height[span.first as usize] = height;
        self.queue.push(Reverse((height, span.first)));
    }
}
