//! The operator `condense::ConvPool`.

use std::ffi::CStr;

use condense_kernels::{Isa, Layer, Outcome, Recipe, Weights};
use ort_sys::{
    ONNXTensorElementDataType, OrtCustomOp, OrtCustomOpInputOutputCharacteristic, OrtKernelContext,
    OrtKernelInfo,
};

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
    const NAME: &'static CStr = c"ConvPool";
    const INPUTS: &'static [OrtCustomOpInputOutputCharacteristic] = &[
        OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_REQUIRED,
        OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_REQUIRED,
        OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_OPTIONAL,
        OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_VARIADIC,
    ];
    const ELEMENT: ONNXTensorElementDataType =
        ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    const TYPED_LIKE: usize = 0;
    const FILTERS: usize = FILTERS;

    unsafe fn new(info: *const OrtKernelInfo) -> Result<Self, String> {
        // SAFETY: `info` comes from ONNX Runtime and is used during this call alone.
        unsafe {
            let recipe = attributes::recipe(&KernelAttributes::new(info))?;
            let count = FIRST_OPERAND + operand_count(&recipe);
            let inputs = operator::constant_inputs(info, FILTERS, count, input_name)?;
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
        // SAFETY: the context is that of this call.
        let (input, runtime) = unsafe {
            let input = tensor::input(context, 0, "X")?.ok_or("X is missing")?;
            (input, KernelRuntime::new(context, &self.allocator))
        };
        let mut output = None;
        if let Some(layer) = &self.constant {
            // SAFETY: the output is asked for once.
            let memory = unsafe { output_of(layer, &input, context)? };
            if run(layer, &runtime, &input, memory)? == Outcome::Done {
                return Ok(());
            }
            output = Some(memory);
        }
        // SAFETY: the context is that of this call, and the output is asked for once.
        unsafe {
            let layer = self.direct(context)?;
            let memory = match output {
                Some(memory) => memory,
                None => output_of(&layer, &input, context)?,
            };
            match run(&layer, &runtime, &input, memory)? {
                Outcome::Done => Ok(()),
                Outcome::NotFinite => Err("the direct convolution has one outcome".to_owned()),
            }
        }
    }
}

impl ConvPool {
    /// Makes a layer of this call's weights that computes whatever the input holds.
    ///
    /// # Safety
    /// The context is that of this call.
    unsafe fn direct(&self, context: *mut OrtKernelContext) -> Result<Layer, String> {
        let count = FIRST_OPERAND + operand_count(&self.recipe);
        let inputs = (1..count)
            // SAFETY: as the caller promises.
            .map(|index| unsafe { tensor::input(context, index, &input_name(index)) })
            .collect::<Result<Vec<_>, _>>()?;
        layer(&self.recipe.without_winograd(), &inputs, None)
    }
}

/// Returns the memory of the output.
///
/// # Safety
/// The context is that of this call, and the output is asked for once.
unsafe fn output_of<'c>(
    layer: &Layer,
    input: &Tensor<'_>,
    context: *mut OrtKernelContext,
) -> Result<&'c mut [f32], String> {
    let shape = layer.output_shape(&input.shape).map_err(|error| error.to_string())?;
    // SAFETY: as the caller promises.
    unsafe { tensor::output::<f32>(context, &shape) }
}

fn run(
    layer: &Layer,
    runtime: &KernelRuntime<'_>,
    input: &Tensor<'_>,
    output: &mut [f32],
) -> Result<Outcome, String> {
    layer.run(runtime, input.floats()?, &input.shape, output).map_err(|error| error.to_string())
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

/// Makes a layer of W, B and the operands.
fn layer(
    recipe: &Recipe,
    inputs: &[Option<Tensor<'_>>],
    pixels: Option<&[usize]>,
) -> Result<Layer, String> {
    let filters = inputs.first().and_then(Option::as_ref).ok_or("W is missing")?;
    let bias = inputs.get(1).and_then(Option::as_ref).map(Tensor::floats).transpose()?;
    let operands =
        inputs.iter().skip(2).flatten().map(|tensor| tensor.floats().map(<[f32]>::to_vec));
    let operands = operands.collect::<Result<_, _>>()?;
    let weights = Weights { filters: filters.floats()?, shape: &filters.shape, bias, operands };
    let isa = Isa::detect().map_err(|error| error.to_string())?;
    Layer::new(recipe.clone(), weights, pixels, isa).map_err(|error| error.to_string())
}
