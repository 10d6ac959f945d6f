//! Bytes that no order can avoid.

use condense_planner::Limits;

use crate::bits::Bits;
use crate::flow::Flow;
use crate::instance::Instance;

/// Returns a lower bound of the peak: for each operator, the least load while it runs.
///
/// The other operators may stand wherever suits this one best, so the bound is exact for each
/// operator by itself. Operators that cannot raise `known`, itself a lower bound, are passed over.
pub fn lower_bound(instance: &Instance, known: i64, limits: &Limits<'_>) -> i64 {
    let mut flow = Flow::new(instance);
    let mut bound = known;
    let consumers = producers_by_consumer(instance);
    for operator in 0..instance.count() {
        if limits.interrupted().is_some() {
            break;
        }
        let mut ways = ways(instance, operator);
        for &producer in &consumers[operator] {
            ways.extend(pair_ways(instance, producer, Some(operator)));
        }
        let mut least = i64::MAX;
        for way in ways {
            let waiting = Bits::of(instance.count(), [way.waiting]);
            least = least.min(flow.least_alive(&way.done, &waiting) + way.room);
            if least <= bound {
                break;
            }
        }
        bound = bound.max(if least == i64::MAX { 0 } else { least });
    }
    bound
}

/// One way to run an operator.
struct Way {
    /// What must have run.
    done: Bits,
    /// What must not.
    waiting: usize,
    /// Bytes needed on top of those stored.
    room: i64,
}

/// Returns the ways to run an operator, those first that are likely to need least.
fn ways(instance: &Instance, operator: usize) -> Vec<Way> {
    let before = &instance.graph.predecessors[operator];
    let written = instance.written[operator];
    let mut ways = pair_ways(instance, operator, None);
    for saving in &instance.savings[operator] {
        let mut done = before.clone();
        done.unite(&saving.needs);
        ways.push(Way { done, waiting: operator, room: written - saving.bytes });
    }
    ways.push(Way { done: before.clone(), waiting: operator, room: written });
    ways
}

/// Returns the ways to run an operator together with its consumer, or with just this one.
fn pair_ways(instance: &Instance, producer: usize, consumer: Option<usize>) -> Vec<Way> {
    let pairs = instance.pairs[producer].iter();
    pairs
        .filter(|pair| consumer.is_none_or(|consumer| pair.consumer == consumer))
        .map(|pair| Way {
            done: pair.needs.clone(),
            waiting: producer,
            room: instance.written[pair.consumer] - pair.bytes,
        })
        .collect()
}

fn producers_by_consumer(instance: &Instance) -> Vec<Vec<usize>> {
    let mut producers = vec![Vec::new(); instance.count()];
    for (producer, pairs) in instance.pairs.iter().enumerate() {
        pairs.iter().for_each(|pair| producers[pair.consumer].push(producer));
    }
    producers
}
