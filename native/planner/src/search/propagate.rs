//! What follows from a change: floors rise to where the lowest unplaced item can start.

use super::NEVER;
use super::state::{State, View, Window};
use crate::instance::Span;

impl State<'_> {
    /// Draws all conclusions from the changes so far; false where there is no plan any more.
    pub fn propagate(&mut self, head: u32, end: u32) -> bool {
        while !self.touched.is_empty() {
            let Some(doubtful) = self.update_views(head, end) else {
                self.touched = Window::EMPTY;
                return false;
            };
            self.touched = Window::EMPTY;
            if !self.raise_floors(doubtful) {
                self.touched = Window::EMPTY;
                return false;
            }
        }
        true
    }

    /// Looks again at the touched sections from every item; returns the sections whose floor may
    /// rise, or none where an item has no place left.
    fn update_views(&mut self, head: u32, end: u32) -> Option<Window> {
        let touched = self.touched;
        let mut doubtful = touched;
        let mut current = Some(head);
        while let Some(number) = current {
            current = self.next(number);
            let hull = self.instance.items[number as usize].hull;
            if hull.first >= end.min(touched.end) {
                break;
            }
            if hull.end <= touched.first {
                continue;
            }
            let old = self.views[number as usize];
            let mut view = self.view(number, old, touched);
            if !self.has_place(number, &mut view) {
                return None;
            }
            if view == old {
                continue;
            }
            if view.rest != old.rest {
                doubtful.add(hull.first, hull.end);
            }
            self.set_view(number, view);
        }
        Some(doubtful)
    }

    /// Heights only rise, so that the old view stays a lower limit of the new one.
    fn view(&self, number: u32, old: View, touched: Window) -> View {
        let item = &self.instance.items[number as usize];
        let (mut highest, mut top) = (old.highest, old.top);
        for span in item.spans() {
            let range = span.first.max(touched.first) as usize..span.end.min(touched.end) as usize;
            if range.start < range.end {
                highest = self.height[range.clone()].iter().fold(highest, |a, &b| a.max(b));
                top = self.top[range].iter().fold(top, |a, &b| a.max(b));
            }
        }
        let mut view =
            View { highest, top, rest: item.pinned.unwrap_or(item.align(highest)), ..old };
        view.flat = false;
        if self.height[old.lower_at as usize] >= highest {
            match self.find_below(item.spans(), highest) {
                Some(section) => view.lower_at = section,
                None => view.flat = true,
            }
        }
        view
    }

    /// Returns a section of the spans that is lower than `height`.
    fn find_below(&self, spans: &[Span], height: i64) -> Option<u32> {
        spans
            .iter()
            .find_map(|span| {
                (span.first..).zip(&self.height[span.indices()]).find(|&(_, &h)| h < height)
            })
            .map(|(section, _)| section)
    }

    /// Tells whether an item can still be placed in a plan that is not dominated.
    fn has_place(&self, number: u32, view: &mut View) -> bool {
        let item = &self.instance.items[number as usize];
        if let Some(offset) = item.pinned {
            return view.highest <= offset;
        }
        if view.rest + item.size > self.capacity {
            return false;
        }
        // A hole that takes the item whole: it could be moved down there in any plan from here.
        let needed = item.align(view.top) + item.extent;
        if self.height[view.narrow_at as usize] >= needed {
            match self.find_below(item.spans(), needed) {
                Some(section) => view.narrow_at = section,
                None => return false,
            }
        }
        true
    }

    /// Raises each floor at which no item can start any more; false where that costs too much.
    fn raise_floors(&mut self, doubtful: Window) -> bool {
        for section in doubtful.first as usize..doubtful.end as usize {
            let height = self.height[section];
            if height == NEVER {
                continue;
            }
            let floor = self.floor(section);
            if floor > height {
                self.raise(section, floor);
            }
            if floor + self.remaining[section] - self.rounding > self.capacity {
                return false;
            }
        }
        true
    }

    /// Returns the least offset of the unplaced items in a section.
    fn floor(&mut self, section: usize) -> i64 {
        let height = self.height[section];
        let witness = self.witness[section];
        if !self.is_placed(witness) && self.views[witness as usize].rest == height {
            return height;
        }
        let mut floor = NEVER;
        for &number in &self.alive[section] {
            if self.is_placed(number) {
                continue;
            }
            let rest = self.views[number as usize].rest;
            if rest < floor {
                floor = rest;
                self.witness[section] = number;
            }
            if rest == height {
                break;
            }
        }
        floor
    }

    /// Returns the least height at which something can lie in `section` if nothing lies on its
    /// floor; none where there is no such height.
    pub fn level_without(&self, part: super::Part, section: usize) -> Option<i64> {
        let mut level = NEVER;
        for &number in &self.alive[section] {
            if self.is_placed(number) {
                continue;
            }
            let view = self.views[number as usize];
            let item = &self.instance.items[number as usize];
            let lowest = if item.pinned.is_some() {
                if view.rest == self.height[section] {
                    return None;
                }
                view.rest
            } else if view.highest > self.height[section] {
                view.rest
            } else {
                item.align(self.lowest_support(part, number))
            };
            level = level.min(lowest);
        }
        let fits = level + self.remaining[section] - self.rounding <= self.capacity;
        (level < NEVER && fits).then_some(level)
    }

    /// Returns the least top of an unplaced item on which another can come to lie.
    fn lowest_support(&self, part: super::Part, number: u32) -> i64 {
        let item = &self.instance.items[number as usize];
        self.unplaced(part.head, part.end.min(item.hull.end))
            .filter(|&other| other != number)
            .filter(|&other| self.instance.items[other as usize].overlaps(item))
            .map(|other| {
                self.views[other as usize].rest + self.instance.items[other as usize].extent
            })
            .min()
            .unwrap_or(NEVER)
    }
}
