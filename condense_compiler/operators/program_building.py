"""From the element-wise operators of a graph to one program."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs
from onnx import TensorProto

from condense_compiler.network.tensors import element_type
from condense_compiler.operators.attributes import is_plain
from condense_compiler.operators.elementwise import (
    INPUT,
    OPERATORS,
    Instruction,
    Program,
)
from condense_compiler.operators.fused_elementwise import is_elementwise, program_of
from condense_compiler.operators.pointwise import Elementwise
from condense_compiler.operators.registry import parse_as

MOST_OPERATORS = 32  # of one program; longer ones would need too much scratch
_FLOATS = (TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE)

Operands = list[npt.NDArray[np.floating]]


def is_programmable(node: gs.Node) -> bool:
    """Tell whether a program can hold an operator."""
    if not is_plain(node) or node.op not in OPERATORS or len(node.outputs) != 1:
        return False
    result = node.outputs[0]
    return (
        element_type(result) in _FLOATS
        and _attributes(node) is not None
        and all(_fits(tensor, result) for tensor in node.inputs if not tensor.is_empty())
        and not any(tensor.is_empty() for tensor in node.inputs[:1])
    )


def maps_read(node: gs.Node) -> list[gs.Tensor]:
    """Return the maps that an operator reads, each once."""
    read = [t for t in node.inputs if not isinstance(t, gs.Constant) and not t.is_empty()]
    return list({id(tensor): tensor for tensor in read}.values())


def has_type_of(tensor: gs.Tensor, other: gs.Tensor) -> bool:
    """Tell whether two tensors have the same shape and element type."""
    return bool(
        tuple(tensor.shape) == tuple(other.shape) and element_type(tensor) == element_type(other)
    )


def program_of_chain(nodes: Sequence[gs.Node]) -> tuple[Program, Operands]:
    """Return the program of operators that each read nothing but the result before it."""
    program, operands = Program(), Operands()
    for node in nodes:
        if is_elementwise(node):
            following, more = program_of(node), [tensor.values for tensor in node.inputs[1:]]
        else:
            following, more = program_of_region((node,), maps_read(node)[0])
        program = program.followed_by(following)
        operands += more
    return program, operands


def program_of_region(nodes: Sequence[gs.Node], source: gs.Tensor) -> tuple[Program, Operands]:
    """Return the program of operators that start from one map, and its operands.

    Args:
        nodes: The operators in their order; the last one's result is the program's.
        source: The only map that they read and none of them writes.
    """
    names = {id(source): INPUT}
    operands = Operands()

    def argument(tensor: gs.Tensor) -> str:
        if id(tensor) in names:
            return names[id(tensor)]
        assert isinstance(tensor, gs.Constant)
        values = np.asarray(tensor.values)
        if values.size == 1 and element_type(tensor) == element_type(source):
            return repr(float(values.reshape(())))
        operands.append(values)
        names[id(tensor)] = f"${len(operands) - 1}"
        return names[id(tensor)]

    instructions: list[Instruction] = []
    for number, node in enumerate(nodes):
        arguments = tuple(argument(tensor) for tensor in _given(node))
        instructions.append(Instruction(node.op, arguments, _attributes(node) or ()))
        names[id(node.outputs[0])] = f"%{number}"
    return Program(tuple(instructions)), operands


def _attributes(node: gs.Node) -> tuple[tuple[str, float], ...] | None:
    """Return the attributes as a program holds them; None if it cannot hold one of them."""
    settings = parse_as(Elementwise, node).settings
    return None if settings is None else tuple(settings.items())


def _fits(tensor: gs.Tensor, result: gs.Tensor) -> bool:
    """Tell whether an input has the shape of the result, or is a constant spread over it."""
    shape = tuple(result.shape)
    if not isinstance(tensor, gs.Constant):
        return has_type_of(tensor, result)
    try:
        return np.broadcast_shapes(tuple(tensor.shape), shape) == shape
    except ValueError:
        return False


def _given(node: gs.Node) -> Iterator[gs.Tensor]:
    """Yield the inputs of an operator, a limit of Clip that is left out being infinite."""
    for index, tensor in enumerate(node.inputs):
        if not tensor.is_empty():
            yield tensor
        elif index < len(node.inputs) - 1:
            yield gs.Constant("", np.array(-np.inf, node.outputs[0].dtype))
