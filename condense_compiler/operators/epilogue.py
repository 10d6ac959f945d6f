"""The operator `condense::WithEpilogue`: an ONNX operator, and an element-wise program behind it.

Inputs: those of the operator, then the operands of the program, constants that broadcast to the
result. Attributes: `op`, the operator; `program`, its text form; all others are the operator's own.
Output: of the operator's shape and type.

What the operator itself gives is stored nowhere. What is computed is exactly what the single
operators compute, each result rounded to the type of the map. What is true of the operator, such
as which inputs it may overwrite, is true of the whole: the program needs its result alone.
"""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs
from onnx import FunctionProto, helper

from condense_compiler.operators.elementwise import Program
from condense_compiler.operators.function_body import Body
from condense_compiler.operators.fused import DOMAIN
from condense_compiler.operators.fused_elementwise import (
    PROGRAM,
    operand_constants,
    program_of,
    program_text,
)

EPILOGUE_OP = "WithEpilogue"
_OWN_ATTRIBUTES = ("op", PROGRAM)

# Operators that may have an epilogue: of ONNX's own, with one result, and inputs of which the last
# alone may be left out.
CONVOLUTIONS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
POOLINGS = ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMean")
ADDITIONS = ("Add", "Sum")
PRODUCERS = frozenset((*CONVOLUTIONS, *POOLINGS, *ADDITIONS))


def has_epilogue(node: gs.Node) -> bool:
    """Tell whether a node is a `condense::WithEpilogue`."""
    return bool(node.domain == DOMAIN and node.op == EPILOGUE_OP)


def producer_of(node: gs.Node) -> gs.Node:
    """Return the operator that an epilogue is behind; of a node without one, the node.

    It is not of the graph: its tensors do not know it.
    """
    if not has_epilogue(node):
        return node
    producer = gs.Node(node.attrs["op"], node.name, producer_attributes(node))
    inputs = node.inputs[: first_operand(node)]
    producer.__dict__.update(inputs=list(inputs), outputs=list(node.outputs))
    return producer


def producer_attributes(node: gs.Node) -> dict[str, Any]:
    """Return the attributes of the operator that an epilogue is behind."""
    return {name: value for name, value in node.attrs.items() if name not in _OWN_ATTRIBUTES}


def first_operand(node: gs.Node) -> int:
    """Return the index of the first input that the program reads."""
    return len(node.inputs) - program_of(node).operand_count()


def has_operands_for_channels(node: gs.Node) -> bool:
    """Tell whether every operand of the program is one number, or one for each channel."""
    rank = len(node.outputs[0].shape)
    shapes = (tuple(tensor.shape) for tensor in node.inputs[first_operand(node) :])
    aligned = ((1,) * (rank - len(shape)) + shape for shape in shapes)
    return all(shape[:1] + shape[2:] == (1,) * (rank - 1) for shape in aligned)


def add_epilogue(
    producer: gs.Node, name: str, program: Program, operands: Sequence[npt.NDArray[Any]]
) -> gs.Node:
    """Return a node that is another one with an epilogue; its output is for the caller to add."""
    attributes = {"op": producer.op, PROGRAM: program_text(program), **producer.attrs}
    inputs = list(producer.inputs)
    while inputs[-1].is_empty():
        inputs.pop()
    inputs += operand_constants(name, operands)
    return gs.Node(EPILOGUE_OP, name, attributes, inputs, [], domain=DOMAIN)


def epilogue_function(node: gs.Node, opset: int) -> FunctionProto:
    """Return the plain ONNX subgraph that a node stands for, as a model-local function."""
    first = first_operand(node)
    inputs = [f"input{index}" for index in range(first)]
    operands = [f"operand{index}" for index in range(len(node.inputs) - first)]
    body = Body(opset, np.dtype(node.outputs[0].dtype), inputs[0])
    body.apply(node.attrs["op"], inputs, **producer_attributes(node))
    body.run(program_of(node), operands)
    body.nodes[-1].output[0] = "Y"
    function = helper.make_function(
        DOMAIN,
        EPILOGUE_OP,
        [*inputs, *operands],
        ["Y"],
        body.nodes,
        [helper.make_opsetid("", opset)],
        attributes=sorted(node.attrs),
    )
    function.overload = f"{zlib.crc32(function.SerializeToString(deterministic=True)):08x}"
    return function
