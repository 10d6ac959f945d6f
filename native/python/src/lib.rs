//! The Python module `condense_compiler._native`: thin bindings, no logic of its own.

use pyo3::prelude::*;

/// Native parts of the compiler.
#[pymodule(gil_used = false)]
mod _native {}
