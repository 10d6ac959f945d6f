//! The skyline, the unplaced items, and how to take changes back.

use super::keys::scramble;
use super::twins::twins;
use super::{NEVER, Part};
use crate::instance::Instance;

/// What an unplaced item sees of the skyline below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Greatest section height.
    pub highest: i64,
    /// All section heights are the same.
    pub flat: bool,
    /// A section lower than the highest, unless flat.
    pub lower_at: u32,
    /// A section too low for the item to end there, were it moved down as far as it goes.
    pub narrow_at: u32,
    /// Greatest top of a placed item.
    pub top: i64,
    /// Least offset that the item can have.
    pub rest: i64,
}

/// One change, with what was there before.
enum Change {
    Section { section: u32, height: i64, top: i64 },
    View { item: u32, view: View },
    Placed { item: u32 },
}

/// A range of sections that grows.
#[derive(Clone, Copy)]
pub struct Window {
    pub first: u32,
    pub end: u32,
}

impl Window {
    pub const EMPTY: Self = Self { first: u32::MAX, end: 0 };

    pub fn add(&mut self, first: u32, end: u32) {
        self.first = self.first.min(first);
        self.end = self.end.max(end);
    }

    pub const fn is_empty(self) -> bool {
        self.first >= self.end
    }
}

pub struct State<'a> {
    pub instance: &'a Instance,
    pub capacity: i64,
    /// What the topmost item of a section may save of the sum of extents.
    pub rounding: i64,
    /// Where the next item in a section may start.
    pub height: Vec<i64>,
    /// Where the last item placed in a section ends.
    pub top: Vec<i64>,
    /// Sum of the unplaced extents in a section.
    pub remaining: Vec<i64>,
    /// For each item, what it sees; out of date once placed.
    pub views: Vec<View>,
    /// For each section, an item that may start at its height (to be checked before use).
    pub witness: Vec<u32>,
    /// The items alive in each section.
    pub alive: Vec<Vec<u32>>,
    /// For each item, the one before it among those alike: that one lies lower.
    pub twin: Vec<Option<u32>>,
    /// Changes since the last propagation.
    pub touched: Window,
    /// Key of the whole state.
    pub key: u128,
    /// Offsets of the placed items.
    offset: Vec<Option<i64>>,
    /// How many unplaced items cross the border below a section.
    crossing: Vec<u32>,
    /// The unplaced items by first section, linked in a ring; the last entry is its anchor.
    next: Vec<u32>,
    previous: Vec<u32>,
    trail: Vec<Change>,
}

impl<'a> State<'a> {
    pub fn new(instance: &'a Instance, capacity: i64) -> Self {
        let (items, sections) = (&instance.items, instance.load.len());
        let mut order: Vec<u32> = (0..).zip(items).map(|(number, _)| number).collect();
        order.sort_by_key(|&number| items[number as usize].hull.first);
        let mut state = Self {
            instance,
            capacity,
            rounding: items.iter().map(|item| item.extent - item.size).max().unwrap_or(0),
            height: vec![0; sections],
            top: vec![0; sections],
            remaining: instance.load.clone(),
            views: items
                .iter()
                .map(|item| View {
                    highest: 0,
                    flat: true,
                    lower_at: item.hull.first,
                    narrow_at: item.hull.first,
                    top: 0,
                    rest: item.pinned.unwrap_or(0),
                })
                .collect(),
            witness: vec![0; sections],
            alive: vec![Vec::new(); sections],
            twin: twins(instance),
            touched: Window { first: 0, end: u32::try_from(sections).unwrap_or(u32::MAX) },
            key: 0,
            offset: vec![None; items.len()],
            crossing: vec![0; sections + 1],
            next: vec![0; items.len() + 1],
            previous: vec![0; items.len() + 1],
            trail: Vec::new(),
        };
        state.link(&order);
        for &number in &order {
            let item = &items[number as usize];
            state.crossing[item.hull.first as usize + 1..item.hull.end as usize]
                .iter_mut()
                .for_each(|c| *c += 1);
            for span in item.spans() {
                state.alive[span.indices()].iter_mut().for_each(|alive| alive.push(number));
            }
        }
        for (witness, alive) in state.witness.iter_mut().zip(&state.alive) {
            *witness = alive[0];
        }
        state
    }

    fn link(&mut self, order: &[u32]) {
        let anchor = self.next.len() - 1;
        let mut last = anchor;
        for &number in order {
            self.next[last] = number;
            self.previous[number as usize] = u32::try_from(last).unwrap_or(u32::MAX);
            last = number as usize;
        }
        let end = u32::try_from(anchor).unwrap_or(u32::MAX);
        self.next[last] = end;
        self.previous[anchor] = u32::try_from(last).unwrap_or(u32::MAX);
    }

    pub fn offsets(&self) -> Vec<i64> {
        self.offset.iter().map(|offset| offset.unwrap_or(0)).collect()
    }

    pub fn is_placed(&self, item: u32) -> bool {
        self.offset[item as usize].is_some()
    }

    pub fn first_unplaced(&self) -> Option<u32> {
        self.unless_anchor(self.next[self.next.len() - 1])
    }

    /// Returns the unplaced item after this one, by first section.
    pub fn next(&self, item: u32) -> Option<u32> {
        self.unless_anchor(self.next[item as usize])
    }

    fn unless_anchor(&self, item: u32) -> Option<u32> {
        ((item as usize) < self.instance.items.len()).then_some(item)
    }

    /// Yields the unplaced items from `head` on that start before section `end`.
    pub fn unplaced(&self, head: u32, end: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(Some(head), |&item| self.next(item))
            .take_while(move |&item| self.instance.items[item as usize].hull.first < end)
    }

    /// Returns the parts that no unplaced item connects, each with its number of items.
    pub fn parts(&self, head: u32, end: u32) -> Vec<(Part, usize)> {
        let mut parts: Vec<(Part, usize)> = Vec::new();
        for item in self.unplaced(head, end) {
            let hull = self.instance.items[item as usize].hull;
            match parts.last_mut() {
                Some((part, items)) if hull.first < part.end => {
                    part.end = part.end.max(hull.end);
                    *items += 1;
                }
                _ => parts.push((Part { head: item, end: hull.end, key: 0 }, 1)),
            }
        }
        for (part, _) in &mut parts {
            part.key = self.key ^ self.part_key(part.head, part.end);
        }
        parts
    }

    fn part_key(&self, head: u32, end: u32) -> u128 {
        let first = self.instance.items[head as usize].hull.first;
        let items = self.unplaced(head, end).fold(0, |key, item| key ^ item_key(item));
        (first..end).fold(items, |key, section| key ^ self.section_key(section))
    }

    fn section_key(&self, section: u32) -> u128 {
        let index = section as usize;
        scramble(2 * u64::from(section), self.height[index], self.top[index])
    }

    pub fn mark(&self) -> usize {
        self.trail.len()
    }

    /// Takes back all changes since the mark.
    pub fn undo(&mut self, mark: usize) {
        self.touched = Window::EMPTY;
        while self.trail.len() > mark {
            match self.trail.pop() {
                Some(Change::Section { section, height, top }) => {
                    self.key ^= self.section_key(section);
                    self.height[section as usize] = height;
                    self.top[section as usize] = top;
                    self.key ^= self.section_key(section);
                }
                Some(Change::View { item, view }) => self.views[item as usize] = view,
                Some(Change::Placed { item }) => self.unplace(item),
                None => return,
            }
        }
    }

    pub fn set_section(&mut self, section: usize, height: i64, top: i64) {
        let number = u32::try_from(section).unwrap_or(u32::MAX);
        self.key ^= self.section_key(number);
        self.trail.push(Change::Section {
            section: number,
            height: self.height[section],
            top: self.top[section],
        });
        self.height[section] = height;
        self.top[section] = top;
        self.key ^= self.section_key(number);
        self.touched.add(number, number + 1);
    }

    pub fn set_view(&mut self, item: u32, view: View) {
        self.trail.push(Change::View { item, view: self.views[item as usize] });
        self.views[item as usize] = view;
    }

    /// Raises the floor of a section.
    pub fn raise(&mut self, section: usize, height: i64) {
        self.set_section(section, height, self.top[section]);
    }

    /// Places an item at its least offset; tells whether that may cut its part in two.
    pub fn place(&mut self, number: u32) -> bool {
        let instance = self.instance;
        let item = &instance.items[number as usize];
        let offset = self.views[number as usize].rest;
        self.trail.push(Change::Placed { item: number });
        self.offset[number as usize] = Some(offset);
        self.key ^= item_key(number);
        let (next, previous) = (self.next[number as usize], self.previous[number as usize]);
        self.next[previous as usize] = next;
        self.previous[next as usize] = previous;
        let mut splits = false;
        for crossing in &mut self.crossing[item.hull.first as usize + 1..item.hull.end as usize] {
            *crossing -= 1;
            splits |= *crossing == 0;
        }
        for span in item.spans() {
            for section in span.indices() {
                self.remaining[section] -= item.extent;
                let height =
                    if self.remaining[section] == 0 { NEVER } else { offset + item.extent };
                self.set_section(section, height, offset + item.extent);
            }
        }
        splits
    }

    fn unplace(&mut self, number: u32) {
        let instance = self.instance;
        let item = &instance.items[number as usize];
        self.offset[number as usize] = None;
        self.key ^= item_key(number);
        let (next, previous) = (self.next[number as usize], self.previous[number as usize]);
        self.next[previous as usize] = number;
        self.previous[next as usize] = number;
        for crossing in &mut self.crossing[item.hull.first as usize + 1..item.hull.end as usize] {
            *crossing += 1;
        }
        for span in item.spans() {
            self.remaining[span.indices()].iter_mut().for_each(|sum| *sum += item.extent);
        }
    }
}

fn item_key(item: u32) -> u128 {
    scramble(2 * u64::from(item) + 1, 0, 0)
}
