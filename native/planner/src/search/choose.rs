//! Which section to ask about, and the answers in the order in which to try them.
//!
//! The buffers that come to lie on a valley floor tile it from wall to wall, except for sections
//! that can afford to be raised. Only buffers on some such chain are answers.

use super::strategy::Focus;
use super::{NEVER, Part, Search};

/// Working space.
pub struct Scores {
    /// By section: tells whether it belongs to a valley, a flat range between higher ones.
    valley: Vec<bool>,
    /// By section: tells whether it can stay empty and be raised.
    raisable: Vec<bool>,
    /// By section: number of items that can lie on the floor.
    options: Vec<u32>,
    /// By border between sections: a chain from the left wall ends here.
    from_left: Vec<bool>,
    /// By border between sections: a chain to the right wall starts here.
    to_right: Vec<bool>,
    /// Items that lie flat in a valley, by first section.
    flat: Vec<u32>,
    /// The valleys: first section and section after the last.
    valleys: Vec<(usize, usize)>,
}

impl Scores {
    pub fn new(sections: usize) -> Self {
        Self {
            valley: vec![false; sections],
            raisable: vec![false; sections],
            options: vec![0; sections],
            from_left: vec![false; sections + 1],
            to_right: vec![false; sections + 1],
            flat: Vec::new(),
            valleys: Vec::new(),
        }
    }
}

/// The question to ask.
#[derive(Clone, Copy)]
pub(super) struct Question {
    /// What lies on the floor of this section?
    pub section: usize,
    /// Tells whether "nothing" may be an answer.
    pub raisable: bool,
}

impl Search<'_> {
    /// Returns the most pressing question; none where some valley cannot be filled.
    pub(super) fn choose(&mut self, part: Part) -> Option<Question> {
        let first = self.state.instance.items[part.head as usize].hull.first as usize;
        let end = part.end as usize;
        self.find_valleys(first, end);
        self.find_flat(part);
        self.mark_raisable();
        if !self.link_chains() {
            return None;
        }
        self.count_options();
        let section = self.most_pressing();
        let linked = self.scores.from_left[section] && self.scores.to_right[section + 1];
        let raisable = self.scores.raisable[section] && (linked || self.state.instance.has_gaps);
        Some(Question { section, raisable })
    }

    /// Finds the flat ranges that items cannot overhang.
    ///
    /// With gaps in lifetimes an item may lie on two ranges at once, and only the lowest range of
    /// all is certain to have nothing below.
    fn find_valleys(&mut self, first: usize, end: usize) {
        let height = &self.state.height;
        let limit = if self.state.instance.has_gaps {
            height[first..end].iter().copied().min().unwrap_or(NEVER)
        } else {
            NEVER - 1
        };
        self.scores.valley[first..end].fill(false);
        self.scores.valleys.clear();
        let mut start = first;
        while start < end {
            let level = height[start];
            let stop = start + height[start..end].iter().take_while(|&&h| h == level).count();
            let walled = (start == first || height[start - 1] > level)
                && (stop == end || height[stop] > level);
            if walled && level <= limit {
                self.scores.valley[start..stop].fill(true);
                self.scores.valleys.push((start, stop));
            }
            start = stop;
        }
    }

    fn find_flat(&mut self, part: Part) {
        let state = &self.state;
        self.scores.flat.clear();
        for number in state.unplaced(part.head, part.end) {
            let first = state.instance.items[number as usize].hull.first as usize;
            if self.scores.valley[first] && state.lies_flat(number) {
                self.scores.flat.push(number);
            }
        }
    }

    /// Marks the sections that can lose as many bytes as an empty floor costs at least.
    fn mark_raisable(&mut self) {
        let state = &self.state;
        for &(start, stop) in &self.scores.valleys {
            for section in start..stop {
                let full = state.height[section] + state.remaining[section] - state.rounding;
                self.scores.raisable[section] = full < state.capacity;
            }
        }
    }

    /// Links the flat items of each valley from wall to wall; false where there is no way.
    fn link_chains(&mut self) -> bool {
        let items = &self.state.instance.items;
        let scores = &mut self.scores;
        if self.state.instance.has_gaps {
            return true;
        }
        let mut flat = scores.flat.as_slice();
        for &(start, stop) in &scores.valleys {
            let inside = |&&n: &&u32| (items[n as usize].hull.first as usize) < stop;
            let (here, rest) = flat.split_at(flat.iter().take_while(inside).count());
            flat = rest;
            scores.to_right[start..=stop].fill(false);
            scores.from_left[start..=stop].fill(false);
            scores.to_right[stop] = true;
            scores.from_left[start] = true;
            let mut backwards = here.iter().rev().peekable();
            for section in (start..stop).rev() {
                let mut linked = scores.raisable[section] && scores.to_right[section + 1];
                while let Some(&number) =
                    backwards.next_if(|&&n| items[n as usize].hull.first as usize == section)
                {
                    linked |= scores.to_right[items[number as usize].hull.end as usize];
                }
                scores.to_right[section] = linked;
            }
            if !scores.to_right[start] {
                return false;
            }
            let mut forwards = here.iter().peekable();
            for section in start..stop {
                let linked = scores.from_left[section];
                scores.from_left[section + 1] |= linked && scores.raisable[section];
                while let Some(&number) =
                    forwards.next_if(|&&n| items[n as usize].hull.first as usize == section)
                {
                    scores.from_left[items[number as usize].hull.end as usize] |= linked;
                }
            }
        }
        true
    }

    fn count_options(&mut self) {
        for &(start, stop) in &self.scores.valleys {
            self.scores.options[start..stop].fill(0);
        }
        for index in 0..self.scores.flat.len() {
            let number = self.scores.flat[index];
            if self.is_linked(number) {
                for span in self.state.instance.items[number as usize].spans() {
                    for count in &mut self.scores.options[span.indices()] {
                        *count += 1;
                    }
                }
            }
        }
    }

    /// Tells whether a flat item is on a chain from wall to wall.
    fn is_linked(&self, number: u32) -> bool {
        let hull = self.state.instance.items[number as usize].hull;
        self.state.instance.has_gaps
            || (self.scores.from_left[hull.first as usize]
                && self.scores.to_right[hull.end as usize])
    }

    fn most_pressing(&self) -> usize {
        let mut best = (i64::MAX, i64::MAX, i64::MAX);
        let mut chosen = 0;
        for &(start, stop) in &self.scores.valleys {
            for section in start..stop {
                let height = self.state.height[section];
                let slack = self.state.capacity - height - self.state.remaining[section];
                let options = i64::from(self.scores.options[section]);
                let answers = options + i64::from(self.scores.raisable[section]);
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
        }
        chosen
    }

    /// Pushes the items that can lie on the floor of the section.
    pub(super) fn push_choices(&mut self, section: usize) {
        let state = &self.state;
        let start = self.choices.len();
        for &number in &state.alive[section] {
            let eligible = !state.is_placed(number) && state.lies_flat(number);
            if eligible
                && state.twin[number as usize].is_none_or(|twin| state.is_placed(twin))
                && self.is_linked(number)
            {
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
        let lowest = item.pinned.map_or_else(|| item.align(view.top), |_| view.highest);
        view.flat && lowest == view.rest
    }
}
