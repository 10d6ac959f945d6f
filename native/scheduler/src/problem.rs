//! What the search is asked to order, and the checks that every problem passes first.

use std::fmt;

/// Largest sum of all sizes that the search accepts, in bytes.
///
/// It keeps every sum that the search forms far from the limits of `i64`.
pub const MAX_TOTAL_BYTES: i64 = 1 << 60;

/// Largest number of operators and of maps: they are numbered with 32 bits.
const MAX_COUNT: usize = 1 << 30;

/// A feature map that is stored from its writer to its last reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMap {
    /// Bytes.
    pub size: i64,
    /// The operator that writes it; none: an input of the network, stored from the start.
    pub writer: Option<usize>,
    /// The operators that read it.
    pub readers: Vec<usize>,
    /// An output of the network: stored to the end.
    pub kept: bool,
}

/// An operator may write part of its results over maps that die at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overwrite {
    /// The operator.
    pub operator: usize,
    /// All of these must die at the operator.
    pub maps: Vec<usize>,
    /// Bytes of the results that then need no new room.
    pub saved_bytes: i64,
}

/// Two operators may run as one: the result of the first is added straight into another map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accumulation {
    /// The operator whose results are then never stored.
    pub producer: usize,
    /// The operator that adds; the only one that reads the producer's results.
    pub consumer: usize,
    /// All of these must be there before the producer runs and die at the consumer.
    pub maps: Vec<usize>,
    /// Bytes of the consumer's results that then need no new room.
    pub saved_bytes: i64,
}

/// Operators, the maps between them, and what they may overwrite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderProblem {
    /// For each operator, those that must have run before it, besides the writers of what it reads.
    pub predecessors: Vec<Vec<usize>>,
    /// All maps.
    pub maps: Vec<StoredMap>,
    /// Alternatives; an operator uses at most one.
    pub overwrites: Vec<Overwrite>,
    /// Alternatives; an operator takes part in at most one.
    pub accumulations: Vec<Accumulation>,
    /// Operators that only move what they read: the maps that die at such an operator need no room
    /// while its results have theirs.
    pub releasing: Vec<usize>,
}

/// Why a problem cannot be searched; numbers are positions in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemError {
    /// The predecessors of the operator name no operator.
    BadPredecessor(usize),
    /// The map names no operator, or has a negative size.
    BadMap(usize),
    /// The overwrite breaks a rule.
    BadOverwrite(usize, &'static str),
    /// The accumulation breaks a rule.
    BadAccumulation(usize, &'static str),
    /// This entry of `releasing` names no operator.
    BadReleasing(usize),
    /// These operators wait for each other, or for one that does.
    Cycle(Vec<usize>),
    /// The initial order is not an order of the operators.
    BadInitial,
    /// All maps together exceed [`MAX_TOTAL_BYTES`].
    TooLarge,
    /// More operators or maps than can be numbered.
    TooMany,
}

impl fmt::Display for ProblemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadPredecessor(i) => write!(f, "operator {i}: a predecessor is no operator"),
            Self::BadMap(i) => {
                write!(f, "map {i}: writer and readers must be operators, its size not negative")
            }
            Self::BadOverwrite(i, rule) => write!(f, "overwrite {i}: {rule}"),
            Self::BadAccumulation(i, rule) => write!(f, "accumulation {i}: {rule}"),
            Self::BadReleasing(i) => write!(f, "releasing {i}: it names no operator"),
            Self::Cycle(operators) => {
                let first: Vec<String> = operators.iter().take(8).map(usize::to_string).collect();
                write!(f, "operators wait for each other: {}", first.join(", "))
            }
            Self::BadInitial => {
                write!(f, "the initial order must hold every operator once, behind what it needs")
            }
            Self::TooLarge => write!(f, "all maps together must not exceed 2^60 bytes"),
            Self::TooMany => write!(f, "there must be at most 2^30 operators and maps"),
        }
    }
}

impl std::error::Error for ProblemError {}

impl OrderProblem {
    /// Returns the number of operators.
    #[must_use]
    pub fn operator_count(&self) -> usize {
        self.predecessors.len()
    }

    /// Returns for each operator whatever must run before it, sorted, each operator once.
    #[must_use]
    pub fn all_predecessors(&self) -> Vec<Vec<usize>> {
        let mut all = self.predecessors.clone();
        for map in &self.maps {
            if let Some(writer) = map.writer {
                map.readers.iter().for_each(|&reader| all[reader].push(writer));
            }
        }
        for list in &mut all {
            list.sort_unstable();
            list.dedup();
        }
        all
    }

    /// Checks everything but cycles.
    ///
    /// # Errors
    ///
    /// Returns the first rule that is broken.
    pub fn check(&self) -> Result<(), ProblemError> {
        let count = self.operator_count();
        if count > MAX_COUNT || self.maps.len() > MAX_COUNT {
            return Err(ProblemError::TooMany);
        }
        for (index, list) in self.predecessors.iter().enumerate() {
            if list.iter().any(|&other| other >= count) {
                return Err(ProblemError::BadPredecessor(index));
            }
        }
        for (index, map) in self.maps.iter().enumerate() {
            let known = map.readers.iter().chain(&map.writer).all(|&operator| operator < count);
            if !known || map.size < 0 {
                return Err(ProblemError::BadMap(index));
            }
        }
        let total: i128 = self.maps.iter().map(|map| i128::from(map.size)).sum();
        if total > i128::from(MAX_TOTAL_BYTES) {
            return Err(ProblemError::TooLarge);
        }
        if let Some(index) = self.releasing.iter().position(|&operator| operator >= count) {
            return Err(ProblemError::BadReleasing(index));
        }
        self.check_overwrites()?;
        self.check_accumulations()
    }

    /// Returns for each operator the maps that it writes.
    fn results(&self) -> Vec<Vec<usize>> {
        let mut results = vec![Vec::new(); self.operator_count()];
        for (index, map) in self.maps.iter().enumerate() {
            if let Some(writer) = map.writer {
                results[writer].push(index);
            }
        }
        results
    }

    fn check_overwrites(&self) -> Result<(), ProblemError> {
        let results = self.results();
        for (index, overwrite) in self.overwrites.iter().enumerate() {
            let error = |rule| Err(ProblemError::BadOverwrite(index, rule));
            if overwrite.operator >= self.operator_count() {
                return error("it names no operator");
            }
            if let Some(rule) =
                self.broken(&results, overwrite.operator, &overwrite.maps, overwrite.saved_bytes)
            {
                return error(rule);
            }
        }
        Ok(())
    }

    fn check_accumulations(&self) -> Result<(), ProblemError> {
        let written = self.results();
        for (index, pair) in self.accumulations.iter().enumerate() {
            let error = |rule| Err(ProblemError::BadAccumulation(index, rule));
            let count = self.operator_count();
            if pair.producer >= count || pair.consumer >= count || pair.producer == pair.consumer {
                return error("producer and consumer must be two operators");
            }
            if let Some(rule) = self.broken(&written, pair.consumer, &pair.maps, pair.saved_bytes) {
                return error(rule);
            }
            let misread = |map: &usize| {
                let map = &self.maps[*map];
                map.readers.contains(&pair.producer) || map.writer == Some(pair.producer)
            };
            if pair.maps.iter().any(misread) {
                return error("the producer must neither read nor write what it adds to");
            }
            let private = |map: &StoredMap| {
                !map.kept && map.readers.iter().all(|&reader| reader == pair.consumer)
            };
            let mut results = written[pair.producer].iter().map(|&map| &self.maps[map]);
            let read = results.clone().any(|map| map.readers.contains(&pair.consumer));
            if !read || !results.all(private) {
                return error(
                    "the consumer must read the results of the producer, and nobody else",
                );
            }
        }
        Ok(())
    }

    /// Returns the rule that is broken where `operator` writes over `maps`, if there is one.
    fn broken(
        &self,
        results: &[Vec<usize>],
        operator: usize,
        maps: &[usize],
        saved: i64,
    ) -> Option<&'static str> {
        if maps.iter().any(|&map| map >= self.maps.len()) {
            return Some("it names no map");
        }
        if maps.iter().any(|&map| !self.maps[map].readers.contains(&operator)) {
            return Some("an operator can write over nothing but maps that it reads");
        }
        let mut distinct = maps.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let room: i64 = distinct.iter().map(|&map| self.maps[map].size).sum();
        let written: i64 = results[operator].iter().map(|&map| self.maps[map].size).sum();
        let possible = 0 <= saved && saved <= room.min(written);
        (!possible).then_some("it cannot save more than the maps have room for or results fill")
    }
}
