//! The problem as the algorithms see it: time cut into the few sections that matter.

use crate::heights::Heights;
use crate::problem::{Buffer, Lifetime, ProblemError, check};

/// A half-open range of sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First section inside.
    pub first: u32,
    /// First section after.
    pub end: u32,
}

impl Span {
    /// Tells whether the two ranges have a section in common.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.first < other.end && other.first < self.end
    }

    /// Returns the range as indices.
    #[must_use]
    pub const fn indices(self) -> std::ops::Range<usize> {
        self.first as usize..self.end as usize
    }

    /// Returns the number of sections.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.end - self.first
    }
}

/// A buffer with a size above zero; its number is its position in [`Instance::items`].
#[derive(Clone, Debug)]
pub struct Item {
    /// From the first to the last section in which it is alive, gaps included.
    pub hull: Span,
    /// Grains of memory.
    pub size: i64,
    /// Grains that it takes from the others: the size, rounded up to the unit of all offsets.
    pub extent: i64,
    /// The offset is a multiple of this.
    pub alignment: i64,
    /// The offset, where it is fixed.
    pub pinned: Option<i64>,
    /// The sections in which it is alive, only where the lifetime has gaps.
    gapped: Option<Box<[Span]>>,
}

impl Item {
    /// Returns the item for a buffer that is alive in the given sections.
    fn new(buffer: &Buffer, alive: Vec<Span>, grain: i64) -> Self {
        let size = buffer.size / grain;
        Self {
            hull: Span { first: alive[0].first, end: alive[alive.len() - 1].end },
            size,
            extent: size,
            alignment: (buffer.alignment / grain).max(1),
            pinned: buffer.pinned.map(|offset| offset / grain),
            gapped: (alive.len() > 1).then(|| alive.into_boxed_slice()),
        }
    }

    /// Returns the sections in which the buffer is alive, in rising order.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        self.gapped.as_deref().unwrap_or(std::slice::from_ref(&self.hull))
    }

    /// Tells whether both are alive in some section.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        if !self.hull.overlaps(other.hull) {
            return false;
        }
        if self.gapped.is_none() && other.gapped.is_none() {
            return true;
        }
        self.spans().iter().any(|a| other.spans().iter().any(|b| a.overlaps(*b)))
    }

    /// Returns the least offset that the alignment allows at or above `height`.
    #[must_use]
    pub const fn align(&self, height: i64) -> i64 {
        align_up(height, self.alignment)
    }
}

/// Returns the least multiple of `alignment` at or above `value` (both not negative).
#[must_use]
pub const fn align_up(value: i64, alignment: i64) -> i64 {
    if alignment == 1 {
        return value;
    }
    match value % alignment {
        0 => value,
        rest => value + (alignment - rest),
    }
}

/// Buffers over sections.
///
/// A section stands for a maximal set of buffers alive at one step: where the same or more
/// buffers are alive at a neighbouring step, the step adds nothing. There are at most as many
/// sections as buffers, whatever the lengths of the lifetimes.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The buffers to place.
    pub items: Vec<Item>,
    /// For each item, its position in the input; items are sorted, so that the order of the input
    /// has no influence.
    pub sources: Vec<u32>,
    /// Sum of the extents alive in each section.
    pub load: Vec<i64>,
    /// No arena can be smaller.
    pub lower_bound: i64,
    /// Tells whether any lifetime has gaps.
    pub has_gaps: bool,
    /// All sizes and offsets count in so many bytes.
    pub grain: i64,
}

impl Instance {
    /// Checks the buffers and cuts time into sections.
    ///
    /// # Errors
    ///
    /// Returns what makes the input unusable.
    pub fn new(buffers: &[Buffer]) -> Result<Self, ProblemError> {
        check(buffers)?;
        let mut sources: Vec<u32> =
            (0..).zip(buffers).filter(|(_, b)| b.size > 0).map(|(i, _)| i).collect();
        sources.sort_by_key(|&source| canonical(&buffers[source as usize]));
        let grain = grain(sources.iter().map(|&source| &buffers[source as usize]));
        let (spans, sections) = sections(buffers, &sources);
        let mut next = 0;
        let mut items = Vec::with_capacity(sources.len());
        for &source in &sources {
            let buffer = &buffers[source as usize];
            let count = buffer.active().count();
            items.push(Item::new(buffer, merge_touching(&spans[next..next + count]), grain));
            next += count;
        }
        let unit =
            items.iter().fold(0, |unit, item| gcd(unit, item.pinned.unwrap_or(item.alignment)));
        for item in &mut items {
            item.extent = align_up(item.size, unit.max(1));
        }
        let load = load(&items, sections, |item| item.extent);
        let lower_bound = lower_bound(&items, &load);
        let has_gaps = items.iter().any(|item| item.gapped.is_some());
        Ok(Self { items, sources, load, lower_bound, has_gaps, grain })
    }

    /// Returns the number of pairs of an item and a section in which it is alive.
    #[must_use]
    pub fn sections_of_items(&self) -> u64 {
        self.items.iter().flat_map(Item::spans).map(|span| u64::from(span.len())).sum()
    }

    /// Checks that pinned items leave each other alone.
    ///
    /// # Errors
    ///
    /// Returns two that do not.
    pub fn check_pins(&self) -> Result<(), ProblemError> {
        let mut pinned: Vec<u32> = (0..)
            .zip(&self.items)
            .filter(|(_, item)| item.pinned.is_some())
            .map(|(number, _)| number)
            .collect();
        pinned.sort_by_key(|&number| self.items[number as usize].pinned);
        let mut skyline = Heights::new(self.load.len());
        for (position, &number) in pinned.iter().enumerate() {
            let item = &self.items[number as usize];
            let offset = item.pinned.unwrap_or(0);
            let highest = item.spans().iter().map(|&span| skyline.highest(span)).max();
            if highest.is_some_and(|height| height > offset) {
                let below = pinned[..position].iter().find(|&&below| {
                    let below = &self.items[below as usize];
                    below.pinned.unwrap_or(0) + below.size > offset && below.overlaps(item)
                });
                let culprit = |number: u32| self.sources[number as usize] as usize;
                let below = below.map_or(0, |&below| culprit(below));
                return Err(ProblemError::PinsCollide(below, culprit(number)));
            }
            for &span in item.spans() {
                skyline.raise(span, offset + item.size);
            }
        }
        Ok(())
    }

    /// Returns the smallest arena for the given offsets.
    #[must_use]
    pub fn arena(&self, offsets: &[i64]) -> i64 {
        self.items.iter().zip(offsets).map(|(item, offset)| offset + item.size).max().unwrap_or(0)
    }
}

/// What tells buffers apart; sorted by it, they no longer remember the order of the input.
fn canonical(buffer: &Buffer) -> (Lifetime, i64, i64, Option<i64>, &[Lifetime]) {
    (buffer.lifetime, buffer.size, buffer.alignment, buffer.pinned, &buffer.gaps)
}

/// Returns the greatest number that divides all sizes, alignments and pinned offsets: it divides
/// all offsets of some best plan, one in which every buffer rests on others.
fn grain<'a>(buffers: impl Iterator<Item = &'a Buffer>) -> i64 {
    let grain = buffers.fold(0, |grain, buffer| {
        let alignment = if buffer.alignment == 1 { 0 } else { buffer.alignment };
        gcd(gcd(grain, buffer.size), gcd(alignment, buffer.pinned.unwrap_or(0)))
    });
    grain.max(1)
}

/// Returns the greatest common divisor; that of 0 and a number is the number.
#[must_use]
pub const fn gcd(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Numbers the sections and returns those of every active part, in the order of `sources`.
fn sections(buffers: &[Buffer], sources: &[u32]) -> (Vec<Span>, usize) {
    let mut spans: Vec<Span> = Vec::with_capacity(sources.len());
    let mut events: Vec<(i64, bool, u32)> = Vec::with_capacity(2 * sources.len());
    for &source in sources {
        for active in buffers[source as usize].active() {
            let part = u32::try_from(spans.len()).unwrap_or(u32::MAX);
            spans.push(Span { first: 0, end: 0 });
            events.push((active.upper, false, part));
            events.push((active.lower, true, part));
        }
    }
    events.sort_unstable();
    let mut sections = 0;
    let mut ended = true;
    for (_, starts, part) in events {
        if starts && ended {
            sections += 1;
        }
        ended = !starts;
        let span = &mut spans[part as usize];
        if starts {
            span.first = sections - 1;
        } else {
            span.end = sections;
        }
    }
    (spans, sections as usize)
}

fn merge_touching(spans: &[Span]) -> Vec<Span> {
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for &span in spans {
        match merged.last_mut() {
            Some(last) if last.end >= span.first => last.end = span.end,
            _ => merged.push(span),
        }
    }
    merged
}

/// Returns, for each section, the sum of a weight over the items alive in it.
fn load(items: &[Item], sections: usize, weight: impl Fn(&Item) -> i64) -> Vec<i64> {
    let mut change = vec![0; sections + 1];
    for item in items {
        for span in item.spans() {
            change[span.first as usize] += weight(item);
            change[span.end as usize] -= weight(item);
        }
    }
    let mut sum = 0;
    change.truncate(sections);
    for value in &mut change {
        sum += *value;
        *value = sum;
    }
    change
}

/// Returns the largest load, where only the topmost buffer may save its rounding, or the
/// highest pinned end.
fn lower_bound(items: &[Item], load: &[i64]) -> i64 {
    let rounding = items.iter().map(|item| item.extent - item.size).max().unwrap_or(0);
    let largest = load.iter().copied().max().unwrap_or(0) - rounding;
    let plain = self::load(items, load.len(), |item| item.size).into_iter().max().unwrap_or(0);
    let pinned = items.iter().filter_map(|item| item.pinned.map(|p| p + item.size)).max();
    largest.max(plain).max(pinned.unwrap_or(0))
}
