//! Cutting a problem where all operators in front precede all behind, in time that is nearly linear
//! in its size: what is solved by itself is small, the whole need not be.
//!
//! Of the operators in front of a place, call those last that name no successor in front; of those
//! behind, those first that name no predecessor behind. All in front precede all behind if and only
//! if each last operator is a predecessor of each first one: a path from one to the other has no
//! operator in between. So it suffices to count last operators, first operators, and the
//! predecessors among them, all of which change at the ends of ranges of places.

use crate::problem::OrderProblem;
use crate::restriction::{Contents, restrict_to};

/// Returns the numbers of operators in front of the places where all in front precede all behind,
/// for operators numbered in an order in which they can run. No place is between the operators of a
/// pair that might run as one.
pub fn series_cuts(problem: &OrderProblem) -> Vec<usize> {
    let count = problem.operator_count();
    let predecessors = problem.all_predecessors();
    let mut next = vec![count; count]; // first successor
    for (operator, list) in predecessors.iter().enumerate() {
        for &before in list {
            next[before] = next[before].min(operator);
        }
    }
    let mut last = Changes::new(count);
    let mut first = Changes::new(count);
    let mut edges = Changes::new(count);
    let mut pairs = Changes::new(count);
    for (operator, list) in predecessors.iter().enumerate() {
        let latest = list.last().map_or(0, |&before| before + 1);
        last.add(operator + 1, next[operator] + 1);
        first.add(latest, operator + 1);
        for &before in list {
            edges.add(latest, next[before] + 1);
        }
    }
    for pair in &problem.accumulations {
        pairs.add(pair.producer + 1, pair.consumer + 1);
    }
    let counts = last.sums().zip(first.sums()).zip(edges.sums()).zip(pairs.sums());
    let series = |(((last, first), edges), pairs)| last * first == edges && pairs == 0;
    let places =
        counts.enumerate().filter(|&(place, all)| 0 < place && place < count && series(all));
    places.map(|(place, _)| place).collect()
}

/// Returns the parts of a problem between the places, each as a problem of its own.
pub fn parts(problem: &OrderProblem, ranges: &[(usize, usize)]) -> Vec<OrderProblem> {
    let mut part_of = vec![0; problem.operator_count()];
    for (part, &(start, end)) in ranges.iter().enumerate() {
        part_of[start..end].fill(part);
    }
    let mut contents: Vec<Contents> = ranges.iter().map(|_| Contents::default()).collect();
    for (index, map) in problem.maps.iter().enumerate() {
        let start = map.writer.map_or(0, |writer| part_of[writer]);
        let end = map.readers.iter().map(|&reader| part_of[reader]).max().unwrap_or(start);
        let end = if map.kept { ranges.len() - 1 } else { end.max(start) };
        contents[start..=end].iter_mut().for_each(|part| part.maps.push(index));
    }
    for (index, overwrite) in problem.overwrites.iter().enumerate() {
        contents[part_of[overwrite.operator]].overwrites.push(index);
    }
    for (index, pair) in problem.accumulations.iter().enumerate() {
        if part_of[pair.producer] == part_of[pair.consumer] {
            contents[part_of[pair.producer]].accumulations.push(index);
        }
    }
    let identity: Vec<usize> = (0..problem.operator_count()).collect();
    let part = |(&(start, end), contents): (&(usize, usize), &Contents)| {
        restrict_to(problem, &identity, &identity[start..end], contents)
    };
    ranges.iter().zip(&contents).map(part).collect()
}

/// A number for each place, given by where it changes.
struct Changes(Vec<i64>);

impl Changes {
    fn new(count: usize) -> Self {
        Self(vec![0; count + 2])
    }

    /// Adds one at the places from `start` up to `end`, which is not among them; there may be none.
    fn add(&mut self, start: usize, end: usize) {
        if start < end {
            self.0[start] += 1;
            self.0[end] -= 1;
        }
    }

    fn sums(&self) -> impl Iterator<Item = i64> + '_ {
        self.0.iter().scan(0, |sum, change| {
            *sum += change;
            Some(*sum)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::StoredMap;

    fn chain(predecessors: Vec<Vec<usize>>) -> OrderProblem {
        OrderProblem { predecessors, ..OrderProblem::default() }
    }

    #[test]
    fn a_chain_is_cut_everywhere() {
        let problem = chain(vec![vec![], vec![0], vec![1], vec![2]]);
        assert_eq!(series_cuts(&problem), [1, 2, 3]);
    }

    #[test]
    fn branches_are_cut_around_and_not_within() {
        // 0 forks to 1 and 2, which 3 joins; 4 and 5 both need 3 alone.
        let problem = chain(vec![vec![], vec![0], vec![0], vec![1, 2], vec![3], vec![3]]);
        assert_eq!(series_cuts(&problem), [1, 3, 4]);
    }

    #[test]
    fn an_edge_past_the_place_hides_nothing() {
        let problem = chain(vec![vec![], vec![0], vec![0, 1], vec![]]);
        assert_eq!(series_cuts(&problem), []);
        let problem = chain(vec![vec![], vec![0], vec![0, 1], vec![2]]);
        assert_eq!(series_cuts(&problem), [1, 2, 3]);
    }

    #[test]
    fn a_map_is_shown_in_every_part_that_it_lives_through() {
        let mut problem = chain(vec![vec![], vec![0], vec![1]]);
        problem.maps.push(StoredMap { size: 5, writer: Some(0), readers: vec![2], kept: false });
        let parts = parts(&problem, &[(0, 1), (1, 2), (2, 3)]);
        let shown: Vec<usize> = parts.iter().map(|part| part.maps.len()).collect();
        assert_eq!(shown, [1, 1, 1]);
        assert!(parts[1].maps[0].kept && !parts[2].maps[0].kept);
    }
}
