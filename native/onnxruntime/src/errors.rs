//! Errors and panics on their way to ONNX Runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ort_sys::{OrtErrorCode, OrtStatusPtr};

use crate::api::Api;

/// Runs a function; what goes wrong becomes a status that names the operator.
pub fn guarded(
    name: impl FnOnce() -> String,
    function: impl FnOnce() -> Result<(), String>,
) -> OrtStatusPtr {
    let (code, reason) = match catch_unwind(AssertUnwindSafe(function)) {
        Ok(Ok(())) => return OrtStatusPtr::default(),
        Ok(Err(reason)) => (OrtErrorCode::ORT_INVALID_ARGUMENT, reason),
        Err(panic) => (OrtErrorCode::ORT_FAIL, panic_message(&*panic)),
    };
    Api::get().status(code, &format!("{}: {reason}", name()))
}

/// Returns what a panic said.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a defect: {}", text.unwrap_or_default())
}
