//! What the search may do next: run an operator, with others that had better wait for it.
//!
//! An operator v that one other operator u alone waits for, and that never makes the stored bytes
//! fewer, may run right in front of u in any order: until then less is stored than if it had run.
//! Two things could stand against it. Its own load rises with what has been stored meanwhile: it
//! stays below the load of u, if what is gone behind v and was not written over is no more than u needs.
//! And another operator that wrote over a map no longer can, because v still has to read it: that
//! costs nothing if v would have stored as many bytes on top of what it freed.

use crate::bits::Bits;
use crate::instance::{Instance, Step};

/// Maps read by one operator up to which all combinations of their deaths are looked at.
const MOST_MORTAL: usize = 8;

/// Steps that are taken together.
#[derive(Debug)]
pub struct Move {
    /// The operator that runs last.
    pub last: usize,
    pub steps: Vec<Step>,
    /// Operators that must have run.
    pub needs: Bits,
}

/// All moves of one instance. A move is known by its last operator or, for a pair, its producer.
#[derive(Debug)]
pub struct Moves {
    /// For each operator, the move that ends with it; none where it waits for another.
    pub single: Vec<Option<Move>>,
    /// For each operator, the move that ends with it as the producer of a pair.
    pub pair: Vec<Option<Move>>,
    /// For each operator, the one that it runs in front of: itself if it does not wait.
    head: Vec<usize>,
}

impl Moves {
    /// Finds out which operators wait.
    pub fn new(instance: &Instance) -> Self {
        let count = instance.count();
        let head = heads(instance);
        let mut group = vec![Vec::new(); count];
        for &operator in &instance.graph.file_order {
            group[head[operator]].push(operator);
        }
        let single = |operator: usize| {
            let early = group[operator].split_last().map(|(_, early)| early.iter().copied());
            early.map(|early| Move::new(instance, early, Step::single(operator)))
        };
        let together = |producer: usize, consumer: usize| {
            let early = group[producer].iter().chain(&group[consumer]).copied();
            let early = early.filter(|&o| o != producer && o != consumer);
            Move::new(instance, early, Step { first: producer, second: Some(consumer) })
        };
        let pair = |producer: usize| {
            let pair = instance.pairs[producer].first(); // the others have the same consumer
            pair.map(|pair| together(producer, pair.consumer))
        };
        Self {
            single: (0..count).map(single).collect(),
            pair: (0..count).map(pair).collect(),
            head,
        }
    }

    /// Yields the moves that may have become possible because an operator has run.
    pub fn behind<'a>(
        &'a self,
        instance: &'a Instance,
        operator: usize,
        done: &'a Bits,
    ) -> impl Iterator<Item = usize> + 'a {
        let heads = instance.graph.successors[operator].iter().map(|&next| self.head[next]);
        heads.filter(|&head| !done.contains(head) && self.is_ready(head, done))
    }

    /// Tells whether the move that ends with an operator is possible.
    pub fn is_ready(&self, operator: usize, done: &Bits) -> bool {
        self.single[operator].as_ref().is_some_and(|own| own.needs.is_subset(done))
    }
}

impl Move {
    fn new(instance: &Instance, early: impl Iterator<Item = usize>, end: Step) -> Self {
        let steps: Vec<Step> = early.map(Step::single).chain([end]).collect();
        let mut needs = instance.none_done();
        let operators = || steps.iter().flat_map(|step| step.operators());
        operators().for_each(|operator| needs.unite(&instance.graph.predecessors[operator]));
        operators().for_each(|operator| needs.remove(operator));
        Self { last: end.second.unwrap_or(end.first), steps, needs }
    }
}

/// Returns for each operator the one that it runs in front of.
fn heads(instance: &Instance) -> Vec<usize> {
    let mut consumes = vec![false; instance.count()];
    for pair in instance.pairs.iter().flatten() {
        consumes[pair.consumer] = true;
    }
    let mut head: Vec<usize> = (0..instance.count()).collect();
    for &operator in instance.graph.file_order.iter().rev() {
        if !consumes[operator] && can_wait(instance, operator) {
            head[operator] = head[instance.graph.successors[operator][0]];
        }
    }
    head
}

/// Tells whether an operator may always run right in front of the only one that waits for it.
fn can_wait(instance: &Instance, operator: usize) -> bool {
    let [next] = instance.graph.successors[operator][..] else {
        return false;
    };
    let mortal = &instance.mortal[operator];
    if !instance.pairs[operator].is_empty() || mortal.len() > MOST_MORTAL {
        return false;
    }
    let freed: i64 = mortal.iter().map(|&map| instance.maps[map].size).sum();
    if instance.staying[operator] < freed || hurts(instance, operator) {
        return false;
    }
    most_left(instance, operator) <= least_room(instance, next)
}

/// Tells whether another operator may lose more than is gained while this one waits.
fn hurts(instance: &Instance, operator: usize) -> bool {
    let behind = &instance.graph.descendants[operator]; // they wait for it in any case
    let free = |other: &usize| !behind.contains(*other);
    let free_pairs = instance.pairs.iter().enumerate().filter(|(producer, _)| free(producer));
    let mut pairs = free_pairs.flat_map(|(_, pairs)| pairs).filter(|pair| free(&pair.consumer));
    if pairs.any(|pair| pair.readers.contains(operator)) {
        return true;
    }
    let free_savings = instance.savings.iter().enumerate().filter(|(other, _)| free(other));
    let savings = free_savings.flat_map(|(_, savings)| savings);
    let lost = savings.filter(|saving| saving.needs.contains(operator)).map(|saving| saving.bytes);
    let free_releases =
        (0..instance.count()).filter(|other| instance.releases[*other] && free(other));
    let kept_alive = free_releases.map(|other| {
        let maps = instance.mortal[other].iter().map(|&map| &instance.maps[map]);
        maps.filter(|map| map.readers.contains(operator)).map(|map| map.size).sum()
    });
    // At least one of the maps that it reads is still read by the other, so does not die here.
    let sizes = instance.mortal[operator].iter().map(|&map| instance.maps[map].size);
    let freed = sizes.clone().sum::<i64>() - sizes.min().unwrap_or(0);
    lost.chain(kept_alive).max().is_some_and(|lost| lost > instance.staying[operator] - freed)
}

/// Returns the most bytes by which the load of the operator exceeds what is stored behind it.
fn most_left(instance: &Instance, operator: usize) -> i64 {
    let mortal = &instance.mortal[operator];
    let brief = instance.written[operator] - instance.staying[operator];
    if instance.releases[operator] {
        return brief;
    }
    let left = |alive: usize| {
        // The maps whose bits are set have other readers that have not run.
        let lives = |index: usize| alive >> index & 1 == 1;
        let dead = mortal.iter().enumerate().filter(|(index, _)| !lives(*index));
        let freed: i64 = dead.map(|(_, &map)| instance.maps[map].size).sum();
        let possible = |needs: &Bits| {
            mortal.iter().enumerate().all(|(index, &map)| {
                !lives(index) || !shares_reader(instance, map, operator, needs)
            })
        };
        let savings = instance.savings[operator].iter();
        let saved = savings.filter(|saving| possible(&saving.needs)).map(|saving| saving.bytes);
        brief + freed - saved.max().unwrap_or(0)
    };
    (0..1 << mortal.len()).map(left).max().unwrap_or(0)
}

/// Tells whether a saving with these needs may be out of reach while others read the map.
fn shares_reader(instance: &Instance, map: usize, operator: usize, needs: &Bits) -> bool {
    instance.maps[map].readers.iter().any(|reader| reader != operator && needs.contains(reader))
}

/// Returns the least room that an operator needs, alone or as a consumer or producer.
fn least_room(instance: &Instance, operator: usize) -> i64 {
    if instance.releases[operator] {
        let freed: i64 = instance.mortal[operator].iter().map(|&map| instance.maps[map].size).sum();
        return instance.written[operator] - freed;
    }
    let saved = instance.savings[operator].first().map_or(0, |saving| saving.bytes);
    let single = instance.written[operator] - saved;
    let own = instance.pairs[operator].iter();
    let others = instance.pairs.iter().flatten().filter(|pair| pair.consumer == operator);
    let pairs = own.chain(others).map(|pair| instance.written[pair.consumer] - pair.bytes);
    pairs.fold(single, i64::min)
}
