//! The least bytes that are stored at any moment before one operator and behind another.
//!
//! Which operators have run is a cut through a network of pipes: a map is a pipe from its writer
//! to its readers, as thick as the map is large, and it is cut where the writer has run and a
//! reader has not. So the least storage is a minimum cut, and a maximum flow finds it.

use std::collections::VecDeque;

use crate::bits::Bits;
use crate::instance::Instance;

const SOURCE: usize = 0;
const SINK: usize = 1;
const FIRST_OPERATOR: usize = 2;

/// A pipe that is never cut; sums of two stay far from overflow.
const UNCUT: i64 = 1 << 61;

#[derive(Clone, Debug)]
struct Pipe {
    to: usize,
    room: i64,
}

/// The network of pipes of one instance.
#[derive(Debug)]
pub struct Flow {
    /// Pipes and their reverses, which lie behind them.
    pipes: Vec<Pipe>,
    empty: Vec<i64>,
    leaving: Vec<Vec<usize>>,
    operators: usize,
    level: Vec<usize>,
    tried: Vec<usize>,
}

impl Flow {
    /// Lays the pipes.
    pub fn new(instance: &Instance) -> Self {
        let operators = instance.count();
        let nodes = FIRST_OPERATOR + operators + instance.maps.len();
        let mut flow = Self {
            pipes: Vec::new(),
            empty: Vec::new(),
            leaving: vec![Vec::new(); nodes],
            operators,
            level: vec![0; nodes],
            tried: vec![0; nodes],
        };
        for operator in 0..operators {
            flow.lay(SOURCE, FIRST_OPERATOR + operator, 0);
            flow.lay(FIRST_OPERATOR + operator, SINK, 0);
        }
        for (operator, before) in instance.graph.predecessors.iter().enumerate() {
            for other in before.iter() {
                flow.lay(FIRST_OPERATOR + operator, FIRST_OPERATOR + other, UNCUT);
            }
        }
        for (index, map) in instance.maps.iter().enumerate() {
            let node = FIRST_OPERATOR + operators + index;
            flow.lay(map.writer.map_or(SOURCE, |writer| FIRST_OPERATOR + writer), node, map.size);
            map.readers.iter().for_each(|reader| flow.lay(node, FIRST_OPERATOR + reader, UNCUT));
            if map.kept {
                flow.lay(node, SINK, UNCUT);
            }
        }
        flow.empty = flow.pipes.iter().map(|pipe| pipe.room).collect();
        flow
    }

    fn lay(&mut self, from: usize, to: usize, room: i64) {
        self.leaving[from].push(self.pipes.len());
        self.pipes.push(Pipe { to, room });
        self.leaving[to].push(self.pipes.len());
        self.pipes.push(Pipe { to: from, room: 0 });
    }

    /// Returns the least bytes stored whenever all of `done` and none of `waiting` have run.
    pub fn least_alive(&mut self, done: &Bits, waiting: &Bits) -> i64 {
        for (pipe, &room) in self.pipes.iter_mut().zip(&self.empty) {
            pipe.room = room;
        }
        for operator in 0..self.operators {
            // Four pipes for each operator stand in front: to it, back, from it, back.
            self.pipes[4 * operator].room = if done.contains(operator) { UNCUT } else { 0 };
            self.pipes[4 * operator + 2].room = if waiting.contains(operator) { UNCUT } else { 0 };
        }
        let mut total = 0;
        while self.measure() {
            self.tried.fill(0);
            loop {
                let pushed = self.push(SOURCE, UNCUT);
                if pushed == 0 {
                    break;
                }
                total += pushed;
            }
        }
        total
    }

    /// Numbers the nodes by their distance from the source; tells whether the sink is reached.
    fn measure(&mut self) -> bool {
        self.level.fill(usize::MAX);
        self.level[SOURCE] = 0;
        let mut queue = VecDeque::from([SOURCE]);
        while let Some(node) = queue.pop_front() {
            for &index in &self.leaving[node] {
                let pipe = &self.pipes[index];
                if pipe.room > 0 && self.level[pipe.to] == usize::MAX {
                    self.level[pipe.to] = self.level[node] + 1;
                    queue.push_back(pipe.to);
                }
            }
        }
        self.level[SINK] != usize::MAX
    }

    /// Pushes what one path away from the source carries; paths are as long as there are levels.
    fn push(&mut self, from: usize, limit: i64) -> i64 {
        let mut path: Vec<usize> = Vec::new();
        let mut node = from;
        while node != SINK {
            let next = self.leaving[node].get(self.tried[node]).copied();
            match next {
                Some(index) if self.leads_on(node, index) => {
                    path.push(index);
                    node = self.pipes[index].to;
                }
                Some(_) => self.tried[node] += 1,
                None => {
                    let Some(index) = path.pop() else {
                        return 0;
                    };
                    node = self.pipes[index ^ 1].to;
                    self.tried[node] += 1;
                }
            }
        }
        let pushed = path.iter().map(|&index| self.pipes[index].room).min().unwrap_or(0).min(limit);
        for index in path {
            self.pipes[index].room -= pushed;
            self.pipes[index ^ 1].room += pushed;
        }
        pushed
    }

    fn leads_on(&self, node: usize, index: usize) -> bool {
        let pipe = &self.pipes[index];
        pipe.room > 0 && self.level[pipe.to] == self.level[node] + 1
    }
}
