"""Write quantisation as arithmetic, so that the passes of the compiler see through it.

    QuantizeLinear, DequantizeLinear  →  Div by the scale, Round, Clip, Mul by the scale

Round and Clip never decrease, so that a max-pooling of channels may change places with them, and
what stands between a convolution and its pooling no longer hides the pattern. Weights become whole
numbers, whose scale and bias stand behind the layer (`weights.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from condense_compiler.errors import UnsupportedError
from condense_compiler.network.integer_operators import SPLIT_UP, split_up
from condense_compiler.targets.accelerator.quantisation.weights import Codes, bias_parts, layer_of

Array = npt.NDArray[Any]


def is_quantised(model: onnx.ModelProto) -> bool:
    """Tell whether a model is quantised already."""
    return any(
        node.op_type == "QuantizeLinear" or node.op_type in SPLIT_UP for node in model.graph.node
    )


def values_of_codes(model: onnx.ModelProto) -> dict[str, str]:
    """Return the name that `unfold` gives the values of each tensor of codes."""
    writer, renamed = _written(model)
    return {codes: renamed.get(name, name) for codes, name in writer.known.items()}


def _written(model: onnx.ModelProto) -> tuple["_Writer", dict[str, str]]:
    writer = _Writer({t.name: t for t in model.graph.initializer})
    for node in model.graph.node:
        for part in split_up(node):
            writer.add(part)
    return writer, writer.name_outputs([output.name for output in model.graph.output])


def unfold(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with quantisation written as arithmetic in float32.

    Raises:
        UnsupportedError: Feature maps are quantised in a way that the accelerator does not have.
    """
    writer, _ = _written(model)
    unfolded = onnx.ModelProto()
    unfolded.CopyFrom(model)
    del unfolded.graph.node[:], unfolded.graph.value_info[:], unfolded.graph.initializer[:]
    unfolded.graph.node.extend(writer.nodes)
    used = {name for node in writer.nodes for name in node.input}
    for name in used & writer.coded.keys():
        writer.constant(name, writer.coded[name].values())
    kept = (tensor for name, tensor in writer.constants.items() if name in used)
    unfolded.graph.initializer.extend(kept)
    return unfolded


@dataclass(slots=True)
class _Writer:
    """Nodes so far.

    Attributes:
        constants: Constants by name.
        nodes: Nodes in their order.
        known: Floating-point name of each tensor whose name stands for codes, or for their values.
        grids: Scale and zero of values that are quantised, by floating-point name.
        coded: Constants that are dequantised, by the name of their values.
    """

    constants: dict[str, onnx.TensorProto]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)
    grids: dict[str, tuple[float, int]] = field(default_factory=dict)
    coded: dict[str, Codes] = field(default_factory=dict)

    def add(self, node: onnx.NodeProto) -> None:
        """Add a node of the quantised model."""
        rule = _RULES.get(node.op_type, _copy)
        rule(self, node)

    def value(self, name: str) -> Array:
        """Return the value of a constant.

        Raises:
            UnsupportedError: The network computes it.
        """
        if name not in self.constants:
            raise UnsupportedError(f"{name}: scales and zero points must be constants")
        return numpy_helper.to_array(self.constants[name])

    def constant(self, name: str, value: object) -> str:
        """Add a constant in float32."""
        values = np.asarray(value, np.float32)
        self.constants[name] = numpy_helper.from_array(values, name)
        return name

    def append(self, op: str, inputs: list[str], output: str) -> str:
        """Append a node."""
        self.nodes.append(helper.make_node(op, inputs, [output], name=output))
        return output

    def name_outputs(self, outputs: list[str]) -> dict[str, str]:
        """Give the outputs of the graph, where they are known under other names, theirs.

        Returns:
            New names by old ones.
        """
        renamed = {self.known[name]: name for name in outputs if name in self.known}
        for node in self.nodes:
            node.input[:] = [renamed.get(name, name) for name in node.input]
            node.output[:] = [renamed.get(name, name) for name in node.output]
        return renamed


def _scale_and_zero(writer: _Writer, node: onnx.NodeProto) -> tuple[float, int, np.dtype[Any]]:
    scale = writer.value(node.input[1])
    has_zero = len(node.input) > 2 and node.input[2]
    zero = writer.value(node.input[2]) if has_zero else np.zeros((), np.uint8)
    if scale.size != 1 or zero.size != 1:
        raise UnsupportedError(f"{node.name}: a feature map with one scale for each channel")
    if zero.dtype not in (np.int8, np.uint8):
        raise UnsupportedError(f"{node.name}: feature maps of {zero.dtype}; codes have 8 bits")
    return float(scale.reshape(())), int(zero.reshape(())), zero.dtype


def _quantise(writer: _Writer, node: onnx.NodeProto) -> None:
    source, codes = node.input[0], node.output[0]
    scale, zero, dtype = _scale_and_zero(writer, node)
    limits = np.iinfo(dtype)
    grid, values = (scale, zero), writer.known.get(source, source)
    if writer.grids.get(values) == grid:  # quantised so already
        writer.known[codes] = values
        return
    step = writer.constant(f"{codes}/scale", scale)
    bounds = [
        writer.constant(f"{codes}/{name}", limit - zero)
        for name, limit in (("lower", limits.min), ("upper", limits.max))
    ]
    steps = writer.append("Div", [values, step], f"{codes}/steps")
    rounded = writer.append("Round", [steps], f"{codes}/rounded")
    clipped = writer.append("Clip", [rounded, *bounds], f"{codes}/clipped")
    writer.known[codes] = writer.append("Mul", [clipped, step], f"{codes}/values")
    writer.grids[writer.known[codes]] = grid


def _dequantise(writer: _Writer, node: onnx.NodeProto) -> None:
    source, values = node.input[0], node.output[0]
    if source in writer.known:
        writer.known[values] = writer.known[source]
        return
    if source not in writer.constants:
        raise UnsupportedError(f"{source}: read as codes, but nothing quantises it")
    codes, scale = writer.value(source), writer.value(node.input[1])
    zero = writer.value(node.input[2]) if len(node.input) > 2 and node.input[2] else np.int8(0)
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1) % max(codes.ndim, 1)
    if np.size(zero) > 1:
        zero = np.reshape(zero, [-1 if i == axis else 1 for i in range(codes.ndim)])
    wide = np.int16 if codes.itemsize == 1 else np.int64
    steps = codes.astype(wide) - np.asarray(zero, wide)
    writer.coded[values] = Codes(steps, scale.astype(np.float32), axis)


def _identity(writer: _Writer, node: onnx.NodeProto) -> None:
    """Give a constant its other name."""
    source, name = node.input[0], node.output[0]
    if source in writer.coded:
        writer.coded[name] = writer.coded[source]
    elif source in writer.constants:
        writer.constants[name] = numpy_helper.from_array(writer.value(source), name)
    else:
        _copy(writer, node)


def _layer(writer: _Writer, node: onnx.NodeProto) -> None:
    """Write a layer with its codes as weights, the scales and the bias behind it."""
    weights = writer.coded.get(node.input[1])
    layer = layer_of(node, weights) if weights is not None else None
    if weights is None or layer is None:
        _copy(writer, node)
        return
    source, output = writer.known.get(node.input[0], node.input[0]), node.output[0]
    bare = onnx.NodeProto()
    bare.CopyFrom(node)
    bare.input[:] = [source, writer.constant(f"{output}/codes", weights.steps)]
    sums = f"{output}/sums"
    bare.output[:] = [sums]
    writer.nodes.append(bare)
    scales = weights.scale.reshape(layer.scale_shape if weights.scale.size > 1 else ())
    parts = _bias_parts(writer, node, weights)
    steps = [("Mul", scales), *(("Add", part.reshape(layer.scale_shape)) for part in parts)]
    for index, (op, constant) in enumerate(steps):
        last = index == len(steps) - 1
        operand = writer.constant(f"{output}/{op}{index}", constant)
        sums = writer.append(op, [sums, operand], output if last else f"{output}/scaled{index}")


def _bias_parts(writer: _Writer, node: onnx.NodeProto, weights: Codes) -> list[Array]:
    """Return what is added to a layer's scaled sums, one after the other."""
    if len(node.input) < 3 or not node.input[2]:
        return []
    bias = writer.coded.get(node.input[2])
    grid = writer.grids.get(writer.known.get(node.input[0], node.input[0]))
    unit = None if grid is None else np.float32(grid[0]) * weights.scale.reshape(-1)
    return bias_parts(writer.value(node.input[2]).reshape(-1) if bias is None else bias, unit)


def _copy(writer: _Writer, node: onnx.NodeProto) -> None:
    """Copy a node; one that moves codes moves their values instead."""
    if node.op_type == "Mul" and all(name in writer.constants for name in node.input):
        writer.constant(node.output[0], writer.value(node.input[0]) * writer.value(node.input[1]))
        return
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [writer.known.get(name, name) for name in node.input]
    if node.input and node.input[0] in writer.known and copy.op_type in _MOVES_CODES:
        copy.output[:] = [f"{name}/values" for name in node.output]
        writer.known |= {name: f"{name}/values" for name in node.output}
    if copy.op_type in _MOVES_CODES - {"Concat"} and copy.input[0] in writer.grids:
        writer.grids |= dict.fromkeys(copy.output, writer.grids[copy.input[0]])
    writer.nodes.append(copy)


_MOVES_CODES = frozenset(
    [
        "Concat",
        "Flatten",
        "Identity",
        "MaxPool",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    ]
)

_RULES: Mapping[str, Callable[[_Writer, onnx.NodeProto], None]] = {
    "QuantizeLinear": _quantise,
    "DequantizeLinear": _dequantise,
    "Identity": _identity,
    **dict.fromkeys(("Conv", "Gemm", "MatMul"), _layer),
}
