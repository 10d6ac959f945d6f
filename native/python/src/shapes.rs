//! Binding of the planner for shapes.

use std::time::Duration;

use condense_planner::shapes::{Part, Shape, ShapeError, place};
use condense_planner::{Monitor, Request};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Offsets, arena in bytes, lower bound in bytes, why the planner stopped.
type Answer = (Vec<i64>, i64, i64, &'static str);

/// Places shapes, each a list of parts `(lower, upper, bottom, top)` and an alignment.
///
/// Raises `ValueError(rule, positions)` for an input that cannot be planned.
#[pyfunction]
#[pyo3(signature = (parts, alignments, tries_per_shape, *, capacity=None, seconds=None))]
pub fn plan_shapes(
    py: Python<'_>,
    parts: Vec<Vec<(i64, i64, i64, i64)>>,
    alignments: Vec<i64>,
    tries_per_shape: usize,
    capacity: Option<i64>,
    seconds: Option<f64>,
) -> PyResult<Answer> {
    let nobody: Vec<usize> = Vec::new();
    let Ok(time_limit) = seconds.map(Duration::try_from_secs_f64).transpose() else {
        return Err(PyValueError::new_err(("seconds must be finite, and not negative", nobody)));
    };
    let shapes: Vec<Shape> = parts
        .into_iter()
        .zip(alignments)
        .map(|(parts, alignment)| Shape {
            parts: parts
                .into_iter()
                .map(|(lower, upper, bottom, top)| Part { lower, upper, bottom, top })
                .collect(),
            alignment,
        })
        .collect();
    let request = Request { capacity, time_limit };
    let placed = py.detach(|| place(&shapes, &request, tries_per_shape, &Monitor::default()));
    match placed {
        Ok(plan) => {
            Ok((plan.offsets, plan.arena_bytes, plan.lower_bound_bytes, plan.ending.name()))
        }
        Err(ShapeError::Malformed(number)) => Err(PyValueError::new_err((
            "a part must have steps and bytes, and the alignment be positive",
            vec![number],
        ))),
        Err(ShapeError::TooLarge) => {
            Err(PyValueError::new_err(("all shapes together exceed 2^60 bytes", nobody)))
        }
    }
}
