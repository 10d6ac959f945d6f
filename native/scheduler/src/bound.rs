//! Bytes that no order can avoid.

use condense_planner::Limits;

use crate::bits::Bits;
use crate::flow::Flow;
use crate::instance::{Instance, Step};
use crate::replay::loads;

/// Returns a lower bound of the peak: for each operator, the least load while it runs.
///
/// The other operators may stand wherever suits this one best, so the bound is exact for each
/// operator by itself. `known` is a lower bound, too. The load of an operator in any order, such as
/// `steps`, is at least its bound: only operators with a greater load than what is proved already
/// are looked at.
pub fn lower_bound(instance: &Instance, steps: &[Step], known: i64, limits: &Limits<'_>) -> i64 {
    let mut flow = Flow::new(instance);
    let mut bound = known;
    let producers = producers_by_consumer(instance);
    for (load, operator) in by_load(instance, steps) {
        if load <= bound || flow.is_tired() {
            break;
        }
        if limits.interrupted().is_some() {
            break;
        }
        let mut ways = ways(instance, operator);
        for &producer in &producers[operator] {
            ways.extend(pair_ways(instance, producer, Some(operator)));
        }
        let mut least = i64::MAX;
        for way in ways {
            least = least.min(flow.least_alive(&way.done, &way.waiting) + way.room);
            if least <= bound {
                break;
            }
        }
        bound = bound.max(if least == i64::MAX { 0 } else { least });
    }
    bound
}

/// Returns all operators with their loads, the greatest first.
fn by_load(instance: &Instance, steps: &[Step]) -> Vec<(i64, usize)> {
    let loads = loads(instance, steps);
    let pairs = steps.iter().zip(loads);
    let mut found: Vec<(i64, usize)> =
        pairs.flat_map(|(step, load)| step.operators().map(move |o| (load, o))).collect();
    found.sort_by_key(|&(load, operator)| (-load, operator));
    found
}

/// One way to run an operator.
struct Way {
    /// What must have run.
    done: Bits,
    /// What must not.
    waiting: Bits,
    /// Bytes needed on top of those stored.
    room: i64,
}

/// Returns the ways to run an operator, those first that are likely to need least.
fn ways(instance: &Instance, operator: usize) -> Vec<Way> {
    let before = &instance.graph.predecessors[operator];
    let written = instance.written[operator];
    if instance.releases[operator] {
        // What is stored once it has run, and what it writes for nobody.
        let mut done = before.clone();
        done.insert(operator);
        let waiting = Bits::of(instance.count(), instance.graph.successors[operator].clone());
        return vec![Way { done, waiting, room: written - instance.staying[operator] }];
    }
    let waiting = Bits::of(instance.count(), [operator]);
    let mut ways = pair_ways(instance, operator, None);
    for saving in &instance.savings[operator] {
        let mut done = before.clone();
        done.unite(&saving.needs);
        ways.push(Way { done, waiting: waiting.clone(), room: written - saving.bytes });
    }
    ways.push(Way { done: before.clone(), waiting, room: written });
    ways
}

/// Returns the ways to run an operator together with its consumer, or with just this one.
fn pair_ways(instance: &Instance, producer: usize, consumer: Option<usize>) -> Vec<Way> {
    let pairs = instance.pairs[producer].iter();
    pairs
        .filter(|pair| consumer.is_none_or(|consumer| pair.consumer == consumer))
        .map(|pair| Way {
            done: pair.needs.clone(),
            waiting: Bits::of(instance.count(), [producer]),
            room: instance.written[pair.consumer] - pair.bytes,
        })
        .collect()
}

fn producers_by_consumer(instance: &Instance) -> Vec<Vec<usize>> {
    let mut producers = vec![Vec::new(); instance.count()];
    for (producer, pairs) in instance.pairs.iter().enumerate() {
        for pair in pairs {
            producers[pair.consumer].push(producer);
        }
    }
    producers
}
