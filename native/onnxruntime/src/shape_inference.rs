//! Tells ONNX Runtime the shape of the output before anything runs, so that it can plan memory.

use condense_kernels::Window;
use ort_sys::{ONNXTensorElementDataType, OrtCustomOp, OrtShapeInferContext, OrtStatusPtr};

use crate::api::Api;
use crate::attributes::{self, Attributes, InferenceAttributes};
use crate::errors::guarded;
use crate::operator::Operator;
use crate::tensor::describe;

/// What ONNX Runtime calls; a shape that is not known yet is left open.
pub unsafe extern "system" fn infer<O: Operator>(
    _: *const OrtCustomOp,
    context: *mut OrtShapeInferContext,
) -> OrtStatusPtr {
    let title = || format!("condense::{}, shape inference", O::NAME.to_string_lossy());
    guarded(title, || {
        // SAFETY: the context is ONNX Runtime's, and is used during this call alone.
        unsafe {
            let inputs = (input(context, 0), input(context, O::FILTERS));
            let (Some((_, data)), Some((_, filters))) = inputs else { return Ok(()) };
            let Some((element, _)) = input(context, O::TYPED_LIKE) else { return Ok(()) };
            match output(&InferenceAttributes::new(context), &data, &filters)? {
                Some(shape) => set_output(context, element, &shape),
                None => Ok(()),
            }
        }
    })
}

/// Returns the output's dimensions, -1 where one is not known.
fn output(
    attributes: &impl Attributes,
    input: &[i64],
    filters: &[i64],
) -> Result<Option<Vec<i64>>, String> {
    let recipe = attributes::recipe(attributes)?;
    let rank = recipe.convolution.kernel_shape.len();
    if input.is_empty() || filters.is_empty() {
        return Ok(None); // not known yet
    }
    if input.len() != rank + 2 || filters.len() != rank + 2 {
        return Err(format!(
            "X has {} and W has {} dimensions, the kernel asks for {}",
            input.len(),
            filters.len(),
            rank + 2
        ));
    }
    let Ok(wide) = usize::try_from(filters[0]) else { return Ok(None) };
    let channels = recipe.output_channels(wide);
    let mut shape = vec![input[0], i64::try_from(channels).unwrap_or(-1)];
    for axis in 0..rank {
        let convolved = positions(&recipe.convolution, axis, input[2 + axis]);
        let pooled = recipe.spatial.as_ref().map(|window| positions(window, axis, convolved));
        shape.push(pooled.unwrap_or(convolved));
    }
    Ok(Some(shape))
}

fn positions(window: &Window, axis: usize, size: i64) -> i64 {
    let count = usize::try_from(size).ok().and_then(|size| window.positions(axis, size));
    count.and_then(|count| i64::try_from(count).ok()).unwrap_or(-1)
}

/// Returns element type and dimensions of an input.
unsafe fn input(
    context: *mut OrtShapeInferContext,
    index: usize,
) -> Option<(ONNXTensorElementDataType, Vec<i64>)> {
    let api = Api::get();
    let mut info = std::ptr::null_mut();
    let read = api.table().ShapeInferContext_GetInputTypeShape;
    // SAFETY: the context is ONNX Runtime's, which keeps the description.
    unsafe {
        api.check(read(context, index, &raw mut info)).ok()?;
        describe(info).ok()
    }
}

unsafe fn set_output(
    context: *mut OrtShapeInferContext,
    element: ONNXTensorElementDataType,
    shape: &[i64],
) -> Result<(), String> {
    let api = Api::get();
    let table = api.table();
    let mut info = std::ptr::null_mut();
    // SAFETY: the description is made here, read by ONNX Runtime, and released.
    unsafe {
        api.check((table.CreateTensorTypeAndShapeInfo)(&raw mut info))?;
        let described = api
            .check((table.SetTensorElementType)(info, element))
            .and_then(|()| api.check((table.SetDimensions)(info, shape.as_ptr(), shape.len())))
            .and_then(|()| {
                api.check((table.ShapeInferContext_SetOutputTypeShape)(context, 0, info))
            });
        (table.ReleaseTensorTypeAndShapeInfo)(info);
        described
    }
}
