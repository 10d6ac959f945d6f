//! The answer, and what the caller can ask for.

/// How the planning ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing is left to find: the question is answered, with proof.
    Proved,
    /// The fixed effort is spent; more time may give a better plan.
    EffortSpent,
    /// The time limit is reached; more time may give a better plan.
    TimeLimit,
    /// The caller asked to stop; more time may give a better plan.
    Interrupted,
}

/// Where every buffer lies in one arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Bytes from the start of the arena, in the order of the input.
    pub offsets: Vec<i64>,
    /// Size of the arena in bytes.
    pub arena_bytes: i64,
    /// No arena for these buffers can be smaller, in bytes.
    pub lower_bound_bytes: i64,
    /// Why the planner stopped.
    pub ending: Ending,
}

impl Ending {
    /// Returns the word for it in interfaces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::EffortSpent => "effort spent",
            Self::TimeLimit => "time limit",
            Self::Interrupted => "interrupted",
        }
    }
}

impl Plan {
    /// Tells whether the arena is proved to be the smallest possible.
    #[must_use]
    pub const fn optimal(&self) -> bool {
        self.arena_bytes == self.lower_bound_bytes
    }
}

/// What the caller wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Stop at the first plan that needs at most this many bytes; none: as small as possible.
    pub capacity: Option<i64>,
    /// Work until the question is answered or this time has passed; none: a fixed effort, which
    /// makes the answer the same on every machine.
    pub time_limit: Option<std::time::Duration>,
}
