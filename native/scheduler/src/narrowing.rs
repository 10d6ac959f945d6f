//! Where a problem falls apart into problems that can be solved one after the other.
//!
//! A set of operators that can run first is a *narrowing* if some best order runs exactly this set
//! first. Stored bytes are submodular in what has run: for two such sets A and B,
//! `alive(A ∪ B) + alive(A ∩ B) ≤ alive(A) + alive(B)`. Take any order and a set T. Run the
//! operators of T first, then the others, both in the given order: what has run at each step is
//! then A ∩ T or A ∪ T, where A is what had run at this step before. Neither stores more than A
//! did, if T stores no more than any A ∪ T and any A ∩ T that can occur. If A misses something
//! of T, it misses some last operator of T and whatever follows that, and so does A ∪ T; if A holds
//! something outside T, it holds some first operator outside T and whatever precedes that, and so
//! does A ∩ T. That leaves two minimum cuts for each such operator to check.

use condense_planner::Limits;

use crate::bits::Bits;
use crate::flow::Flow;
use crate::instance::Instance;

/// Returns the numbers of operators in front of all narrowings at which the stored bytes have a
/// local minimum, for operators numbered in the order in which they run.
pub fn narrowings(instance: &Instance, limits: &Limits<'_>) -> Vec<usize> {
    let count = instance.count();
    let mut flow = Flow::new(instance);
    let mut done = instance.none_done();
    let mut loads = vec![instance.stored];
    for operator in 0..count {
        done.insert(operator);
        loads.push(loads[operator] + instance.change(operator, &done));
    }
    let mut done = instance.none_done();
    let mut found = Vec::new();
    for place in 1..count {
        done.insert(place - 1);
        let minimum = loads[place] <= loads[place - 1] && loads[place] <= loads[place + 1];
        if flow.is_tired() || limits.interrupted().is_some() {
            break;
        }
        if minimum && is_narrowing(instance, &mut flow, &done, loads[place]) {
            found.push(place);
        }
    }
    found
}

fn is_narrowing(instance: &Instance, flow: &mut Flow, done: &Bits, alive: i64) -> bool {
    let graph = &instance.graph;
    let count = instance.count();
    if splits_pair(instance, done) || loses_saving(instance, done) {
        return false;
    }
    let waiting = Bits::of(count, (0..count).filter(|&operator| !done.contains(operator)));
    let last =
        |&operator: &usize| graph.successors[operator].iter().all(|&next| waiting.contains(next));
    let first = |&operator: &usize| graph.predecessors[operator].is_subset(done);
    done.iter().filter(last).all(|operator| {
        let behind = &graph.descendants[operator];
        waiting.is_subset(behind) || flow.least_alive(done, behind) >= alive
    }) && waiting.iter().filter(first).all(|operator| {
        let before = &graph.ancestors[operator];
        done.is_subset(before) || flow.least_alive(before, &waiting) >= alive
    })
}

/// Tells whether a producer has run and a consumer that could run with it has not.
fn splits_pair(instance: &Instance, done: &Bits) -> bool {
    done.iter()
        .any(|operator| instance.pairs[operator].iter().any(|pair| !done.contains(pair.consumer)))
}

/// Tells whether an operator of `done` can save bytes only behind one that is not.
fn loses_saving(instance: &Instance, done: &Bits) -> bool {
    done.iter().any(|operator| {
        instance.savings[operator].iter().any(|saving| !saving.needs.is_subset(done))
            || instance.pairs[operator].iter().any(|pair| !pair.needs.is_subset(done))
            || instance.releases[operator]
                && instance.mortal[operator]
                    .iter()
                    .any(|&map| !instance.maps[map].readers.is_subset(done))
    })
}
