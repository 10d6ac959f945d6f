//! The operator `condense::QLinearConvPool`.

use std::ffi::CStr;

use condense_kernels::{Isa, Quantization, QuantizedLayer, QuantizedWeights, Recipe};
use ort_sys::{
    ONNXTensorElementDataType, OrtCustomOp, OrtCustomOpInputOutputCharacteristic, OrtKernelContext,
    OrtKernelInfo,
};

use crate::attributes::{self, KernelAttributes};
use crate::operator::{self, Operator};
use crate::runtime::{Allocator, KernelRuntime};
use crate::tensor::{self, Tensor};

const REQUIRED: OrtCustomOpInputOutputCharacteristic =
    OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_REQUIRED;
const OPTIONAL: OrtCustomOpInputOutputCharacteristic =
    OrtCustomOpInputOutputCharacteristic::INPUT_OUTPUT_OPTIONAL;

/// Inputs behind x, which make the layer.
const NAMES: [&str; 9] = [
    "x_scale",
    "x_zero_point",
    "w",
    "w_scale",
    "w_zero_point",
    "y_scale",
    "y_zero_point",
    "B",
    "table",
];

/// Returns the description that ONNX Runtime reads.
pub fn operator() -> *const OrtCustomOp {
    operator::description::<QLinearConvPool>()
}

/// One node: its recipe, and the layer if all weights are constant.
pub struct QLinearConvPool {
    name: String,
    recipe: Recipe,
    constant: Option<QuantizedLayer>,
    allocator: Allocator,
}

impl Operator for QLinearConvPool {
    const NAME: &'static CStr = c"QLinearConvPool";
    const INPUTS: &'static [OrtCustomOpInputOutputCharacteristic] = &[
        REQUIRED, REQUIRED, REQUIRED, REQUIRED, REQUIRED, REQUIRED, REQUIRED, REQUIRED, OPTIONAL,
        OPTIONAL,
    ];
    const ELEMENT: ONNXTensorElementDataType =
        ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    const TYPED_LIKE: usize = 7;
    const FILTERS: usize = 3;

    unsafe fn new(info: *const OrtKernelInfo) -> Result<Self, String> {
        // SAFETY: `info` comes from ONNX Runtime and is used during this call alone.
        unsafe {
            let recipe = attributes::recipe(&KernelAttributes::new(info))?;
            let inputs = operator::constant_inputs(info, 1, 1 + NAMES.len(), input_name)?;
            let constant = inputs.map(|inputs| layer(&recipe, &inputs)).transpose()?;
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
            // SAFETY: the context is that of this call.
            let inputs = (1..=NAMES.len())
                .map(|index| unsafe { tensor::input(context, index, &input_name(index)) })
                .collect::<Result<Vec<_>, _>>()?;
            computed = layer(&self.recipe, &inputs)?;
            &computed
        };
        // SAFETY: the context is that of this call; the output is asked for once, and is of bytes,
        // since its zero point is.
        unsafe {
            let input = tensor::input(context, 0, "x")?.ok_or("x is missing")?;
            let shape = layer.output_shape(&input.shape).map_err(|e| e.to_string())?;
            let output = tensor::output::<u8>(context, &shape)?;
            let runtime = KernelRuntime::new(context, &self.allocator);
            let (bytes, _) = input.bytes()?;
            layer.run(&runtime, bytes, &input.shape, output).map_err(|error| error.to_string())
        }
    }
}

fn input_name(index: usize) -> String {
    NAMES[index - 1].to_owned()
}

/// Makes a layer of the inputs behind x.
fn layer(recipe: &Recipe, inputs: &[Option<Tensor<'_>>]) -> Result<QuantizedLayer, String> {
    let [x_scale, x_zero, filters, w_scale, w_zero, y_scale, y_zero, bias, table] = inputs else {
        return Err("inputs are missing".to_owned());
    };
    let filters = filters.as_ref().ok_or("w is missing")?;
    let scales = w_scale.as_ref().ok_or("w_scale is missing")?.floats()?;
    let (bytes, signed) = filters.bytes()?;
    let (zeros, _) = w_zero.as_ref().ok_or("w_zero_point is missing")?.bytes()?;
    let size = bytes.len().checked_div(filters.shape.first().copied().unwrap_or(0)).unwrap_or(0);
    let centred: Vec<i32> = bytes
        .iter()
        .enumerate()
        .map(|(index, &byte)| {
            let zero = zeros[index / size.max(1) % zeros.len().max(1)];
            number(byte, signed) - number(zero, signed)
        })
        .collect();
    let bias = bias.as_ref().map(Tensor::values::<i32>).transpose()?;
    let table = table.as_ref().map(Tensor::bytes).transpose()?.map(|(bytes, _)| bytes);
    let weights =
        QuantizedWeights { filters: &centred, shape: &filters.shape, scales, bias, table };
    let (input, output) = (
        quantization(x_scale.as_ref(), x_zero.as_ref())?,
        quantization(y_scale.as_ref(), y_zero.as_ref())?,
    );
    let isa = Isa::detect().map_err(|error| error.to_string())?;
    QuantizedLayer::new(recipe.clone(), &weights, input, output, isa)
        .map_err(|error| error.to_string())
}

fn number(byte: u8, signed: bool) -> i32 {
    if signed { i32::from(byte.cast_signed()) } else { i32::from(byte) }
}

fn quantization(
    scale: Option<&Tensor<'_>>,
    zero_point: Option<&Tensor<'_>>,
) -> Result<Quantization, String> {
    let scale = scale.ok_or("a scale is missing")?.floats()?;
    let (zero_point, signed) = zero_point.ok_or("a zero point is missing")?.bytes()?;
    match (scale, zero_point) {
        (&[scale], &[zero_point]) => Ok(Quantization { scale, zero_point, signed }),
        _ => Err("x and y have one scale and one zero point".to_owned()),
    }
}
