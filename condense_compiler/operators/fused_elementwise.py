"""The operator `condense::Elementwise`: an element-wise program of one feature map.

Inputs: the map, then the operands of the program, constants that broadcast to the map. Attribute:
`program`, its text form. Output: of the map's shape and type.

Written as single operators, `x * f(x)` keeps `x` beside `f(x)`; computed element by element the
result can take the place of `x`. What it computes is exactly what the single operators compute,
each result rounded to the type of the map.
"""

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs
from onnx import FunctionProto, helper

from condense_compiler.operators.elementwise import Program, parse
from condense_compiler.operators.function_body import Body
from condense_compiler.operators.fused import DOMAIN

ELEMENTWISE_OP = "Elementwise"
PROGRAM = "program"  # its attribute


def is_elementwise(node: gs.Node) -> bool:
    """Tell whether a node is a `condense::Elementwise`."""
    return bool(node.domain == DOMAIN and node.op == ELEMENTWISE_OP)


def program_of(node: gs.Node) -> Program:
    """Return the program of a node.

    Raises:
        InputError: It cannot be read.
    """
    return _parsed(node.attrs[PROGRAM])


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Program:
    return parse(text.splitlines())


def program_text(program: Program) -> str:
    """Return a program as an attribute holds it."""
    return "\n".join(program.lines())


def operand_constants(node_name: str, operands: Sequence[npt.NDArray[Any]]) -> list[gs.Constant]:
    """Return the operands of a node's program as tensors of the graph."""
    return [gs.Constant(f"{node_name}/operand{i}", values) for i, values in enumerate(operands)]


def elementwise_node(
    name: str, program: Program, source: gs.Tensor, operands: Sequence[npt.NDArray[Any]]
) -> gs.Node:
    """Return a node that applies a program to a map; its output is for the caller to add."""
    inputs = [source, *operand_constants(name, operands)]
    attributes = {PROGRAM: program_text(program)}
    return gs.Node(ELEMENTWISE_OP, name, attributes, inputs, [], domain=DOMAIN)


def elementwise_function(node: gs.Node, opset: int) -> FunctionProto:
    """Return the plain ONNX subgraph that a node stands for, as a model-local function."""
    operands = [f"operand{index}" for index in range(len(node.inputs) - 1)]
    body = Body(opset, np.dtype(node.inputs[0].dtype), "X")
    body.run(program_of(node), operands)
    body.nodes[-1].output[0] = "Y"
    function = helper.make_function(
        DOMAIN,
        ELEMENTWISE_OP,
        ["X", *operands],
        ["Y"],
        body.nodes,
        [helper.make_opsetid("", opset)],
        attributes=[PROGRAM],
    )
    function.overload = f"{zlib.crc32(function.SerializeToString(deterministic=True)):08x}"
    return function
