//! The operator `condense::ConvPool`.

use condense_kernels::{Isa, Layer, Recipe, Weights};
use ort_sys::{OrtCustomOp, OrtKernelContext, OrtKernelInfo, OrtValue};

use crate::api::Api;
use crate::attributes::{self, KernelAttributes};
use crate::operator::{self, Operator};
use crate::runtime::{Allocator, KernelRuntime};
use crate::tensor::{self, Tensor};

const FILTERS: usize = 1;
const BIAS: usize = 2;
const FIRST_OPERAND: usize = 3;

/// Returns the description that ONNX Runtime reads.
pub fn operator() -> *const OrtCustomOp {
    operator::description::<ConvPool>()
}

/// One node: its recipe, and the layer if all weights are constant.
pub struct ConvPool {
    name: String,
    recipe: Recipe,
    constant: Option<Layer>,
    allocator: Allocator,
}

impl Operator for ConvPool {
    const NAME: &'static std::ffi::CStr = c"ConvPool";

    unsafe fn new(info: *const OrtKernelInfo) -> Result<Self, String> {
        // SAFETY: `info` comes from ONNX Runtime and is used during this call alone.
        unsafe {
            let recipe = attributes::recipe(&KernelAttributes::new(info))?;
            let inputs = constant_inputs(info, &recipe)?;
            let pixels = tensor::known_pixels(info);
            let make = |inputs: Vec<_>| layer(&recipe, &inputs, pixels.as_deref());
            let constant = inputs.map(make).transpose()?;
            let name = operator::node_name(info);
            Ok(Self { name, recipe, constant, allocator: Allocator::new(info)? })
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    unsafe fn compute(&self, context: *mut OrtKernelContext) -> Result<(), String> {
        let computed;
        let layer = if let Some(layer) = &self.constant {
            layer
        } else {
            let count = FIRST_OPERAND + operand_count(&self.recipe);
            // SAFETY: the context is that of this call.
            let inputs = (1..count)
                .map(|index| unsafe { tensor::input(context, index, &input_name(index)) })
                .collect::<Result<Vec<_>, _>>()?;
            computed = layer(&self.recipe.without_winograd(), &inputs, None)?;
            &computed
        };
        // SAFETY: the context is that of this call, and the output is asked for once.
        unsafe {
            let input = tensor::input(context, 0, "X")?.ok_or("X is missing")?;
            let shape = layer.output_shape(&input.shape).map_err(|e| e.to_string())?;
            let output = tensor::output(context, &shape)?;
            let runtime = KernelRuntime::new(context, &self.allocator);
            layer
                .run(&runtime, input.values, &input.shape, output)
                .map_err(|error| error.to_string())
        }
    }
}

fn operand_count(recipe: &Recipe) -> usize {
    recipe.before.operand_count() + recipe.after.operand_count()
}

fn input_name(index: usize) -> String {
    match index {
        FILTERS => "W".to_owned(),
        BIAS => "B".to_owned(),
        _ => format!("operand {}", index - FIRST_OPERAND),
    }
}

/// Returns W, B and the operands; nothing if one of them is computed at run time.
unsafe fn constant_inputs<'i>(
    info: *const OrtKernelInfo,
    recipe: &Recipe,
) -> Result<Option<Vec<Option<Tensor<'i>>>>, String> {
    let api = Api::get();
    let mut count = 0;
    // SAFETY: `info` comes from ONNX Runtime.
    unsafe { api.check((api.table().KernelInfo_GetInputCount)(info, &raw mut count))? };
    let expected = FIRST_OPERAND + operand_count(recipe);
    let mut inputs = Vec::new();
    for index in 1..expected {
        let mut constant = 0;
        let mut value: *const OrtValue = std::ptr::null();
        if index < count {
            let read = api.table().KernelInfoGetConstantInput_tensor;
            // SAFETY: the index is that of an input.
            let status = unsafe { read(info, index, &raw mut constant, &raw mut value) };
            api.check(status)?;
        }
        if constant != 0 && !value.is_null() {
            // SAFETY: constants live as long as the session.
            inputs.push(Some(unsafe { Tensor::new(value, &input_name(index))? }));
        } else if index == BIAS && (index >= count || !operator::has_input(info, index)) {
            inputs.push(None);
        } else {
            return Ok(None);
        }
    }
    Ok(Some(inputs))
}

/// Makes a layer of W, B and the operands.
fn layer(
    recipe: &Recipe,
    inputs: &[Option<Tensor<'_>>],
    pixels: Option<&[usize]>,
) -> Result<Layer, String> {
    let filters = inputs.first().and_then(Option::as_ref).ok_or("W is missing")?;
    let bias = inputs.get(1).and_then(Option::as_ref).map(|tensor| tensor.values);
    let operands = inputs.iter().skip(2).flatten().map(|tensor| tensor.values.to_vec()).collect();
    let weights = Weights { filters: filters.values, shape: &filters.shape, bias, operands };
    Layer::new(recipe.clone(), weights, pixels, Isa::detect()).map_err(|error| error.to_string())
}
