//! From a problem to the best order that the request allows.

use std::time::{Duration, Instant};

use condense_planner::{Ending, Limits, Monitor};

use crate::graph::{allows, file_order};
use crate::instance::{Instance, Step};
use crate::narrowing::narrowings;
use crate::problem::{OrderProblem, ProblemError};
use crate::restriction::restrict;
use crate::segment::Segment;
use crate::series::{parts, series_cuts};

/// Sets of operators looked at without a time limit: a few seconds.
const EFFORT: usize = 2_000_000;

/// What the caller wants.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// An order to start from, and to keep where nothing is gained; none: as the operators are
    /// numbered.
    pub initial: Option<Vec<usize>>,
    /// Work until the question is answered or this time has passed; none: a fixed effort, which
    /// makes the answer the same on every machine.
    pub time_limit: Option<Duration>,
}

/// A sequence of operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What runs at each step.
    pub steps: Vec<Step>,
    /// The largest load of a step in bytes, or what is stored before the first if that is more.
    pub peak_bytes: i64,
    /// No order has a smaller peak, in bytes.
    pub lower_bound_bytes: i64,
    /// Sets of operators that the search looked at.
    pub states: usize,
    /// Why the search stopped.
    pub ending: Ending,
}

/// Finds the order with the smallest peak.
///
/// # Errors
///
/// Returns what makes the problem unusable.
pub fn find_order(
    problem: &OrderProblem,
    request: &Request,
    monitor: &Monitor,
) -> Result<Order, ProblemError> {
    problem.check()?;
    let deadline = request.time_limit.and_then(|limit| Instant::now().checked_add(limit));
    let limits = Limits { monitor, deadline, effort: u64::MAX };
    let predecessors = problem.all_predecessors();
    let numbered = file_order(&predecessors).map_err(ProblemError::Cycle)?;
    let order = match &request.initial {
        Some(initial) if allows(&predecessors, initial) => initial,
        Some(_) => return Err(ProblemError::BadInitial),
        None => &numbered,
    };
    let mut segments = split(problem, order, &limits)?;
    let (ending, states) = improve(&mut segments, &limits);
    let number = |step: &Step, first: usize| Step {
        first: order[first + step.first],
        second: step.second.map(|second| order[first + second]),
    };
    let steps = segments.iter().flat_map(|s| s.steps.iter().map(|step| number(step, s.first)));
    Ok(Order {
        steps: steps.collect(),
        peak_bytes: peak(&segments),
        lower_bound_bytes: floor(&segments),
        states,
        ending,
    })
}

/// Cuts the problem at its narrowings; there is at least one segment.
fn split(
    problem: &OrderProblem,
    order: &[usize],
    limits: &Limits<'_>,
) -> Result<Vec<Segment>, ProblemError> {
    let mut segments = Vec::new();
    let place = inverse(order);
    let whole = restrict(problem, &place, order);
    let series: Vec<_> = ranges(&series_cuts(&whole), order.len()).collect();
    for ((first, end), part) in series.iter().copied().zip(parts(&whole, &series)) {
        let identity: Vec<usize> = (0..end - first).collect();
        let cuts = narrowings(&Instance::new(&part)?, limits);
        for (inner, inner_end) in ranges(&cuts, end - first) {
            let piece = restrict(&part, &identity, &identity[inner..inner_end]);
            segments.push(Segment::new(&piece, first + inner)?);
        }
    }
    Ok(segments)
}

fn inverse(order: &[usize]) -> Vec<usize> {
    let mut place = vec![0; order.len()];
    for (index, &operator) in order.iter().enumerate() {
        place[operator] = index;
    }
    place
}

fn ranges(cuts: &[usize], end: usize) -> impl Iterator<Item = (usize, usize)> {
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    starts.zip(cuts.iter().copied().chain(std::iter::once(end)))
}

/// Works on the segment with the largest peak until nothing is left to gain or a limit is reached.
fn improve(segments: &mut [Segment], limits: &Limits<'_>) -> (Ending, usize) {
    let mut spent = 0;
    loop {
        let (peak, floor) = (peak(segments), floor(segments));
        limits.monitor.report(peak);
        if peak == floor {
            return (Ending::Proved, spent);
        }
        if let Some(ending) = limits.interrupted() {
            return (ending, spent);
        }
        let Some(widest) = segments.iter_mut().find(|segment| segment.upper == peak) else {
            unreachable!("the peak of all segments is the peak of one");
        };
        let effort = if limits.deadline.is_none() { EFFORT } else { usize::MAX };
        if widest.exhausted() || spent > effort {
            return (Ending::EffortSpent, spent);
        }
        spent += widest.improve(floor, effort - spent, limits);
    }
}

/// Returns the peak of all segments.
fn peak(segments: &[Segment]) -> i64 {
    segments.iter().map(|segment| segment.upper).max().unwrap_or(0)
}

/// Returns what the peak is at least.
fn floor(segments: &[Segment]) -> i64 {
    segments.iter().map(|segment| segment.lower).max().unwrap_or(0)
}
