//! The Python module `condense_compiler._native`: thin bindings, no logic of its own.

mod planning;
mod shapes;

use pyo3::prelude::*;

/// Native parts of the compiler.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use crate::planning::plan;
    #[pymodule_export]
    use crate::shapes::plan_shapes;
}
