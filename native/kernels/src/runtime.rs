//! What a layer asks of its surroundings: threads and memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Error;

/// Alignment of scratch memory: a cache line, which is also the widest vector.
pub const ALIGNMENT: usize = 64;

/// Jobs for each worker, so that none waits long for the last.
pub const JOBS_PER_WORKER: usize = 3;

/// Scratch memory of one worker; given back when it is dropped.
pub trait Scratch {
    /// The memory, aligned to a cache line; its content is unspecified but initialised.
    fn floats(&mut self) -> &mut [f32];
}

/// Threads and memory of the program around.
pub trait Runtime: Sync {
    /// The largest number of workers that can run at once.
    fn workers(&self) -> usize;

    /// Calls `body` once with every number below `count`, in any order and on any threads.
    ///
    /// # Errors
    /// The threads could not be used.
    fn parallel_for(&self, count: usize, body: &(dyn Fn(usize) + Sync)) -> Result<(), Error>;

    /// Returns memory for `floats` numbers.
    ///
    /// # Errors
    /// There is not enough memory.
    fn scratch(&self, floats: usize) -> Result<Box<dyn Scratch + '_>, Error>;
}

/// The memory of another runtime, on the caller's thread alone: for work that is done before
/// another thread has begun.
pub struct Alone<'a>(pub &'a dyn Runtime);

impl Runtime for Alone<'_> {
    fn workers(&self) -> usize {
        1
    }

    fn parallel_for(&self, count: usize, body: &(dyn Fn(usize) + Sync)) -> Result<(), Error> {
        (0..count).for_each(body);
        Ok(())
    }

    fn scratch(&self, floats: usize) -> Result<Box<dyn Scratch + '_>, Error> {
        self.0.scratch(floats)
    }
}

/// One thread, and memory from the global allocator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

struct HeapScratch {
    memory: Vec<Line>,
    floats: usize,
}

/// A cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub struct Line(
    #[expect(dead_code, reason = "read as a flat slice")] [f32; ALIGNMENT / size_of::<f32>()],
);

impl Scratch for HeapScratch {
    fn floats(&mut self) -> &mut [f32] {
        &mut self.memory.as_flattened_floats()[..self.floats]
    }
}

trait AsFlattenedFloats {
    fn as_flattened_floats(&mut self) -> &mut [f32];
}

impl AsFlattenedFloats for Vec<Line> {
    fn as_flattened_floats(&mut self) -> &mut [f32] {
        let count = self.len() * ALIGNMENT / size_of::<f32>();
        // SAFETY: a `Line` is an array of floats without padding.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), count) }
    }
}

impl Runtime for Serial {
    fn workers(&self) -> usize {
        1
    }

    fn parallel_for(&self, count: usize, body: &(dyn Fn(usize) + Sync)) -> Result<(), Error> {
        (0..count).for_each(body);
        Ok(())
    }

    fn scratch(&self, floats: usize) -> Result<Box<dyn Scratch + '_>, Error> {
        let lines = floats.div_ceil(ALIGNMENT / size_of::<f32>());
        let memory = vec![Line([0.0; ALIGNMENT / size_of::<f32>()]); lines];
        Ok(Box::new(HeapScratch { memory, floats }))
    }
}

/// Returns into how many jobs to cut work, so that workers wait little for each other: a few for each,
/// and equally many; never fewer than `least`, and no smaller than those of `most`.
pub fn fair_jobs(workers: usize, least: usize, most: usize) -> usize {
    if workers == 1 {
        return least;
    }
    let wanted = (JOBS_PER_WORKER * workers).min(most).max(least);
    if wanted > 1 { wanted.next_multiple_of(workers) } else { wanted }
}

/// Runs `jobs` on the workers; each worker that finds work takes one piece of scratch memory.
///
/// # Errors
/// What the runtime reports; jobs may then not have run.
pub fn run_jobs(
    runtime: &dyn Runtime,
    jobs: usize,
    scratch_floats: usize,
    body: &(dyn Fn(usize, &mut [f32]) + Sync),
) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    let failure = std::sync::Mutex::new(None);
    let work = |_worker: usize| {
        let mut job = next.fetch_add(1, Ordering::Relaxed);
        if job >= jobs {
            return;
        }
        let mut scratch = match runtime.scratch(scratch_floats) {
            Ok(scratch) => scratch,
            Err(error) => {
                *failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                return;
            }
        };
        while job < jobs {
            body(job, scratch.floats());
            job = next.fetch_add(1, Ordering::Relaxed);
        }
    };
    runtime.parallel_for(runtime.workers().min(jobs), &work)?;
    let failure = failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    failure.map_or(Ok(()), Err)
}
