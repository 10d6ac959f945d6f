//! The C description of an operator, and the functions that ONNX Runtime calls.

use std::ffi::{CStr, c_char, c_int, c_void};

use ort_sys::{
    ONNXTensorElementDataType, OrtApi, OrtCustomOp, OrtCustomOpInputOutputCharacteristic,
    OrtKernelContext, OrtKernelInfo, OrtMemType, OrtStatusPtr, OrtValue,
};

use crate::api::Api;
use crate::errors::guarded;
use crate::tensor::Tensor;
use crate::{API_VERSION, shape_inference};

const LAST_VERSION: c_int = c_int::MAX;

/// An operator with one output.
pub trait Operator: Send + Sync + Sized + 'static {
    /// Name in the domain.
    const NAME: &'static CStr;

    /// Whether each input is required, optional or variadic.
    const INPUTS: &'static [OrtCustomOpInputOutputCharacteristic];

    /// Element type of all inputs and of the output; undefined where they differ.
    const ELEMENT: ONNXTensorElementDataType;

    /// Index of the input whose element type is the output's, if types differ.
    const TYPED_LIKE: usize;

    /// Index of the filters among the inputs.
    const FILTERS: usize;

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

/// Returns a node's inputs from `first` to before `end`, absent ones as none; nothing if one of
/// them is computed at run time.
///
/// # Safety
/// `info` comes from ONNX Runtime.
pub unsafe fn constant_inputs<'i>(
    info: *const OrtKernelInfo,
    first: usize,
    end: usize,
    name: impl Fn(usize) -> String,
) -> Result<Option<Vec<Option<Tensor<'i>>>>, String> {
    let api = Api::get();
    let mut count = 0;
    // SAFETY: `info` comes from ONNX Runtime.
    unsafe { api.check((api.table().KernelInfo_GetInputCount)(info, &raw mut count))? };
    let mut inputs = Vec::new();
    for index in first..end {
        let mut constant = 0;
        let mut value: *const OrtValue = std::ptr::null();
        let present = index < count && has_input(info, index);
        if present {
            let read = api.table().KernelInfoGetConstantInput_tensor;
            // SAFETY: the index is that of an input.
            let status = unsafe { read(info, index, &raw mut constant, &raw mut value) };
            api.check(status)?;
        }
        if constant != 0 && !value.is_null() {
            // SAFETY: constants live as long as the session.
            inputs.push(Some(unsafe { Tensor::new(value, &name(index))? }));
        } else if present {
            return Ok(None);
        } else {
            inputs.push(None);
        }
    }
    Ok(Some(inputs))
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
fn has_input(info: *const OrtKernelInfo, index: usize) -> bool {
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
            GetInputType: Some(element_type::<O>),
            GetInputTypeCount: Some(input_count::<O>),
            GetOutputType: Some(element_type::<O>),
            GetOutputTypeCount: Some(output_count),
            KernelCompute: None,
            KernelDestroy: Some(destroy::<O>),
            GetInputCharacteristic: Some(input_characteristic::<O>),
            GetOutputCharacteristic: Some(output_characteristic),
            GetInputMemoryType: Some(memory_type),
            GetVariadicInputMinArity: Some(no_operand),
            GetVariadicInputHomogeneity: Some(homogeneous),
            GetVariadicOutputMinArity: Some(no_operand),
            GetVariadicOutputHomogeneity: Some(homogeneous),
            CreateKernelV2: Some(create::<O>),
            KernelComputeV2: Some(compute::<O>),
            InferOutputShapeFn: Some(shape_inference::infer::<O>),
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

unsafe extern "system" fn element_type<O: Operator>(
    _: *const OrtCustomOp,
    _: usize,
) -> ONNXTensorElementDataType {
    O::ELEMENT
}

unsafe extern "system" fn input_count<O: Operator>(_: *const OrtCustomOp) -> usize {
    O::INPUTS.len()
}

unsafe extern "system" fn output_count(_: *const OrtCustomOp) -> usize {
    1
}

unsafe extern "system" fn input_characteristic<O: Operator>(
    _: *const OrtCustomOp,
    index: usize,
) -> OrtCustomOpInputOutputCharacteristic {
    O::INPUTS[index]
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
    let title = || title::<O>(&unsafe { node_name(info) });
    guarded(title, || {
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
    guarded(|| title::<O>(operator.name()), || unsafe { operator.compute(context) })
}

unsafe extern "system" fn destroy<O: Operator>(kernel: *mut c_void) {
    // SAFETY: `create` made the kernel, and ONNX Runtime has no more use for it.
    drop(unsafe { Box::from_raw(kernel.cast::<O>()) });
}

fn title<O: Operator>(node: &str) -> String {
    format!("condense::{} {node:?}", O::NAME.to_string_lossy())
}
