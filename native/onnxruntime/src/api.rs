//! ONNX Runtime's table of functions.

use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicPtr, Ordering};

use ort_sys::{OrtApi, OrtErrorCode, OrtStatusPtr};

static TABLE: AtomicPtr<OrtApi> = AtomicPtr::new(std::ptr::null_mut());

/// The functions of the ONNX Runtime that loaded this library.
#[derive(Clone, Copy)]
pub struct Api(&'static OrtApi);

impl Api {
    /// Remembers the table.
    ///
    /// # Safety
    /// The table is one of the version that this library was written for, and stays.
    pub unsafe fn set(table: *const OrtApi) -> Self {
        TABLE.store(table.cast_mut(), Ordering::Release);
        // SAFETY: as the caller promises.
        Self(unsafe { &*table })
    }

    /// Returns the table; every function of this library runs after `RegisterCustomOps`.
    pub fn get() -> Self {
        // SAFETY: `set` stored a table that stays, before any operator could be called.
        Self(unsafe { &*TABLE.load(Ordering::Acquire) })
    }

    /// Returns the functions.
    pub fn table(self) -> &'static OrtApi {
        self.0
    }

    /// Turns a status into a result, and releases it.
    pub fn check(self, status: OrtStatusPtr) -> Result<(), String> {
        if status.0.is_null() {
            return Ok(());
        }
        // SAFETY: the status is one of ONNX Runtime's, and is released once.
        unsafe {
            let message = CStr::from_ptr((self.0.GetErrorMessage)(status.0));
            let message = message.to_string_lossy().into_owned();
            (self.0.ReleaseStatus)(status.0);
            Err(message)
        }
    }

    /// Makes a status of a message.
    pub fn status(self, code: OrtErrorCode, message: &str) -> OrtStatusPtr {
        let text = CString::new(message.replace('\0', " ")).unwrap_or_default();
        // SAFETY: ONNX Runtime copies the text.
        unsafe { (self.0.CreateStatus)(code, text.as_ptr()) }
    }
}
