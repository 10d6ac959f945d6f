//! Binding of the memory planner.

use std::collections::HashMap;
use std::time::Duration;

use condense_planner::{Buffer, Lifetime, Request, plan as plan_buffers};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::watching::watched;

/// Offsets, arena in bytes, lower bound in bytes, why the planner stopped.
type Answer = (Vec<i64>, i64, i64, &'static str);

/// Places buffers; the lists run in parallel, the dictionaries are keyed by position.
///
/// Raises `ValueError(rule, positions)` for an input that cannot be planned. Ctrl-C ends the
/// search and returns the best plan so far. `progress`, if any, is called with the arena in bytes
/// each time that a better plan is found.
#[pyfunction]
#[pyo3(signature = (lowers, uppers, sizes, alignments, pinned, gaps, *, capacity=None, seconds=None, progress=None))]
#[expect(clippy::too_many_arguments, reason = "flat lists cross the border fastest")]
pub fn plan(
    py: Python<'_>,
    lowers: Vec<i64>,
    uppers: Vec<i64>,
    sizes: Vec<i64>,
    alignments: Vec<i64>,
    pinned: HashMap<usize, i64>,
    gaps: HashMap<usize, Vec<(i64, i64)>>,
    capacity: Option<i64>,
    seconds: Option<f64>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Answer> {
    let Ok(time_limit) = seconds.map(Duration::try_from_secs_f64).transpose() else {
        let nobody: Vec<usize> = Vec::new();
        return Err(PyValueError::new_err(("seconds must be finite, and not negative", nobody)));
    };
    let mut buffers: Vec<Buffer> = lowers
        .into_iter()
        .zip(uppers)
        .zip(sizes)
        .zip(alignments)
        .map(|(((lower, upper), size), alignment)| Buffer {
            alignment,
            ..Buffer::new(lower, upper, size)
        })
        .collect();
    for (position, offset) in pinned {
        buffers[position].pinned = Some(offset);
    }
    for (position, gaps) in gaps {
        buffers[position].gaps =
            gaps.into_iter().map(|(lower, upper)| Lifetime { lower, upper }).collect();
    }
    let request = Request { capacity, time_limit };
    let progress = progress.map(|callback| callback.clone().unbind());
    let plan = py
        .detach(|| watched(progress.as_ref(), |monitor| plan_buffers(&buffers, &request, monitor)))?
        .map_err(|error| PyValueError::new_err((error.rule(), error.culprits())))?;
    Ok((plan.offsets, plan.arena_bytes, plan.lower_bound_bytes, plan.ending.name()))
}
