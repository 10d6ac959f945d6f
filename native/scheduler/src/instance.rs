//! A problem in the form that the search works on: what each operator adds, frees and may save.

use crate::bits::Bits;
use crate::graph::Graph;
use crate::problem::{OrderProblem, ProblemError};

/// An operator, or two that run as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The operator that runs, or whose result is added straight into another map.
    pub first: usize,
    /// The operator that adds.
    pub second: Option<usize>,
}

impl Step {
    /// Returns the step of one operator.
    #[must_use]
    pub const fn single(operator: usize) -> Self {
        Self { first: operator, second: None }
    }

    /// Yields the operators.
    pub fn operators(self) -> impl Iterator<Item = usize> {
        std::iter::once(self.first).chain(self.second)
    }
}

/// Bytes that need no new room where these operators, and no others needed, have run.
#[derive(Debug)]
pub struct Saving {
    /// Other readers of the maps that are written over.
    pub needs: Bits,
    /// Bytes.
    pub bytes: i64,
}

/// A producer that may add its result straight into a map that dies at the consumer.
#[derive(Debug)]
pub struct Pair {
    /// The operator that adds.
    pub consumer: usize,
    /// Other readers of the maps that are added to.
    pub readers: Bits,
    /// Whatever must have run before the pair, these readers included.
    pub needs: Bits,
    /// Bytes of the consumer's results that need no new room.
    pub bytes: i64,
}

/// A map as the search sees it.
#[derive(Debug)]
pub struct Map {
    pub size: i64,
    pub writer: Option<usize>,
    pub readers: Bits,
    pub kept: bool,
}

/// A problem whose operators can be ordered.
#[derive(Debug)]
pub struct Instance {
    pub graph: Graph,
    /// Maps that somebody reads or that are kept.
    pub maps: Vec<Map>,
    /// Bytes that an operator writes.
    pub written: Vec<i64>,
    /// Bytes of them that stay when the operator is done.
    pub staying: Vec<i64>,
    /// Maps that die when the operator is the last reader.
    pub mortal: Vec<Vec<usize>>,
    /// What an operator may save, greatest first.
    pub savings: Vec<Vec<Saving>>,
    /// The pairs of which an operator is the producer.
    pub pairs: Vec<Vec<Pair>>,
    /// The operator is the producer of a pair that can save what nothing else saves.
    pub clings: Vec<bool>,
    /// The operator has given up the maps that die at it when it writes.
    pub releases: Vec<bool>,
    /// Bytes stored before the first step.
    pub stored: i64,
    /// Bytes of inputs that nobody reads: they are gone when the first step begins.
    pub unread: i64,
}

impl Instance {
    /// Prepares a problem that has passed its checks.
    pub fn new(problem: &OrderProblem) -> Result<Self, ProblemError> {
        let graph = Graph::new(&problem.all_predecessors()).map_err(ProblemError::Cycle)?;
        let count = problem.operator_count();
        let mut instance = Self {
            graph,
            maps: Vec::new(),
            written: vec![0; count],
            staying: vec![0; count],
            mortal: vec![Vec::new(); count],
            savings: (0..count).map(|_| Vec::new()).collect(),
            pairs: (0..count).map(|_| Vec::new()).collect(),
            clings: vec![false; count],
            releases: vec![false; count],
            stored: 0,
            unread: 0,
        };
        problem.releasing.iter().for_each(|&operator| instance.releases[operator] = true);
        instance.add_maps(problem);
        instance.add_overwrites(problem);
        instance.add_accumulations(problem);
        Ok(instance)
    }

    fn add_maps(&mut self, problem: &OrderProblem) {
        for map in &problem.maps {
            let stays = map.kept || !map.readers.is_empty();
            match map.writer {
                Some(writer) => {
                    self.written[writer] += map.size;
                    self.staying[writer] += if stays { map.size } else { 0 };
                }
                None if stays => self.stored += map.size,
                None => self.unread += map.size,
            }
            let readers = Bits::of(self.count(), map.readers.iter().copied());
            if !map.kept {
                readers.iter().for_each(|reader| self.mortal[reader].push(self.maps.len()));
            }
            if stays {
                let (size, writer, kept) = (map.size, map.writer, map.kept);
                self.maps.push(Map { size, writer, readers, kept });
            }
        }
    }

    fn add_overwrites(&mut self, problem: &OrderProblem) {
        for overwrite in &problem.overwrites {
            let operator = overwrite.operator;
            let Some(needs) = self.other_readers(problem, &overwrite.maps, operator) else {
                continue;
            };
            if !needs.intersects(&self.graph.descendants[operator]) {
                self.savings[operator].push(Saving { needs, bytes: overwrite.saved_bytes });
            }
        }
        for savings in &mut self.savings {
            savings.sort_by_key(|saving| -saving.bytes);
        }
    }

    fn add_accumulations(&mut self, problem: &OrderProblem) {
        for pair in &problem.accumulations {
            let consumer = pair.consumer;
            let Some(readers) = self.other_readers(problem, &pair.maps, consumer) else {
                continue;
            };
            let as_good = |saving: &Saving| {
                saving.bytes >= pair.saved_bytes && saving.needs.is_subset(&readers)
            };
            let covered = self.savings[consumer].iter().any(as_good);
            let mut needs = readers.clone();
            needs.unite(&self.graph.predecessors[consumer]);
            needs.remove(pair.producer);
            needs.unite(&self.graph.predecessors[pair.producer]);
            if !needs.intersects(&self.graph.descendants[pair.producer]) {
                self.clings[pair.producer] |= !covered;
                let bytes = pair.saved_bytes;
                self.pairs[pair.producer].push(Pair { consumer, readers, needs, bytes });
            }
        }
    }

    /// Returns who else reads the maps; none if one of them never dies.
    fn other_readers(&self, problem: &OrderProblem, maps: &[usize], reader: usize) -> Option<Bits> {
        let mut others = Bits::new(self.count());
        for &map in maps {
            if problem.maps[map].kept {
                return None;
            }
            problem.maps[map].readers.iter().for_each(|&other| others.insert(other));
        }
        others.remove(reader);
        Some(others)
    }

    /// Returns the number of operators.
    pub fn count(&self) -> usize {
        self.written.len()
    }

    /// Returns the set of no operators.
    pub fn none_done(&self) -> Bits {
        Bits::new(self.count())
    }

    /// Returns by how much the stored bytes change when `operator` runs; `done` must hold it.
    pub fn change(&self, operator: usize, done: &Bits) -> i64 {
        self.staying[operator] - self.freed(operator, done)
    }

    /// Returns the bytes of maps that are dead once `operator` has run; `done` must hold it.
    fn freed(&self, operator: usize, done: &Bits) -> i64 {
        let dead = |map: &&usize| self.maps[**map].readers.is_subset(done);
        self.mortal[operator].iter().filter(dead).map(|&map| self.maps[map].size).sum()
    }

    /// Returns bytes that an operator needs on top of what is stored when it runs after `done`.
    pub fn room(&self, operator: usize, done: &Bits) -> i64 {
        if self.releases[operator] {
            let mut with = done.clone();
            with.insert(operator);
            return self.written[operator] - self.freed(operator, &with);
        }
        let mut savings = self.savings[operator].iter();
        let saved = savings.find(|saving| saving.needs.is_subset(done)).map_or(0, |s| s.bytes);
        self.written[operator] - saved
    }

    /// Returns bytes that a step needs on top of what is stored when it runs after `done`; none for
    /// a pair that cannot run as one.
    pub fn step_room(&self, step: Step, done: &Bits) -> Option<i64> {
        let Some(second) = step.second else {
            return Some(self.room(step.first, done));
        };
        let possible = |pair: &&Pair| pair.consumer == second && pair.needs.is_subset(done);
        let pairs = self.pairs[step.first].iter().filter(possible);
        pairs.map(|pair| self.written[second] - pair.bytes).min()
    }
}
