//! Exact search: is there a plan that needs at most so many bytes?
//!
//! The state is a skyline: the height of each section is where the next buffer in it may start.
//! A node asks one question about one section of a valley floor: which buffer lies on the floor
//! here? Either one of those that fit between the walls, or none; then the floor rises to the next
//! height at which something can lie, and the bytes in between are lost. The answers exclude each
//! other, so no plan is met twice, and the question may be asked wherever it has fewest answers.
//!
//! Three ideas are from Moffitt, "`MiniMalloc`" (ASPLOS 2023): floors rise to where the lowest
//! unplaced buffer can start (section inference); a plan in which a buffer could drop into a hole
//! below is dominated; and parts of time that no unplaced buffer connects are searched one by one.

mod choose;
mod keys;
mod propagate;
mod state;
mod strategy;
mod table;

use std::ops::ControlFlow;

use crate::instance::Instance;
use state::State;
pub use strategy::Strategy;
use table::Table;

/// Section height where no buffer is left to place.
const NEVER: i64 = i64::MAX / 4;

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Offsets within the capacity, by item.
    Solved(Vec<i64>),
    /// There is no such plan.
    Exhausted,
    /// The budget is spent, or the watcher said stop.
    Stopped,
}

/// How the search of one subtree ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subtree {
    Solved,
    Exhausted,
    Stopped,
}

/// The unplaced items between two sections that no unplaced item crosses.
#[derive(Clone, Copy)]
struct Part {
    /// Its first unplaced item.
    head: u32,
    /// The section after its last.
    end: u32,
    /// Makes the key of the whole state that of this part alone.
    key: u128,
}

/// Searches for a plan within `capacity` bytes, spending at most `budget` nodes.
///
/// `watch` is asked now and then whether to go on.
pub fn search(
    instance: &Instance,
    capacity: i64,
    strategy: &Strategy,
    budget: u64,
    watch: &dyn Fn() -> ControlFlow<()>,
) -> Outcome {
    if capacity < instance.lower_bound {
        return Outcome::Exhausted;
    }
    let mut search = Search {
        state: State::new(instance, capacity),
        strategy,
        rank: strategy.ranks(instance),
        scores: choose::Scores::new(instance.load.len()),
        table: Table::with_room_for(budget),
        choices: Vec::new(),
        nodes: 0,
        budget,
        watch,
    };
    match search.run() {
        Subtree::Solved => Outcome::Solved(search.state.offsets()),
        Subtree::Exhausted => Outcome::Exhausted,
        Subtree::Stopped => Outcome::Stopped,
    }
}

struct Search<'a> {
    state: State<'a>,
    strategy: &'a Strategy,
    /// Position of each item in the order in which buffers are tried.
    rank: Vec<u32>,
    scores: choose::Scores,
    table: Table,
    /// Stack of the buffers to try, of all nodes on the path.
    choices: Vec<u32>,
    nodes: u64,
    budget: u64,
    watch: &'a dyn Fn() -> ControlFlow<()>,
}

impl Search<'_> {
    fn run(&mut self) -> Subtree {
        let Some(head) = self.state.first_unplaced() else {
            return Subtree::Solved;
        };
        let end = u32::try_from(self.state.height.len()).unwrap_or(u32::MAX);
        if !self.state.propagate(head, end) {
            return Subtree::Exhausted;
        }
        self.split(head, end)
    }

    /// Solves the parts that no unplaced item connects, small ones first.
    fn split(&mut self, head: u32, end: u32) -> Subtree {
        let mut parts = self.state.parts(head, end);
        parts.sort_by_key(|&(_, items)| items);
        let mark = self.state.mark();
        for (part, _) in parts {
            let found = self.solve(part);
            if found != Subtree::Solved {
                self.state.undo(mark);
                return found;
            }
        }
        Subtree::Solved
    }

    /// Solves one part whose consequences are propagated; undoes everything unless solved.
    fn solve(&mut self, part: Part) -> Subtree {
        self.nodes += 1;
        if self.nodes > self.budget || (self.nodes.is_multiple_of(64) && (self.watch)().is_break())
        {
            return Subtree::Stopped;
        }
        let key = part.key ^ self.state.key;
        if self.table.contains(key) {
            return Subtree::Exhausted;
        }
        let Some(question) = self.choose(part) else {
            self.table.insert(key);
            return Subtree::Exhausted;
        };
        let start = self.choices.len();
        self.push_choices(question.section);
        let found = self.branch(part, question, start);
        self.choices.truncate(start);
        if found == Subtree::Exhausted {
            self.table.insert(key);
        }
        found
    }

    /// Tries every answer to the question.
    fn branch(&mut self, part: Part, question: choose::Question, start: usize) -> Subtree {
        let mark = self.state.mark();
        for index in start..self.choices.len() {
            let item = self.choices[index];
            let head = if item == part.head {
                self.state.unplaced(item, part.end).nth(1)
            } else {
                Some(part.head)
            };
            let splits = self.state.place(item);
            let found =
                self.descend(Part { head: head.unwrap_or(item), ..part }, head.is_none(), splits);
            if found != Subtree::Exhausted {
                return found;
            }
            self.state.undo(mark);
        }
        if !question.raisable {
            return Subtree::Exhausted;
        }
        let Some(level) = self.state.level_without(part, question.section) else {
            return Subtree::Exhausted;
        };
        self.state.raise(question.section, level);
        let found = self.descend(part, false, false);
        if found == Subtree::Exhausted {
            self.state.undo(mark);
        }
        found
    }

    fn descend(&mut self, part: Part, empty: bool, splits: bool) -> Subtree {
        if empty {
            return Subtree::Solved;
        }
        if !self.state.propagate(part.head, part.end) {
            return Subtree::Exhausted;
        }
        if splits { self.split(part.head, part.end) } else { self.solve(part) }
    }
}
