//! Runs a native search while Python stays responsive: signals, progress.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use condense_planner::Monitor;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;

/// How often the waiting thread looks for signals and progress.
const TICK: Duration = Duration::from_millis(50);

/// Runs `search` in a thread of its own, while this one answers signals.
///
/// Ctrl-C asks the search for its best answer so far; any other exception from a signal handler or
/// from `progress` is raised. `progress`, if any, is called with each better result in bytes.
pub fn watched<R: Send>(
    progress: Option<&Py<PyAny>>,
    search: impl FnOnce(&Monitor) -> R + Send,
) -> PyResult<R> {
    let monitor = Monitor::default();
    thread::scope(|scope| {
        let (done, finished) = channel::<()>();
        let worker = scope.spawn(|| {
            let _signal_when_dropped = done;
            search(&monitor)
        });
        let mut failure = None;
        let mut reported = None;
        while finished.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            if monitor.stopped() {
                continue;
            }
            let watched = Python::attach(|py| watch(py, &monitor, progress, &mut reported));
            if let Err(error) = watched {
                monitor.stop();
                failure = Some(error);
            }
        }
        let outcome = worker
            .join()
            .map_err(|_| PyRuntimeError::new_err("a native search failed: a defect"))?;
        match failure {
            Some(error) if !is_keyboard_interrupt(&error) => Err(error),
            _ => Ok(outcome),
        }
    })
}

/// Raises pending signals and reports a better result.
fn watch(
    py: Python<'_>,
    monitor: &Monitor,
    progress: Option<&Py<PyAny>>,
    reported: &mut Option<i64>,
) -> PyResult<()> {
    py.check_signals()?;
    let best = monitor.best();
    if let (Some(progress), Some(bytes)) = (progress, best)
        && best != *reported
    {
        *reported = best;
        progress.call1(py, (bytes,))?;
    }
    Ok(())
}

fn is_keyboard_interrupt(error: &PyErr) -> bool {
    Python::attach(|py| error.is_instance_of::<PyKeyboardInterrupt>(py))
}
