"""Where an operator's results may lie: inside its inputs, around them, or in their place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from condense_compiler.network.tensors import element_bits, tensor_bytes
from condense_compiler.operators.attributes import is_plain
from condense_compiler.operators.definition import Kind
from condense_compiler.operators.elementwise import UNARY
from condense_compiler.operators.epilogue import (
    ADDITIONS,
    has_epilogue,
    has_operands_for_channels,
    producer_of,
)
from condense_compiler.operators.fused import is_conv_pool
from condense_compiler.operators.fused_elementwise import is_elementwise
from condense_compiler.operators.on_codes import ELEMENT_WISE, is_on_codes
from condense_compiler.operators.registry import definition_of, parse
from condense_compiler.operators.standardising import STANDARDISING, normalised_groups


@dataclass(frozen=True, slots=True)
class Alias:
    """All bytes of the smaller of an input and an output are bytes of the other.

    Attributes:
        input: Index of the input.
        output: Index of the output.
        shift: Position of the output minus position of the input, in bytes.
    """

    input: int
    output: int
    shift: int


def aliases_of(node: gs.Node) -> list[Alias]:
    """Return how an operator's inputs and outputs may share memory without any work.

    A batch above one breaks most of them: the axis of channels is then not the outermost.
    """
    if definition_of(node).kind is not Kind.MOVED:
        return []  # what is computed lies elsewhere
    aliases = parse(node).aliases()
    bits = element_bits(node.inputs[0]) if aliases else 0
    if any(alias.shift * bits % 8 for alias in aliases):
        return []  # elements that share a byte
    return [Alias(each.input, each.output, each.shift * bits // 8) for each in aliases]


def accumulates(node: gs.Node) -> bool:
    """Tell whether an operator can add its result to what already lies in its output's place."""
    producer = producer_of(node)
    is_finished_in_stripes = not has_epilogue(node) or has_operands_for_channels(node)
    return is_plain(producer) and producer.op == "Conv" and is_finished_in_stripes


def is_addition(node: gs.Node) -> bool:
    """Tell whether an operator adds two tensors, whatever it then does with the sum."""
    addition = producer_of(node)
    return is_plain(addition) and addition.op in ADDITIONS and len(addition.inputs) == 2


Overwritable = Callable[[gs.Node], list[int]]


def _same_place(node: gs.Node) -> list[int]:
    """Inputs of the result's shape and type: each element is read before it is written."""
    result = node.outputs[0]
    return [
        index
        for index, tensor in enumerate(node.inputs)
        if not tensor.is_empty()
        and tuple(tensor.shape) == tuple(result.shape)
        and tensor.dtype == result.dtype
    ]


def _first_if_same(node: gs.Node) -> list[int]:
    return [index for index in _same_place(node) if index == 0]


def _plane_by_plane(node: gs.Node) -> list[int]:
    """The data of an operator that turns each plane into one that is no larger.

    Planes are computed in rising order, each read whole before its result is written, so no
    result reaches a plane that is still to be read.
    """
    data, result = node.inputs[0], node.outputs[0]
    same_planes = tuple(data.shape[:2]) == tuple(result.shape[:2])
    fits = tensor_bytes(result) <= tensor_bytes(data) and data.dtype == result.dtype
    return [0] if same_planes and fits and len(node.outputs) == 1 else []


def _pixel_by_pixel(node: gs.Node) -> list[int]:
    """The data of an operator that looks along the channels of one pixel at a time."""
    data, result = node.inputs[0], node.outputs[0]
    is_map = len(data.shape) > 2 and tuple(data.shape[2:]) == tuple(result.shape[2:])
    return [0] if is_map and _keeps_batches(node) and data.dtype == result.dtype else []


def _row_by_row(node: gs.Node) -> list[int]:
    """The data of a convolution whose result has as many pixels as its data.

    Rows are computed in rising order. The rows that are still to be read are set aside before
    a result is written over them, so memory for a few rows is enough.
    """
    depthwise = node.attrs.get("group", 1) == node.inputs[0].shape[1] == node.outputs[0].shape[1]
    if depthwise and len(node.inputs[0].shape) > 2:
        return _plane_by_plane(node)
    return _pixel_by_pixel(node)


def _keeps_batches(node: gs.Node) -> bool:
    """Tell whether each item of a batch starts where it started."""
    data, result = node.inputs[0].shape, node.outputs[0].shape
    return bool(data[0] == 1 or tuple(data[:2]) == tuple(result[:2]))


def _group_by_group(node: gs.Node) -> list[int]:
    """The data of an operator that reads all of a group before it writes any of it."""
    others = {tensor.name for tensor in node.inputs[1:]}
    alone = node.inputs[0].name not in others
    # Whether a scale is one for a channel or one for a group makes no difference here.
    is_known = normalised_groups(node, opset=1) is not None
    return _first_if_same(node) if alone and is_known else []


OVERWRITABLE: Mapping[str, Overwritable] = {
    **dict.fromkeys(UNARY, _first_if_same),
    **dict.fromkeys(
        ("Add", "Div", "Max", "Mean", "Min", "Mul", "Pow", "PRelu", "Sub", "Sum"), _same_place
    ),
    **dict.fromkeys(("BatchNormalization", "Clip"), _first_if_same),
    **dict.fromkeys(("Hardmax", "LogSoftmax", "LpNormalization", "Softmax"), _first_if_same),
    **dict.fromkeys(STANDARDISING, _group_by_group),
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), _plane_by_plane),
    "Conv": _row_by_row,
    "LRN": _pixel_by_pixel,
}


def overwritable_inputs(node: gs.Node) -> list[int]:
    """Return the inputs whose place the first output may take, if they are not needed any more."""
    if node.outputs[0].is_empty():
        return []
    node = producer_of(node)  # an epilogue needs nothing but the result
    if is_conv_pool(node):
        return _pixel_by_pixel(node)
    if is_elementwise(node):
        return _first_if_same(node)
    if is_on_codes(node) and node.attrs["op"] in ELEMENT_WISE:
        return _same_place(node)
    if not is_plain(node) or node.op not in OVERWRITABLE:
        return []
    return OVERWRITABLE[node.op](node)
