"""The plain ONNX subgraph that `condense::ConvPool` stands for, as a model-local function.

A runtime without our kernels runs this body, so it is also the operator's definition.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs
from onnx import FunctionProto, NodeProto, helper, numpy_helper

from condense_compiler.operators.elementwise import INPUT, Program
from condense_compiler.operators.fused import DOMAIN, OP, ConvPool
from condense_compiler.operators.window import Window

# Since these opset versions the operator takes its axes as an input instead of an attribute.
AXES_INPUT_SINCE = {
    "ReduceL1": 18,
    "ReduceL2": 18,
    "ReduceMax": 18,
    "ReduceMean": 18,
    "ReduceMin": 18,
    "ReduceProd": 18,
    "ReduceSum": 13,
    "ReduceSumSquare": 18,
    "Squeeze": 13,
    "Unsqueeze": 13,
}

REDUCE_OPERATORS = {
    "max": "ReduceMax",
    "min": "ReduceMin",
    "mean": "ReduceMean",
    "sum": "ReduceSum",
    "l2": "ReduceL2",
}

_CHANNEL_AXIS = 1
_MEMBER_AXIS = 2


@dataclass(slots=True)
class Body:
    """Nodes of a function under construction.

    Attributes:
        opset: Version of the default domain that they are written in.
        dtype: Type of the values.
        value: Name of the latest result.
        nodes: The nodes so far.
    """

    opset: int
    dtype: np.dtype[np.generic]
    value: str
    nodes: list[NodeProto] = field(default_factory=list)

    def constant(self, values: object, dtype: npt.DTypeLike = np.int64) -> str:
        """Add a constant and return its name."""
        name = f"c{len(self.nodes)}"
        tensor = numpy_helper.from_array(np.asarray(values, dtype=dtype), name)
        self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    def apply(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node with one result and return its name."""
        self.value = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [self.value], **attributes))
        return self.value

    def reduce(self, op: str, axis: int) -> None:
        """Reduce an axis of the latest result and drop it."""
        if self.opset < AXES_INPUT_SINCE[op]:
            self.apply(op, [self.value], axes=[axis], keepdims=0)
        else:
            self.apply(op, [self.value, self.constant([axis])], keepdims=0)

    def run(self, program: Program, operands: Sequence[str]) -> None:
        """Apply a program to the latest result."""
        results: list[str] = []
        names = {INPUT: self.value} | {f"${i}": name for i, name in enumerate(operands)}
        for instruction in program.instructions:
            inputs = [
                names[argument] if argument in names else self.constant(argument, self.dtype)
                for argument in instruction.arguments
            ]
            results.append(self.apply(instruction.op, inputs, **dict(instruction.attributes)))
            names[f"%{len(results) - 1}"] = self.value


def function_body(
    recipe: ConvPool, wide_shape: Sequence[int], dtype: np.dtype[np.generic], opset: int
) -> FunctionProto:
    """Return the function for one recipe.

    Args:
        recipe: What the operator computes.
        wide_shape: Shape of the convolution's result, (batch, wide channels, pixels...).
        dtype: Type of the feature maps.
        opset: Version of the default domain that the body is written in.

    Returns:
        A function `condense::ConvPool` whose overload tells this body from others.
    """
    operands = [f"operand{i}" for i in range(operand_count(recipe))]
    body = Body(opset, dtype, "X")
    body.apply("Conv", ["X", "W", "B"], **_conv_attributes(recipe))
    split = recipe.before.operand_count()
    body.run(recipe.before, operands[:split])
    _reduce_channels(body, recipe, wide_shape)
    body.run(recipe.after, operands[split:])
    if recipe.spatial is not None:
        _max_pool(body, recipe.spatial)
    body.nodes[-1].output[0] = "Y"
    function = helper.make_function(
        DOMAIN,
        OP,
        ["X", "W", "B", *operands],
        ["Y"],
        body.nodes,
        [helper.make_opsetid("", opset)],
        attributes=sorted(recipe.to_attributes()),
    )
    function.overload = f"{zlib.crc32(function.SerializeToString(deterministic=True)):08x}"
    return function


def function_of(node: gs.Node, opset: int) -> FunctionProto:
    """Return the function of a `condense::ConvPool` node whose tensors have types and shapes."""
    recipe = ConvPool.from_attributes(node.attrs)
    data, filters = node.inputs[:2]
    pixels = recipe.convolution.output_shape(tuple(data.shape[2:]))
    wide_shape = (data.shape[0], filters.shape[0], *pixels)
    return function_body(recipe, wide_shape, np.dtype(filters.dtype), opset)


def operand_count(recipe: ConvPool) -> int:
    """Return how many operands a recipe's two programs read together."""
    return recipe.before.operand_count() + recipe.after.operand_count()


def _conv_attributes(recipe: ConvPool) -> dict[str, Any]:
    window = recipe.convolution
    return {
        "kernel_shape": list(window.kernel_shape),
        "strides": list(window.strides),
        "pads": list(window.pads),
        "dilations": list(window.dilations),
        "group": recipe.group,
    }


def _reduce_channels(body: Body, recipe: ConvPool, wide_shape: Sequence[int]) -> None:
    if recipe.members:
        body.apply("Gather", [body.value, body.constant(recipe.members)], axis=_CHANNEL_AXIS)
    if recipe.window == 1 and recipe.reduction in ("max", "min", "mean", "sum"):
        return
    channels = (len(recipe.members) or wide_shape[_CHANNEL_AXIS]) // recipe.window
    grouped = [wide_shape[0], channels, recipe.window, *wide_shape[2:]]
    body.apply("Reshape", [body.value, body.constant(grouped)])
    if recipe.reduction == "ordinal":
        _weigh_ranks(body, recipe, len(wide_shape) - 2)
        body.reduce("ReduceSum", _MEMBER_AXIS)
    else:
        body.reduce(REDUCE_OPERATORS[recipe.reduction], _MEMBER_AXIS)


def _weigh_ranks(body: Body, recipe: ConvPool, spatial_rank: int) -> None:
    count = body.constant([recipe.window])
    ranked, indices = f"v{len(body.nodes)}", f"i{len(body.nodes)}"
    body.nodes.append(
        helper.make_node(
            "TopK", [body.value, count], [ranked, indices], axis=_MEMBER_AXIS, largest=1, sorted=1
        )
    )
    weights = np.reshape(recipe.rank_weights, (-1, *(1,) * spatial_rank))
    body.apply("Mul", [ranked, body.constant(weights, body.dtype)])


def _max_pool(body: Body, window: Window) -> None:
    body.apply(
        "MaxPool",
        [body.value],
        kernel_shape=list(window.kernel_shape),
        strides=list(window.strides),
        pads=list(window.pads),
        dilations=list(window.dilations),
        ceil_mode=int(window.ceil_mode),
    )
