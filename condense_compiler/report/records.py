"""Operators and tensors as plain records: what is left to look at once the graph has changed."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import onnx
import onnx_graphsurgeon as gs

from condense_compiler.memory.order import Order
from condense_compiler.network.tensors import element_type, tensor_bytes, type_name
from condense_compiler.operators.channel_pooling import OnCodes
from condense_compiler.operators.definition import Kind, Operator
from condense_compiler.operators.registry import WithEpilogue, kind_of, parse


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A feature map's type: element type, shape, and size in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int


@dataclass(frozen=True, slots=True)
class OperatorRecord:
    """An operator.

    Attributes:
        name: Name of the node.
        op: Type of the operator.
        kind: What its results are drawn as.
        reads: Names of the feature maps that it reads, each once.
        writes: Names of its results.
        macs: Multiply-accumulate operations.
        parameters: Elements of the weights that it reads.
        parameter_bytes: Their size.
    """

    name: str
    op: str
    kind: Kind
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    macs: int
    parameters: int
    parameter_bytes: int


def record_operators(order: Order) -> tuple[OperatorRecord, ...]:
    """Return the operators of an ordered network."""
    return tuple(_operator(node) for node in order)


def record_tensors(inputs: Iterable[gs.Tensor], order: Order) -> dict[str, TensorRecord]:
    """Return the feature maps of an ordered network by name."""
    results = (tensor for node in order for tensor in node.outputs if not tensor.is_empty())
    return {tensor.name: record_tensor(tensor) for tensor in (*inputs, *results)}


def record_tensor(tensor: gs.Tensor) -> TensorRecord:
    """Return the type of a tensor."""
    dtype = type_name(element_type(tensor))
    return TensorRecord(tensor.name, dtype, tuple(map(int, tensor.shape)), tensor_bytes(tensor))


def _label(node: gs.Node, operator: Operator) -> str:
    """Return what a person calls an operator."""
    if isinstance(operator, OnCodes):
        return f"{operator.inner} on codes"
    if isinstance(operator, WithEpilogue):
        functions = (instruction.op for instruction in operator.program.instructions)
        return " + ".join((operator.producer.op, *functions))
    return str(node.op)


def _operator(node: gs.Node) -> OperatorRecord:
    operator = parse(node)
    named = {tensor.name: tensor for tensor in node.inputs if tensor.name}
    constants = [t for t in named.values() if isinstance(t, gs.Constant) and _is_parameter(t)]
    return OperatorRecord(
        name=node.name,
        op=_label(node, operator),
        kind=kind_of(node),
        reads=tuple(name for name, tensor in named.items() if isinstance(tensor, gs.Variable)),
        writes=tuple(tensor.name for tensor in node.outputs if not tensor.is_empty()),
        macs=operator.macs(),
        parameters=sum(_elements(tensor) for tensor in constants),
        parameter_bytes=sum(tensor_bytes(tensor) for tensor in constants),
    )


def _is_parameter(tensor: gs.Constant) -> bool:
    """Tell whether a constant is a weight; ONNX gives shapes, axes and indices as int64."""
    return element_type(tensor) not in (onnx.TensorProto.INT64, onnx.TensorProto.BOOL)


def _elements(tensor: gs.Tensor) -> int:
    return math.prod(map(int, tensor.shape))
