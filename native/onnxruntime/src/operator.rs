//! The C description of an operator, and the functions that ONNX Runtime calls.

use std::ffi::{CStr, c_char, c_int, c_void};

use ort_sys::{
    ONNXTensorElementDataType, OrtApi, OrtCustomOp, OrtCustomOpInputOutputCharacteristic,
    OrtKernelContext, OrtKernelInfo, OrtMemType, OrtStatusPtr,
};

use crate::api::Api;
use crate::errors::guarded;
use crate::{API_VERSION, shape_inference};

/// X, W, B, and all operands as one variadic input.
const INPUTS: usize = 4;
const LAST_VERSION: c_int = c_int::MAX;

/// An operator on singles whose inputs are X, W, B (optional) and operands.
pub trait Operator: Send + Sync + Sized + 'static {
    /// Name in the domain.
    const NAME: &'static CStr;

    /// Makes the kernel of a node.
    ///
    /// # Safety
    /// `info` comes from ONNX Runtime.
    unsafe fn new(info: *const OrtKernelInfo) -> Result<Self, String>;

    /// Returns the name of the node.
    fn name(&self) -> &str;

    /// Computes the outputs; may be called by many threads at once.
    ///
    /// # Safety
    /// `context` is the one that ONNX Runtime passes.
    unsafe fn compute(&self, context: *mut OrtKernelContext) -> Result<(), String>;
}

/// Returns the name of a node; empty if it has none.
///
/// # Safety
/// `info` comes from ONNX Runtime.
pub unsafe fn node_name(info: *const OrtKernelInfo) -> String {
    let api = Api::get();
    let mut size = 0;
    let read = api.table().KernelInfo_GetNodeName;
    // SAFETY: the first call tells the size, the second writes that much.
    unsafe {
        let _size_alone = api.check(read(info, std::ptr::null_mut(), &raw mut size));
        let mut name = vec![0_u8; size];
        if api.check(read(info, name.as_mut_ptr().cast(), &raw mut size)).is_err() {
            return String::new();
        }
        String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned()
    }
}

/// Tells whether a node has an input at a position, which may be left out.
pub fn has_input(info: *const OrtKernelInfo, index: usize) -> bool {
    let api = Api::get();
    let mut size = 0;
    let read = api.table().KernelInfo_GetInputName;
    // SAFETY: without room for it, only the size of the name is written.
    let status = unsafe { read(info, index, std::ptr::null_mut(), &raw mut size) };
    api.check(status).is_ok() && size > 1
}

/// Returns the description of an operator.
pub fn description<O: Operator>() -> *const OrtCustomOp {
    &const {
        OrtCustomOp {
            version: API_VERSION,
            CreateKernel: None,
            GetName: Some(name::<O>),
            GetExecutionProviderType: Some(provider),
            GetInputType: Some(element_type),
            GetInputTypeCount: Some(input_count),
            GetOutputType: Some(element_type),
            GetOutputTypeCount: Some(output_count),
            KernelCompute: None,
            KernelDestroy: Some(destroy::<O>),
            GetInputCharacteristic: Some(input_characteristic),
            GetOutputCharacteristic: Some(output_characteristic),
            GetInputMemoryType: Some(memory_type),
            GetVariadicInputMinArity: Some(no_operand),
            GetVariadicInputHomogeneity: Some(homogeneous),
            GetVariadicOutputMinArity: Some(no_operand),
            GetVariadicOutputHomogeneity: Some(homogeneous),
            CreateKernelV2: Some(create::<O>),
            KernelComputeV2: Some(compute::<O>),
            InferOutputShapeFn: Some(shape_inference::infer),
            GetStartVersion: Some(first_version),
            GetEndVersion: Some(last_version),
            GetMayInplace: None,
            ReleaseMayInplace: None,
            GetAliasMap: None,
            ReleaseAliasMap: None,
        }
    }
}

unsafe extern "system" fn name<O: Operator>(_: *const OrtCustomOp) -> *const c_char {
    O::NAME.as_ptr()
}

unsafe extern "system" fn provider(_: *const OrtCustomOp) -> *const c_char {
    std::ptr::null()
}

unsafe extern "system" fn element_type(
    _: *const OrtCustomOp,
    _: usize,
) -> ONNXTensorElementDataType {
    ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
}

unsafe extern "system" fn input_count(_: *const OrtCustomOp) -> usize {
    INPUTS
}

unsafe extern "system" fn output_count(_: *const OrtCustomOp) -> usize {
    1
}

unsafe extern "system" fn input_characteristic(
    _: *const OrtCustomOp,
    index: usize,
) -> OrtCustomOpInputOutputCharacteristic {
    match index {
        0 | 1 => OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_REQUIRED,
        2 => OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_OPTIONAL,
        _ => OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_VARIADIC,
    }
}

unsafe extern "system" fn output_characteristic(
    _: *const OrtCustomOp,
    _: usize,
) -> OrtCustomOpInputOutputCharacteristic {
    OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_REQUIRED
}

unsafe extern "system" fn memory_type(_: *const OrtCustomOp, _: usize) -> OrtMemType {
    OrtMemType::OrtMemTypeDefault
}

unsafe extern "system" fn no_operand(_: *const OrtCustomOp) -> c_int {
    0
}

unsafe extern "system" fn homogeneous(_: *const OrtCustomOp) -> c_int {
    1
}

unsafe extern "system" fn first_version(_: *const OrtCustomOp) -> c_int {
    1
}

unsafe extern "system" fn last_version(_: *const OrtCustomOp) -> c_int {
    LAST_VERSION
}

unsafe extern "system" fn create<O: Operator>(
    _: *const OrtCustomOp,
    _: *const OrtApi,
    info: *const OrtKernelInfo,
    kernel: *mut *mut c_void,
) -> OrtStatusPtr {
    // SAFETY: `info` comes from ONNX Runtime.
    let title = title::<O>(&unsafe { node_name(info) });
    guarded(&title, || {
        // SAFETY: as above; ONNX Runtime takes the kernel and gives it to `destroy`.
        unsafe { *kernel = Box::into_raw(Box::new(O::new(info)?)).cast() };
        Ok(())
    })
}

unsafe extern "system" fn compute<O: Operator>(
    kernel: *mut c_void,
    context: *mut OrtKernelContext,
) -> OrtStatusPtr {
    // SAFETY: `create` made the kernel; it is only shared, since threads may meet here.
    let operator = unsafe { &*kernel.cast::<O>().cast_const() };
    // SAFETY: the context is ONNX Runtime's.
    guarded(&title::<O>(operator.name()), || unsafe { operator.compute(context) })
}

unsafe extern "system" fn destroy<O: Operator>(kernel: *mut c_void) {
    // SAFETY: `create` made the kernel, and ONNX Runtime has no more use for it.
    drop(unsafe { Box::from_raw(kernel.cast::<O>()) });
}

fn title<O: Operator>(node: &str) -> String {
    format!("condense::{} {node:?}", O::NAME.to_string_lossy())
}
