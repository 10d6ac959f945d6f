//! Errors and panics on their way to ONNX Runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

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

/// Keeps panics of this library from printing: what they say reaches ONNX Runtime as an error.
/// The hook is that of the library's own copy of the standard library, nobody else's.
pub fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}

/// Returns what a panic said.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a defect: {}", text.unwrap_or_default())
}
