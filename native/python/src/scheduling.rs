//! Binding of the order search.

use std::time::Duration;

use condense_scheduler::{Accumulation, OrderProblem, Overwrite, Request, Step, StoredMap};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::watching::watched;

/// Size in bytes, writer, readers, kept to the end.
type MapFields = (i64, Option<usize>, Vec<usize>, bool);

/// Operator, maps that it may write over, bytes saved.
type OverwriteFields = (usize, Vec<usize>, i64);

/// Producer, consumer, maps that they add to, bytes saved.
type AccumulationFields = (usize, usize, Vec<usize>, i64);

/// Operators of each step, peak in bytes, lower bound in bytes, sets looked at, why it stopped.
type Answer = (Vec<Vec<usize>>, i64, i64, usize, &'static str);

/// Finds the order with the smallest peak; operators and maps are known by their positions.
///
/// Raises `ValueError` for a problem that cannot be searched. Ctrl-C ends the search and returns
/// the best order so far. `progress`, if any, is called with the peak in bytes each time that it
/// becomes smaller.
#[pyfunction]
#[pyo3(signature = (predecessors, maps, overwrites, accumulations, releasing, *, initial=None, seconds=None, progress=None))]
#[expect(clippy::too_many_arguments, reason = "plain tuples cross the border fastest")]
pub fn find_order(
    py: Python<'_>,
    predecessors: Vec<Vec<usize>>,
    maps: Vec<MapFields>,
    overwrites: Vec<OverwriteFields>,
    accumulations: Vec<AccumulationFields>,
    releasing: Vec<usize>,
    initial: Option<Vec<usize>>,
    seconds: Option<f64>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Answer> {
    let Ok(time_limit) = seconds.map(Duration::try_from_secs_f64).transpose() else {
        return Err(PyValueError::new_err("seconds must be finite, and not negative"));
    };
    let problem = OrderProblem {
        predecessors,
        maps: maps.into_iter().map(stored_map).collect(),
        overwrites: overwrites.into_iter().map(overwrite).collect(),
        accumulations: accumulations.into_iter().map(accumulation).collect(),
        releasing,
    };
    let request = Request { initial, time_limit };
    let progress = progress.map(|callback| callback.clone().unbind());
    let order = py
        .detach(|| {
            watched(progress.as_ref(), |monitor| {
                condense_scheduler::find_order(&problem, &request, monitor)
            })
        })?
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    let steps = order.steps.iter().map(|step: &Step| step.operators().collect()).collect();
    Ok((steps, order.peak_bytes, order.lower_bound_bytes, order.states, order.ending.name()))
}

fn stored_map((size, writer, readers, kept): MapFields) -> StoredMap {
    StoredMap { size, writer, readers, kept }
}

fn overwrite((operator, maps, saved_bytes): OverwriteFields) -> Overwrite {
    Overwrite { operator, maps, saved_bytes }
}

fn accumulation((producer, consumer, maps, saved_bytes): AccumulationFields) -> Accumulation {
    Accumulation { producer, consumer, maps, saved_bytes }
}
