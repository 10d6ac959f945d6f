//! A part of a problem as a problem of its own.

use crate::problem::{Accumulation, OrderProblem, Overwrite, StoredMap};

/// Returns the part of a problem between two places that all orders considered pass.
///
/// `order` names the operators between the places, which get their numbers from it; `place` says
/// where each operator of the problem stands.
pub fn restrict(problem: &OrderProblem, place: &[usize], order: &[usize]) -> OrderProblem {
    let everything = Contents {
        maps: (0..problem.maps.len()).collect(),
        overwrites: (0..problem.overwrites.len()).collect(),
        accumulations: (0..problem.accumulations.len()).collect(),
    };
    restrict_to(problem, place, order, &everything)
}

/// What may belong to a part, in rising order: positions in the problem.
#[derive(Debug, Default)]
pub struct Contents {
    pub maps: Vec<usize>,
    pub overwrites: Vec<usize>,
    pub accumulations: Vec<usize>,
}

/// Returns a part as `restrict` does, looking at nothing but what may belong to it.
pub fn restrict_to(
    problem: &OrderProblem,
    place: &[usize],
    order: &[usize],
    contents: &Contents,
) -> OrderProblem {
    let first = order.first().map_or(0, |&operator| place[operator]);
    let part = Part { place, first, end: first + order.len() };
    let predecessors = |&operator: &usize| part.numbers(&problem.predecessors[operator]);
    let shown = contents.maps.iter().filter(|&&index| part.shows(&problem.maps[index]));
    let shown: Vec<usize> = shown.copied().collect();
    let number_of_map =
        |map: &usize| shown.binary_search(map).expect("an operator writes over maps that it reads");
    let renumbered = |maps: &[usize]| maps.iter().map(number_of_map).collect();
    let overwrites = contents.overwrites.iter().map(|&index| &problem.overwrites[index]);
    let overwrites = overwrites.filter(|overwrite| part.holds(overwrite.operator));
    let pairs = contents.accumulations.iter().map(|&index| &problem.accumulations[index]);
    let pairs = pairs.filter(|pair| part.holds(pair.producer) && part.holds(pair.consumer));
    OrderProblem {
        predecessors: order.iter().map(predecessors).collect(),
        overwrites: overwrites
            .map(|overwrite| Overwrite {
                operator: part.number(overwrite.operator),
                maps: renumbered(&overwrite.maps),
                saved_bytes: overwrite.saved_bytes,
            })
            .collect(),
        accumulations: pairs
            .map(|pair| Accumulation {
                producer: part.number(pair.producer),
                consumer: part.number(pair.consumer),
                maps: renumbered(&pair.maps),
                saved_bytes: pair.saved_bytes,
            })
            .collect(),
        releasing: part.numbers(&problem.releasing),
        maps: shown.iter().map(|&index| part.map(&problem.maps[index])).collect(),
    }
}

/// The operators that stand between two places.
struct Part<'a> {
    place: &'a [usize],
    first: usize,
    end: usize,
}

impl Part<'_> {
    fn holds(&self, operator: usize) -> bool {
        (self.first..self.end).contains(&self.place[operator])
    }

    fn number(&self, operator: usize) -> usize {
        self.place[operator] - self.first
    }

    /// Returns the numbers of those operators that the part holds.
    fn numbers(&self, operators: &[usize]) -> Vec<usize> {
        let held = operators.iter().filter(|&&operator| self.holds(operator));
        held.map(|&operator| self.number(operator)).collect()
    }

    /// Tells whether a map is stored at any time in the part.
    fn shows(&self, map: &StoredMap) -> bool {
        match map.writer {
            Some(writer) if self.holds(writer) => true,
            Some(writer) if self.place[writer] >= self.end => false,
            None if map.readers.is_empty() && !map.kept => self.first == 0,
            _ => map.kept || map.readers.iter().any(|&reader| self.place[reader] >= self.first),
        }
    }

    fn map(&self, map: &StoredMap) -> StoredMap {
        StoredMap {
            size: map.size,
            writer: map.writer.filter(|&writer| self.holds(writer)).map(|w| self.number(w)),
            readers: self.numbers(&map.readers),
            kept: map.kept || map.readers.iter().any(|&reader| self.place[reader] >= self.end),
        }
    }
}
