//! Which section to ask about, and the answers in the order in which to try them.

use super::strategy::Focus;
use super::{NEVER, Part, Search};

/// Working space, by section.
pub struct Scores {
    /// Number of items that can lie on the floor.
    options: Vec<u32>,
    /// Tells whether a section belongs to a valley: higher sections, or none, on both sides.
    valley: Vec<bool>,
}

impl Scores {
    pub fn new(sections: usize) -> Self {
        Self { options: vec![0; sections], valley: vec![false; sections] }
    }
}

impl Search<'_> {
    /// Returns the section with the most pressing question.
    pub(super) fn choose(&mut self, part: Part) -> usize {
        let first = self.state.instance.items[part.head as usize].hull.first as usize;
        let end = part.end as usize;
        self.mark_valleys(first, end);
        self.count_options(part);
        let mut best = (i64::MAX, i64::MAX, i64::MAX);
        let mut chosen = first;
        for section in first..end {
            if !self.scores.valley[section] {
                continue;
            }
            let height = self.state.height[section];
            let slack = self.state.capacity - height - self.state.remaining[section];
            let options = i64::from(self.scores.options[section]);
            let answers = options + i64::from(slack > 0);
            let score = match self.strategy.focus {
                Focus::FewestThenTightest => (answers, slack, height),
                Focus::Lowest => (height, options, slack),
                Focus::Tightest => (slack, options, height),
                Focus::FewestThenLowest => (answers, height, slack),
            };
            if score < best {
                best = score;
                chosen = section;
            }
        }
        chosen
    }

    /// Marks the flat ranges that items cannot overhang.
    ///
    /// With gaps in lifetimes an item may lie on two ranges at once, and only the lowest range of
    /// all is certain to have nothing below.
    fn mark_valleys(&mut self, first: usize, end: usize) {
        let height = &self.state.height;
        let lowest = if self.state.instance.has_gaps {
            height[first..end].iter().copied().min().unwrap_or(NEVER)
        } else {
            NEVER - 1
        };
        let mut start = first;
        while start < end {
            let level = height[start];
            let run = height[start..end].iter().take_while(|&&h| h == level).count();
            let stop = start + run;
            let walled = (start == first || height[start - 1] > level)
                && (stop == end || height[stop] > level);
            self.scores.valley[start..stop].fill(walled && level <= lowest);
            start = stop;
        }
        self.scores.options[first..end].fill(0);
    }

    fn count_options(&mut self, part: Part) {
        let state = &self.state;
        for number in state.unplaced(part.head, part.end) {
            if !state.lies_flat(number) {
                continue;
            }
            for span in state.instance.items[number as usize].spans() {
                if self.scores.valley[span.first as usize] {
                    self.scores.options[span.indices()].iter_mut().for_each(|count| *count += 1);
                }
            }
        }
    }

    /// Pushes the items that can lie on the floor of the section.
    pub(super) fn push_choices(&mut self, _part: Part, section: usize) {
        let state = &self.state;
        let start = self.choices.len();
        for &number in &state.alive[section] {
            let eligible = !state.is_placed(number) && state.lies_flat(number);
            if eligible && state.twin[number as usize].is_none_or(|twin| state.is_placed(twin)) {
                self.choices.push(number);
            }
        }
        let rank = &self.rank;
        self.choices[start..].sort_unstable_by_key(|&number| rank[number as usize]);
    }
}

impl super::State<'_> {
    /// Tells whether an unplaced item would lie on a flat floor and on the top of something.
    fn lies_flat(&self, number: u32) -> bool {
        let view = self.views[number as usize];
        let item = &self.instance.items[number as usize];
        match item.pinned {
            Some(offset) => view.lowest == offset,
            None => view.lowest == view.highest && item.align(view.top) == view.rest,
        }
    }
}
