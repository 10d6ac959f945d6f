//! Who runs before whom.

use crate::bits::Bits;

/// The order that the predecessors impose on the operators of one problem.
#[derive(Debug)]
pub struct Graph {
    /// For each operator, those that must have run.
    pub predecessors: Vec<Bits>,
    /// For each operator, those that name it as predecessor, in rising order.
    pub successors: Vec<Vec<usize>>,
    /// For each operator, all that run before it in every order.
    pub ancestors: Vec<Bits>,
    /// For each operator, all that run behind it in every order.
    pub descendants: Vec<Bits>,
    /// The order that takes the first operator that is ready at each step.
    pub file_order: Vec<usize>,
}

impl Graph {
    /// Returns the graph, or the operators that can never run because they wait for each other.
    pub fn new(predecessors: &[Vec<usize>]) -> Result<Self, Vec<usize>> {
        let count = predecessors.len();
        let successors = successors_of(predecessors);
        let order = first_ready(predecessors, &successors)?;
        let sets = predecessors.iter().map(|list| Bits::of(count, list.iter().copied())).collect();
        let ancestors = closure(&order, predecessors);
        let descendants = closure(order.iter().rev(), &successors);
        Ok(Self { predecessors: sets, successors, ancestors, descendants, file_order: order })
    }
}

/// Returns the order that takes the first operator that is ready at each step, or the operators that
/// can never run because they wait for each other.
pub fn file_order(predecessors: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    first_ready(predecessors, &successors_of(predecessors))
}

/// Tells whether the operators stand in an order that their predecessors allow, each once.
pub fn allows(predecessors: &[Vec<usize>], order: &[usize]) -> bool {
    let mut done = Bits::new(predecessors.len());
    for &operator in order {
        let known = operator < predecessors.len();
        if !known
            || done.contains(operator)
            || !predecessors[operator].iter().all(|&before| done.contains(before))
        {
            return false;
        }
        done.insert(operator);
    }
    order.len() == predecessors.len()
}

fn successors_of(predecessors: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut successors = vec![Vec::new(); predecessors.len()];
    for (operator, list) in predecessors.iter().enumerate() {
        for &before in list {
            successors[before].push(operator);
        }
    }
    successors
}

fn first_ready(
    predecessors: &[Vec<usize>],
    successors: &[Vec<usize>],
) -> Result<Vec<usize>, Vec<usize>> {
    let mut missing: Vec<usize> = predecessors.iter().map(Vec::len).collect();
    let mut ready: std::collections::BTreeSet<usize> =
        (0..missing.len()).filter(|&operator| missing[operator] == 0).collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some(operator) = ready.pop_first() {
        order.push(operator);
        for &next in &successors[operator] {
            missing[next] -= 1;
            if missing[next] == 0 {
                ready.insert(next);
            }
        }
    }
    if order.len() == missing.len() {
        return Ok(order);
    }
    Err((0..missing.len()).filter(|&operator| missing[operator] > 0).collect())
}

/// Returns everything reachable over `neighbours`; these come earlier in `order` than who has them.
fn closure<'a>(order: impl IntoIterator<Item = &'a usize>, neighbours: &[Vec<usize>]) -> Vec<Bits> {
    let mut reached = vec![Bits::new(neighbours.len()); neighbours.len()];
    for &operator in order {
        let mut own = Bits::new(neighbours.len());
        for &next in &neighbours[operator] {
            own.insert(next);
            own.unite(&reached[next]);
        }
        reached[operator] = own;
    }
    reached
}
