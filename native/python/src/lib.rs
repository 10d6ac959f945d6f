//! The Python module `condense_compiler._native`: thin bindings, no logic of its own.

mod planning;
mod scheduling;
mod shapes;
mod watching;

use pyo3::prelude::*;

/// Native parts of the compiler.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use crate::planning::plan;
    #[pymodule_export]
    use crate::scheduling::find_order;
    #[pymodule_export]
    use crate::shapes::plan_shapes;
}
