"""Where an operator's results may lie: inside its inputs, around them, or in their place."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.attributes import constant_input, int_list
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


Aliases = Callable[[gs.Node], list[Alias]]


def no_alias(_node: gs.Node) -> list[Alias]:
    """Return that every result has a place of its own."""
    return []


def whole(_node: gs.Node) -> list[Alias]:
    """Return that the result is its input, under another shape."""
    return [Alias(0, 0, 0)]


def relabelled(node: gs.Node) -> list[Alias]:
    """Return that a transposition which moves axes of size one alone is its input."""
    shape = node.inputs[0].shape
    permutation = node.attrs.get("perm", range(len(shape))[::-1])
    moved = [axis for axis in permutation if shape[axis] > 1]
    return [Alias(0, 0, 0)] if moved == sorted(moved) else []


def split_parts(node: gs.Node) -> list[Alias]:
    """Return that the parts follow each other in the input, if the axis allows that."""
    if not _is_outermost(node.inputs[0].shape, node.attrs.get("axis", 0)):
        return []
    start, aliases = 0, []
    for index, output in enumerate(node.outputs):
        if not output.is_empty():
            aliases.append(Alias(0, index, start))
        start += tensor_bytes(output)
    return aliases


def sliced(node: gs.Node) -> list[Alias]:
    """Return that a slice is a stretch of the input, if it is one."""
    shape = list(node.inputs[0].shape)
    starts = int_list(node, "starts", 1)
    axes = int_list(node, "axes", 3) if len(node.inputs) > 3 else node.attrs.get("axes")
    steps = int_list(node, "steps", 4) if len(node.inputs) > 4 else None
    if starts is None or (len(node.inputs) > 3 and axes is None and not node.inputs[3].is_empty()):
        return []
    if len(node.inputs) > 4 and steps is None and not node.inputs[4].is_empty():
        return []
    changed = [axis for axis, size in enumerate(node.outputs[0].shape) if size != shape[axis]]
    if steps is not None and any(step != 1 for step in steps):
        return []
    if not changed:
        return [Alias(0, 0, 0)]
    axis = changed[0]
    if len(changed) > 1 or not _is_outermost(shape, axis):
        return []
    by_axis = dict(zip((a % len(shape) for a in axes or range(len(starts))), starts, strict=True))
    start = by_axis[axis] + (shape[axis] if by_axis[axis] < 0 else 0)
    start = min(max(start, 0), shape[axis])
    return [Alias(0, 0, start * (tensor_bytes(node.inputs[0]) // shape[axis]))]


def gathered(node: gs.Node) -> list[Alias]:
    """Return that a single position along an outermost axis is a stretch of the input."""
    indices = constant_input(node, 1)
    shape = node.inputs[0].shape
    axis = node.attrs.get("axis", 0) % len(shape)
    if indices is None or indices.size != 1 or not _is_outermost(shape, axis):
        return []
    position = int(indices.reshape(-1)[0]) % shape[axis]
    return [Alias(0, 0, position * (tensor_bytes(node.inputs[0]) // shape[axis]))]


def concatenated(node: gs.Node) -> list[Alias]:
    """Return that the inputs follow each other in the result, if the axis allows that."""
    if not _is_outermost(node.outputs[0].shape, node.attrs["axis"]):
        return []
    start, aliases = 0, []
    for index, tensor in enumerate(node.inputs):
        aliases.append(Alias(index, 0, -start))
        start += tensor_bytes(tensor)
    return aliases


def _is_outermost(shape: list[int], axis: int) -> bool:
    """Tell whether positions along an axis are whole stretches of memory."""
    return math.prod(shape[: axis % len(shape)]) == 1


ALIASES: Mapping[str, Aliases] = {
    "Concat": concatenated,
    "Dropout": whole,
    "Flatten": whole,
    "Gather": gathered,
    "Identity": whole,
    "Reshape": whole,
    "Slice": sliced,
    "Split": split_parts,
    "Squeeze": whole,
    "Transpose": relabelled,
    "Unsqueeze": whole,
}


def aliases_of(node: gs.Node) -> list[Alias]:
    """Return how an operator's inputs and outputs may share memory without any work.

    A batch above one breaks most of them: the axis of channels is then not the outermost.
    """
    if not is_plain(node):
        return []
    return ALIASES.get(node.op, no_alias)(node)


def accumulates(node: gs.Node) -> bool:
    """Tell whether an operator can add its result to what already lies in its output's place."""
    producer = producer_of(node)
    is_finished_in_stripes = not has_epilogue(node) or has_operands_for_channels(node)
    return is_plain(producer) and producer.op == "Conv" and is_finished_in_stripes


def is_addition(node: gs.Node) -> bool:
    """Tell whether an operator adds two tensors, whatever it then does with the sum."""
    addition = producer_of(node)
    return is_plain(addition) and addition.op in ADDITIONS and len(addition.inputs) == 2


def is_plain(node: gs.Node) -> bool:
    """Tell whether an operator is one of ONNX's own."""
    return node.domain in (None, "", "ai.onnx")


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
