//! What the planner is asked to place, and the checks that every input passes first.

use std::fmt;

/// Largest sum of sizes, alignments and pinned offsets that the planner accepts, in bytes.
///
/// It keeps every sum that the planner forms far from the limits of `i64`.
pub const MAX_TOTAL_BYTES: i64 = 1 << 60;

/// A half-open range of time steps, `lower..upper`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime {
    /// First step inside the range.
    pub lower: i64,
    /// First step after the range.
    pub upper: i64,
}

/// A piece of memory that is needed for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Steps during which the buffer is alive.
    pub lifetime: Lifetime,
    /// Bytes.
    pub size: i64,
    /// The offset is a multiple of this many bytes; at least 1.
    pub alignment: i64,
    /// The offset in bytes, where it is not for the planner to choose.
    pub pinned: Option<i64>,
    /// Parts of the lifetime during which the bytes may be used by others, in rising order.
    pub gaps: Vec<Lifetime>,
}

impl Buffer {
    /// Returns a buffer without alignment, pin or gaps.
    #[must_use]
    pub const fn new(lower: i64, upper: i64, size: i64) -> Self {
        Self {
            lifetime: Lifetime { lower, upper },
            size,
            alignment: 1,
            pinned: None,
            gaps: Vec::new(),
        }
    }

    /// Yields the parts of the lifetime that lie between the gaps, in rising order.
    pub fn active(&self) -> impl Iterator<Item = Lifetime> + '_ {
        let starts = std::iter::once(self.lifetime.lower).chain(self.gaps.iter().map(|g| g.upper));
        let ends = self.gaps.iter().map(|g| g.lower).chain(std::iter::once(self.lifetime.upper));
        starts
            .zip(ends)
            .map(|(lower, upper)| Lifetime { lower, upper })
            .filter(|a| a.lower < a.upper)
    }
}

/// Why an input cannot be planned; indices are positions in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemError {
    /// The buffer's lifetime is empty or ends before it starts.
    EmptyLifetime(usize),
    /// The buffer's size is below zero.
    NegativeSize(usize),
    /// The buffer's alignment is below one.
    BadAlignment(usize),
    /// The buffer is pinned below zero or to an offset that its alignment forbids.
    BadPin(usize),
    /// The buffer's gaps are empty, out of order, outside its lifetime, or leave nothing of it.
    BadGaps(usize),
    /// The two buffers are pinned to common bytes at a common step.
    PinsCollide(usize, usize),
    /// All buffers together exceed [`MAX_TOTAL_BYTES`].
    TooLarge,
    /// More buffers than the planner can number.
    TooMany,
}

impl ProblemError {
    /// Returns the rule that the input breaks, as a sentence without a subject.
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::EmptyLifetime(_) => "lower must be less than upper",
            Self::NegativeSize(_) => "size must not be negative",
            Self::BadAlignment(_) => "alignment must be at least 1",
            Self::BadPin(_) => "pinned must be a multiple of the alignment, and not negative",
            Self::BadGaps(_) => {
                "gaps must not be empty, rise, lie inside the lifetime and leave some of it"
            }
            Self::PinsCollide(..) => "pinned to common bytes at a common step",
            Self::TooLarge => {
                "all sizes, alignments and pinned offsets together must not exceed 2^60 bytes"
            }
            Self::TooMany => "there must be at most 2^29 - 1 buffers and gaps",
        }
    }

    /// Returns the positions of the buffers at fault; none where the whole input is.
    #[must_use]
    pub fn culprits(&self) -> Vec<usize> {
        match *self {
            Self::EmptyLifetime(i)
            | Self::NegativeSize(i)
            | Self::BadAlignment(i)
            | Self::BadPin(i)
            | Self::BadGaps(i) => vec![i],
            Self::PinsCollide(i, j) => vec![i, j],
            Self::TooLarge | Self::TooMany => vec![],
        }
    }
}

impl fmt::Display for ProblemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "buffers {:?}: {}", self.culprits(), self.rule())
    }
}

impl std::error::Error for ProblemError {}

/// Checks everything about single buffers; collisions between pins are found when placing them.
///
/// # Errors
///
/// Returns the first rule that a buffer breaks.
pub fn check(buffers: &[Buffer]) -> Result<(), ProblemError> {
    let intervals: usize = buffers.iter().map(|b| b.gaps.len() + 1).sum();
    if intervals > (u32::MAX / 8) as usize {
        return Err(ProblemError::TooMany);
    }
    let mut total: i128 = 0;
    for (index, buffer) in buffers.iter().enumerate() {
        check_buffer(index, buffer)?;
        let pinned = buffer.pinned.unwrap_or(0);
        total += i128::from(buffer.size) + i128::from(buffer.alignment) + i128::from(pinned);
    }
    if total > i128::from(MAX_TOTAL_BYTES) {
        return Err(ProblemError::TooLarge);
    }
    Ok(())
}

fn check_buffer(index: usize, buffer: &Buffer) -> Result<(), ProblemError> {
    if buffer.lifetime.lower >= buffer.lifetime.upper {
        return Err(ProblemError::EmptyLifetime(index));
    }
    if buffer.size < 0 {
        return Err(ProblemError::NegativeSize(index));
    }
    if buffer.alignment < 1 {
        return Err(ProblemError::BadAlignment(index));
    }
    if buffer.pinned.is_some_and(|offset| offset < 0 || offset % buffer.alignment != 0) {
        return Err(ProblemError::BadPin(index));
    }
    let mut end = buffer.lifetime.lower;
    for gap in &buffer.gaps {
        if gap.lower < end || gap.lower >= gap.upper || gap.upper > buffer.lifetime.upper {
            return Err(ProblemError::BadGaps(index));
        }
        end = gap.upper;
    }
    if buffer.active().next().is_none() {
        return Err(ProblemError::BadGaps(index));
    }
    Ok(())
}
