//! Runs jobs on all cores with the result of running them one after the other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Room for the recursion of a search: a few hundred bytes for each buffer on the path.
const STACK_BYTES: usize = 256 << 20;

/// Runs `job(0)`, `job(1)`, … until one succeeds; returns the success with the least number.
///
/// Jobs above a success are stopped, jobs below it are finished, so that the result does not
/// depend on the number of cores. A job learns from its second argument whether to go on.
pub fn first_success<R: Send>(
    jobs: usize,
    job: impl Fn(usize, &dyn Fn() -> bool) -> Option<R> + Sync,
) -> Option<R> {
    let next = AtomicUsize::new(0);
    let success = AtomicUsize::new(usize::MAX);
    let results = on_all_cores(jobs, || {
        let mut found: Option<(usize, R)> = None;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= jobs || number > success.load(Ordering::Relaxed) {
                return found;
            }
            let wanted = || number < success.load(Ordering::Relaxed);
            if let Some(result) = job(number, &wanted) {
                success.fetch_min(number, Ordering::Relaxed);
                if found.as_ref().is_none_or(|(other, _)| number < *other) {
                    found = Some((number, result));
                }
            }
        }
    });
    let least = results.into_iter().flatten().min_by_key(|(number, _)| *number);
    least.map(|(_, result)| result)
}

/// Runs a job on each input; returns the results in the order of the inputs.
pub fn map<T: Send + Sync, R: Send>(inputs: &[T], job: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = on_all_cores(inputs.len(), || {
        let mut done: Vec<(usize, R)> = Vec::new();
        while let Some((number, input)) = {
            let number = next.fetch_add(1, Ordering::Relaxed);
            inputs.get(number).map(|input| (number, input))
        } {
            done.push((number, job(input)));
        }
        done
    });
    let mut results: Vec<(usize, R)> = results.into_iter().flatten().collect();
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Runs the same work in one thread for each core, but not in more than `limit`.
fn on_all_cores<R: Send>(limit: usize, work: impl Fn() -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(limit);
    thread::scope(|scope| {
        let start = |_| thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, &work);
        let workers: Vec<_> = (0..threads).filter_map(|number| start(number).ok()).collect();
        let resume = |panic| std::panic::resume_unwind(panic);
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(resume)).collect()
    })
}
