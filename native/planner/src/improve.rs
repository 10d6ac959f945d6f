//! Makes a plan smaller, round by round, each with twice the work of the one before.

use std::ops::ControlFlow;

use crate::climb::Climb;
use crate::first_fit::first_fit;
use crate::instance::Instance;
use crate::monitor::Limits;
use crate::order::ORDERS;
use crate::parallel::{first_success, map};
use crate::search::{Outcome, Strategy, search};
use crate::skyline::{VALUES, Value, fill_valleys};

/// Most that is begun without looking at the time, in looks at a buffer: a few seconds.
const MOST_WORK: u64 = 2_000_000_000;

/// Search strategies tried with each budget, climbs taken side by side: enough to keep cores
/// busy, and the same on every machine.
const STRATEGIES: u64 = 40;
const CLIMBS: u64 = 8;

/// Random rules to fill valleys by, tried once each.
const MORE_VALUES: u64 = 13;

/// Work of placing one buffer on the skyline, of comparing 32 pairs of buffers, in looks at one.
const FILL_COST: u64 = 50;

/// The search keeps a list of buffers for each section; beyond this sum it is too slow.
const SEARCHABLE: u64 = 2_000_000;

/// What is known about the arena of one instance.
pub struct Improver<'a> {
    instance: &'a Instance,
    limits: Limits<'a>,
    /// Any plan of so many bytes will do; none: as small as possible.
    capacity: Option<i64>,
    /// The best plan so far.
    pub offsets: Vec<i64>,
    /// Its arena.
    pub arena: i64,
    /// No arena can be smaller.
    pub bound: i64,
    /// Work done, in looks at a buffer.
    pub spent: u64,
    climbs: Vec<Climb>,
    round: u32,
}

impl<'a> Improver<'a> {
    /// Starts with the fastest of all answers.
    pub fn new(instance: &'a Instance, capacity: Option<i64>, limits: Limits<'a>) -> Self {
        let capacity = capacity.map(|bytes| bytes.div_euclid(instance.grain));
        let mut improver = Self {
            instance,
            limits,
            capacity,
            offsets: Vec::new(),
            arena: i64::MAX,
            bound: instance.lower_bound,
            spent: 0,
            climbs: Vec::new(),
            round: 0,
        };
        let never = || false;
        let first = fill_valleys(instance, &VALUES[0].of_all(instance), &never);
        improver.offer(first.unwrap_or_default());
        improver.spent += improver.fill_cost();
        improver
    }

    /// Tells whether the question is answered, by a plan or by a proof that there is none.
    pub fn finished(&self) -> bool {
        self.arena <= self.goal() || self.goal() < self.bound
    }

    /// Returns the arena that would answer the question.
    fn goal(&self) -> i64 {
        self.capacity.unwrap_or(self.bound)
    }

    /// Tries the other fast rules, as far as the limits allow.
    pub fn start(&mut self) {
        let instance = self.instance;
        let limits = self.limits;
        let more: Vec<Value> = (0..MORE_VALUES).map(Value::numbered).collect();
        for values in [&VALUES[1..], &more] {
            if !self.finished() && self.affords(values.len() as u64 * self.fill_cost()) {
                let stop = || limits.interrupted().is_some();
                let fill = |value: &Value| fill_valleys(instance, &value.of_all(instance), &stop);
                let plans = map(values, fill);
                plans.into_iter().flatten().for_each(|offsets| self.offer(offsets));
            }
        }
        let items = instance.items.len() as u64;
        if !self.finished() && self.affords(ORDERS.len() as u64 * (items * items / 32)) {
            let plans = map(&ORDERS, |order| first_fit(instance, &order.sorted(instance), &limits));
            plans.into_iter().flatten().for_each(|offsets| self.offer(offsets));
        }
    }

    /// Spends the work of as many of so many steps as the limits allow; returns how many.
    fn afford(&mut self, steps: u64, work: u64) -> u64 {
        let left = self.limits.effort.saturating_sub(self.spent);
        let steps = steps.min(left / work.max(1));
        self.spent = self.spent.saturating_add(steps * work);
        steps
    }

    /// Spends the work, if that leaves half of the effort for better ideas, and if it is over in
    /// seconds: a time limit is not looked at in between.
    fn affords(&mut self, work: u64) -> bool {
        let affordable = self.spent.saturating_add(work) <= self.limits.effort / 2
            && work <= MOST_WORK
            && self.limits.interrupted().is_none();
        if affordable {
            self.spent += work;
        }
        affordable
    }

    /// Searches and climbs once more, with twice the work of the round before.
    pub fn next_round(&mut self) {
        let searchable = self.instance.sections_of_items() <= SEARCHABLE;
        let spent = self.spent;
        let mut hopeless = self.bound - 1;
        if searchable {
            hopeless = self.attempt(self.goal()).unwrap_or(hopeless);
        }
        if !self.done() {
            self.climb();
        }
        if searchable && self.capacity.is_none() && !self.done() {
            // Small trees can be searched to the end: then this is the proof.
            self.attempt(self.arena - 1);
        }
        while searchable && self.capacity.is_none() && !self.done() {
            hopeless = hopeless.max(self.bound - 1);
            let proved = hopeless < self.bound;
            if !proved && self.arena - hopeless <= self.arena / 1000 + 1 {
                break;
            }
            let target = hopeless + (self.arena - hopeless) / 2;
            hopeless = self.attempt(target).unwrap_or(hopeless);
        }
        if self.spent == spent {
            self.spent = u64::MAX; // what is left of the effort is too little for anything
        }
        self.round = (self.round + 1).min(30);
    }

    fn done(&self) -> bool {
        self.finished() || self.limits.reached(self.spent).is_some()
    }

    fn offer(&mut self, offsets: Vec<i64>) {
        let arena = self.instance.arena(&offsets);
        if arena < self.arena {
            self.arena = arena;
            self.offsets = offsets;
            self.limits.monitor.report(arena * self.instance.grain);
        }
    }

    const fn fill_cost(&self) -> u64 {
        FILL_COST * self.instance.items.len() as u64
    }

    fn climb(&mut self) {
        let (instance, limits, goal) = (self.instance, self.limits, self.goal());
        if self.climbs.is_empty() {
            self.climbs = (0..CLIMBS).map(|number| Climb::numbered(instance, number)).collect();
        }
        let steps = self.afford(8 << self.round.min(10), CLIMBS * self.fill_cost());
        self.climbs = map(&self.climbs, |climb| {
            let mut climb = climb.clone();
            climb.advance(instance, steps, goal, &limits);
            climb
        });
        let best = self.climbs.iter().min_by_key(|climb| climb.arena);
        if let Some(offsets) = best.map(|climb| climb.offsets.clone()).filter(|o| !o.is_empty()) {
            self.offer(offsets);
        }
    }

    /// Searches for a plan within `target` bytes; returns the target where that seems hopeless.
    ///
    /// A plan is found after hardly more nodes than there are buffers, or hardly ever: many short
    /// searches beat a long one.
    fn attempt(&mut self, target: i64) -> Option<i64> {
        let (instance, limits) = (self.instance, self.limits);
        let items = instance.items.len() as u64;
        let budget = (items * 3 / 2 + 64) << self.round;
        let node_cost = items + instance.sections_of_items() / 8;
        let jobs = self.afford(STRATEGIES, budget.saturating_mul(node_cost));
        let first = usize::try_from(u64::from(self.round) * STRATEGIES).unwrap_or(0);
        let outcome = first_success(usize::try_from(jobs).unwrap_or(0), |job, wanted| {
            let watch = || {
                let go_on = wanted() && limits.interrupted().is_none();
                if go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            let strategy = Strategy::numbered(first + job);
            let outcome = search(instance, target, &strategy, budget, &watch);
            (outcome != Outcome::Stopped).then_some(outcome)
        });
        match outcome {
            Some(Outcome::Solved(offsets)) => self.offer(offsets),
            Some(Outcome::Exhausted) => {
                self.bound = target + 1;
            }
            _ => return Some(target),
        }
        None
    }
}
