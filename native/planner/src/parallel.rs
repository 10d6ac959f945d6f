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
    let work = || {
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
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(jobs);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .filter_map(|_| {
                thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work).ok()
            })
            .collect();
        let mut results: Vec<(usize, R)> =
            workers.into_iter().filter_map(|worker| worker.join().ok().flatten()).collect();
        results.sort_by_key(|(number, _)| *number);
        results.into_iter().next().map(|(_, result)| result)
    })
}
