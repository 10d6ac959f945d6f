//! The first answers: fast orders and rules, the best result kept.

use crate::first_fit::first_fit;
use crate::instance::Instance;
use crate::monitor::Limits;
use crate::order::ORDERS;
use crate::skyline::{VALUES, fill_valleys};

/// Up to this many buffers, algorithms that compare all pairs are fast enough.
const PAIRS: usize = 100_000;

/// Returns the best plan of all fast algorithms, or the first one within `goal` bytes.
pub fn first_plan(instance: &Instance, goal: i64, limits: &Limits<'_>) -> Vec<i64> {
    let mut best: Option<(i64, Vec<i64>)> = None;
    let fast = VALUES.map(|value| Box::new(move || fill_valleys(instance, value)) as Attempt<'_>);
    let thorough = ORDERS
        .map(|order| Box::new(move || first_fit(instance, &order.sorted(instance))) as Attempt<'_>);
    let affordable = if instance.items.len() <= PAIRS { thorough.len() } else { 0 };
    for attempt in fast.into_iter().chain(thorough.into_iter().take(affordable)) {
        let offsets = attempt();
        let arena = instance.arena(&offsets);
        if best.as_ref().is_none_or(|(smallest, _)| arena < *smallest) {
            limits.monitor.report(arena);
            best = Some((arena, offsets));
        }
        let found = best.as_ref().is_some_and(|(smallest, _)| *smallest <= goal);
        if found || limits.reached().is_some() {
            break;
        }
    }
    best.map_or_else(Vec::new, |(_, offsets)| offsets)
}

type Attempt<'a> = Box<dyn Fn() -> Vec<i64> + 'a>;
