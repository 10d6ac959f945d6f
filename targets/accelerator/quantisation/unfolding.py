"""Write quantisation as arithmetic, so that the passes of the compiler see through it.

    QuantizeLinear, DequantizeLinear  →  Div by the scale, Round, Clip, Mul by the scale

Round and Clip never decrease, so that a max-pooling of channels may change places with them, and
what stands between a convolution and its pooling no longer hides the pattern. Weights become whole
numbers, whose scale and bias stand behind the layer (`weights.py`).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from condense_compiler.errors import UnsupportedError
from condense_compiler.network.integer_operators import split_up
from condense_compiler.targets.accelerator.integer.forms import ON_CODES, Forms
from condense_compiler.targets.accelerator.moving import moves
from condense_compiler.targets.accelerator.quantisation import constants
from condense_compiler.targets.accelerator.quantisation.weights import Codes, bias_parts, layer_of
from condense_compiler.targets.accelerator.quantisation.writer import Writer

Array = npt.NDArray[Any]


def values_of_codes(model: onnx.ModelProto) -> dict[str, str]:
    """Return the name that `unfold` gives the values of each tensor of codes."""
    writer, renamed = _written(model, {})
    return {codes: renamed.get(name, name) for codes, name in writer.known.items()}


def _written(model: onnx.ModelProto, forms: Forms) -> tuple[Writer, dict[str, str]]:
    writer = Writer({t.name: t for t in model.graph.initializer}, forms)
    for node in model.graph.node:
        for part in split_up(node):
            _RULES.get(part.op_type, _copy)(writer, part)
    return writer, writer.name_outputs([output.name for output in model.graph.output])


def unfold(model: onnx.ModelProto, forms: Forms) -> onnx.ModelProto:
    """Return the model with quantisation written as arithmetic in float32.

    Args:
        model: A quantised model.
        forms: How ONNX Runtime computes its operators.

    Raises:
        UnsupportedError: Feature maps are quantised in a way that the accelerator does not have.
    """
    writer, _ = _written(model, forms)
    unfolded = onnx.ModelProto()
    unfolded.CopyFrom(model)
    del unfolded.graph.node[:], unfolded.graph.value_info[:], unfolded.graph.initializer[:]
    unfolded.graph.node.extend(writer.nodes)
    used = {name for node in writer.nodes for name in node.input}
    used |= {output.name for output in model.graph.output}
    for name in used & writer.coded.keys():
        writer.constant(name, writer.coded[name].values())
    kept = (tensor for name, tensor in writer.constants.items() if name in used)
    unfolded.graph.initializer.extend(kept)
    return unfolded


def _scale_and_zero(writer: Writer, node: onnx.NodeProto) -> tuple[float, int, np.dtype[Any]]:
    scale, zero = writer.value(node.input[1]), _zero(writer, node, np.uint8)
    if scale.size != 1 or zero.size != 1:
        raise UnsupportedError(f"{node.name}: a feature map with one scale for each channel")
    if zero.dtype not in (np.int8, np.uint8):
        raise UnsupportedError(f"{node.name}: feature maps of {zero.dtype}; codes have 8 bits")
    return float(scale.reshape(())), int(zero.reshape(())), zero.dtype


def _quantise(writer: Writer, node: onnx.NodeProto) -> None:
    source, codes = node.input[0], node.output[0]
    if source in writer.constants:
        _quantise_constant(writer, node)
        return
    scale, zero, dtype = _scale_and_zero(writer, node)
    limits = np.iinfo(dtype)
    grid, values = (scale, zero), writer.known.get(source, source)
    writer.codes.add(codes)
    if writer.grids.get(values) == grid:  # quantised so already
        writer.known[codes] = values
        return
    way = (values, *grid, dtype.name)
    if way in writer.quantised:  # for another reader
        writer.known[codes] = writer.quantised[way]
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
    writer.quantised[way] = writer.known[codes]


def _quantise_constant(writer: Writer, node: onnx.NodeProto) -> None:
    values, scale = writer.value(node.input[0]), writer.value(node.input[1])
    codes = constants.quantised(node, values, scale, _zero(writer, node, np.uint8))
    writer.constants[node.output[0]] = numpy_helper.from_array(codes, node.output[0])


def _zero(writer: Writer, node: onnx.NodeProto, dtype: type[np.integer[Any]]) -> Array:
    """Return the code of the value zero; 0 of a type where the node does not say."""
    has_zero = len(node.input) > 2 and node.input[2]
    return writer.value(node.input[2]) if has_zero else np.zeros((), dtype)


def _dequantise(writer: Writer, node: onnx.NodeProto) -> None:
    source, values = node.input[0], node.output[0]
    if source in writer.known:
        writer.known[values] = writer.known[source]
        return
    if source not in writer.constants:
        raise UnsupportedError(f"{source}: read as codes, but nothing quantises it")
    codes, scale = writer.value(source), writer.value(node.input[1])
    writer.coded[values] = constants.dequantised(node, codes, scale, _zero(writer, node, np.int8))


def _transpose(writer: Writer, node: onnx.NodeProto) -> None:
    """Transpose a constant of codes."""
    if node.input[0] in writer.coded:
        writer.coded[node.output[0]] = constants.transposed(node, writer.coded[node.input[0]])
    else:
        _copy(writer, node)


def _step(code: Array, zero: int) -> np.float32:
    return np.float32(int(code) - zero)


def _clip(writer: Writer, node: onnx.NodeProto) -> None:
    """Clip codes, by what their limits mean."""
    source, codes = node.input[0], node.output[0]
    if source not in writer.codes:
        _copy(writer, node)
        return
    values = writer.known[source]
    scale, zero = writer.grids[values]
    given = [writer.value(name) if name else None for name in (*node.input[1:], "", "")[:2]]
    limits = [
        "" if limit is None else writer.constant(f"{codes}/{index}", _step(limit, zero) * scale)
        for index, limit in enumerate(given)
    ]
    writer.known[codes] = writer.append("Clip", [values, *limits], f"{codes}/values")
    writer.grids[writer.known[codes]] = scale, zero
    writer.codes.add(codes)


def _identity(writer: Writer, node: onnx.NodeProto) -> None:
    """Give a constant its other name."""
    source, name = node.input[0], node.output[0]
    if source in writer.coded:
        writer.coded[name] = writer.coded[source]
    elif source in writer.constants:
        writer.constants[name] = numpy_helper.from_array(writer.value(source), name)
    else:
        _copy(writer, node)


def _layer(writer: Writer, node: onnx.NodeProto) -> None:
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


def _bias_parts(writer: Writer, node: onnx.NodeProto, weights: Codes) -> list[Array]:
    """Return what is added to a layer's scaled sums, one after the other."""
    if len(node.input) < 3 or not node.input[2]:
        return []
    bias = writer.coded.get(node.input[2])
    grid = writer.grids.get(writer.known.get(node.input[0], node.input[0]))
    unit = None if grid is None else np.float32(grid[0]) * weights.scale.reshape(-1)
    given = writer.value(node.input[2]).reshape(-1) if bias is None else bias
    if unit is None or not writer.forms.get(node.name, ON_CODES).adds_bias_codes:
        return bias_parts(given, unit)
    steps = given.steps if isinstance(given, Codes) else np.rint(given / unit)
    return bias_parts(Codes(steps, unit, 0), unit)


def _copy(writer: Writer, node: onnx.NodeProto) -> None:
    """Copy a node; one that moves codes moves their values instead."""
    if node.op_type == "Mul" and all(name in writer.constants for name in node.input):
        writer.constant(node.output[0], writer.value(node.input[0]) * writer.value(node.input[1]))
        return
    mode = next((a.s.decode() for a in node.attribute if a.name == "mode"), "")
    moves_codes = moves(node.op_type, mode)
    read = writer.codes.intersection(node.input)
    if read and not moves_codes:
        raise UnsupportedError(
            f"node '{node.name}' ({node.op_type}): computes on the codes '{min(read)}' themselves; "
            "dequantise them before it and quantise its result"
        )
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [writer.known.get(name, name) for name in node.input]
    if node.input and node.input[0] in writer.known and moves_codes:
        copy.output[:] = [f"{name}/values" for name in node.output]
        writer.known |= {name: f"{name}/values" for name in node.output}
        writer.codes |= set(node.output) if read else set()
    if moves_codes and copy.op_type != "Concat" and copy.input[0] in writer.grids:
        writer.grids |= dict.fromkeys(copy.output, writer.grids[copy.input[0]])
    writer.nodes.append(copy)


_RULES: Mapping[str, Callable[[Writer, onnx.NodeProto], None]] = {
    "Clip": _clip,
    "QuantizeLinear": _quantise,
    "DequantizeLinear": _dequantise,
    "Identity": _identity,
    "Transpose": _transpose,
    **dict.fromkeys(("Conv", "Gemm", "MatMul"), _layer),
}
