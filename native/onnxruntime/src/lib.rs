//! A library of custom operators for ONNX Runtime 1.24 and later.
//!
//! `RegisterCustomOps` adds the operators of the domain `condense` to a session's options. The C
//! interface is used directly, because ONNX Runtime calls one kernel from many threads at once,
//! and the interface's Rust wrappers hand out an exclusive reference to it.

mod api;
mod attributes;
mod conv_pool;
mod errors;
mod operator;
mod qlinear_conv_pool;
mod runtime;
mod shape_inference;
mod tensor;

use std::ffi::{CStr, c_char};
use std::sync::OnceLock;

use condense_kernels::Isa;
use ort_sys::{OrtApiBase, OrtCustomOpDomain, OrtErrorCode, OrtSessionOptions, OrtStatusPtr};

use crate::api::Api;

const DOMAIN: &CStr = c"condense";
/// Version of the C interface whose functions are used.
const API_VERSION: u32 = 20;
/// Version of the oldest ONNX Runtime: those before 1.22 allow one input of any type alone, and
/// `QLinearConvPool` has several; 1.22 and 1.23 crash where an optional input is left out.
const OLDEST_VERSION: u32 = 24;

/// The domain with its operators, which sessions refer to for as long as they live.
struct Domain(*mut OrtCustomOpDomain);

// SAFETY: the domain is not changed after it has been made.
unsafe impl Send for Domain {}
// SAFETY: as above.
unsafe impl Sync for Domain {}

static DOMAIN_OF_PROCESS: OnceLock<Domain> = OnceLock::new();

/// Adds the operators to the options of a session; ONNX Runtime calls this.
///
/// # Safety
/// Both pointers come from ONNX Runtime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RegisterCustomOps(
    options: *mut OrtSessionOptions,
    base: *const OrtApiBase,
) -> OrtStatusPtr {
    errors::silence_panics();
    // SAFETY: `base` points to ONNX Runtime's table of functions.
    let table = unsafe { ((*base).GetApi)(OLDEST_VERSION) };
    if table.is_null() {
        // An interface that is too old has no way to say so in this version's terms; its oldest
        // functions are the same in all versions.
        // SAFETY: version 1 is part of every ONNX Runtime.
        let oldest = unsafe { ((*base).GetApi)(1) };
        let message = c"condense: ONNX Runtime 1.24 or later is needed";
        // SAFETY: `CreateStatus` is the first function of every version.
        return unsafe { ((*oldest).CreateStatus)(OrtErrorCode::ORT_FAIL, message.as_ptr()) };
    }
    // SAFETY: the table lives as long as ONNX Runtime.
    let api = unsafe { Api::set(table) };
    match register(api, options) {
        Ok(()) => OrtStatusPtr::default(),
        Err(error) => api.status(OrtErrorCode::ORT_FAIL, &error),
    }
}

/// Returns the name of the instruction set that kernels made now would use, as a C string; null
/// where the environment variable `CONDENSE_ISA` names one that cannot be used.
#[unsafe(no_mangle)]
pub extern "C" fn condense_instruction_set() -> *const c_char {
    let Ok(isa) = Isa::detect() else { return std::ptr::null() };
    let name = match isa {
        Isa::Avx512 => c"avx512",
        Isa::Avx2 => c"avx2",
        Isa::Portable => c"portable",
    };
    name.as_ptr()
}

fn register(api: Api, options: *mut OrtSessionOptions) -> Result<(), String> {
    Isa::detect().map_err(|error| format!("condense: {error}"))?;
    let domain = if let Some(domain) = DOMAIN_OF_PROCESS.get() {
        domain
    } else {
        let made = make_domain(api)?;
        DOMAIN_OF_PROCESS.get_or_init(|| made)
    };
    // SAFETY: options come from ONNX Runtime, and the domain is never released.
    api.check(unsafe { (api.table().AddCustomOpDomain)(options, domain.0) })
}

fn make_domain(api: Api) -> Result<Domain, String> {
    let mut domain = std::ptr::null_mut();
    // SAFETY: the name is a C string, and the domain is written.
    api.check(unsafe { (api.table().CreateCustomOpDomain)(DOMAIN.as_ptr(), &raw mut domain) })?;
    for operator in [conv_pool::operator(), qlinear_conv_pool::operator()] {
        // SAFETY: the operator is static.
        api.check(unsafe { (api.table().CustomOpDomain_Add)(domain, operator) })?;
    }
    Ok(Domain(domain))
}
