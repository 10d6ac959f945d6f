"""Cutting a network into parts: what the accelerator can run, and nodes that it cannot."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.network import Network
from condense_compiler.operators.registry import moved
from condense_compiler.passes.tracing.regions import Region
from condense_compiler.targets.accelerator.codegen.placement import check_operators_fit
from condense_compiler.targets.accelerator.integer.collector import pixels_of
from condense_compiler.targets.accelerator.integer.constants import is_constant, values_of
from condense_compiler.targets.accelerator.integer.lowering import lower_part
from condense_compiler.targets.accelerator.integer.network import IntegerNetwork, Map, Port
from condense_compiler.targets.accelerator.integer.pooled import pooled_regions
from condense_compiler.targets.accelerator.integer.refusals import NodeError, blaming_one_of
from condense_compiler.targets.accelerator.integer.separating import separate_pooling
from condense_compiler.targets.accelerator.machine import Machine
from condense_compiler.targets.element_types import numpy_dtype
from condense_compiler.targets.reference.kernel import ABSENT, NodeContext, constant_value
from condense_compiler.targets.reference.operators import kernel_for

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class HostPart:
    """A node that the reference executor runs.

    Attributes:
        node: The node.
        opset: Version of its operator.
        reason: Why the accelerator does not run it.
    """

    node: gs.Node
    opset: int
    reason: str

    def run(self, tensors: dict[str, Array]) -> None:
        """Add the results to the tensors so far."""
        kernel = kernel_for(NodeContext(self.node, self.opset))
        inputs = [value_of(tensor, tensors) for tensor in self.node.inputs]
        outputs = [
            ABSENT if t.is_empty() else np.empty(tuple(t.shape), numpy_dtype(t))
            for t in self.node.outputs
        ]
        with np.errstate(all="ignore"):
            kernel.compute(inputs, outputs, np.empty(kernel.buffer_bytes, np.uint8))
        tensors |= {t.name: v for t, v in zip(self.node.outputs, outputs, strict=True) if t.name}


def value_of(tensor: gs.Tensor, tensors: Mapping[str, Array]) -> Array:
    """Return what a tensor holds: a constant, or one of the tensors so far."""
    if isinstance(tensor, gs.Constant):
        return constant_value(tensor)
    if is_constant(tensor):
        return values_of(tensor)
    return ABSENT if tensor.is_empty() else tensors[tensor.name]


Scale = tuple[float, int]  # value of one step, and code of the value zero


def cut(
    network: Network, nodes: Sequence[gs.Node], machine: Machine
) -> Iterator[IntegerNetwork | HostPart]:
    """Yield the parts of a network in the order in which they run.

    Args:
        network: The network.
        nodes: Its nodes, in their order.
        machine: What the parts must fit.
    """
    outputs = {tensor.name for tensor in network.graph.outputs}
    regions = pooled_regions(network)
    reasons: dict[int, str] = {}
    waiting = [list(_with_meanings(nodes))]
    grids: dict[str, Scale] = {}
    while waiting:
        part = waiting.pop(0)
        if len(part) == 1 and id(part[0]) in reasons:
            yield HostPart(part[0], network.opset, reasons[id(part[0])])
            grids |= _moved(part[0], grids)
            continue
        try:
            lowered = _lower(part, outputs, grids, machine, regions)
        except NodeError as error:
            reasons[id(error.node)] = error.reason
            position = next(i for i, node in enumerate(part) if node is error.node)
            pieces = (part[:position], [error.node], part[position + 1 :])
            waiting[:0] = [piece for piece in pieces if piece]
            continue
        grids |= {name: (p.map.scale, p.map.zero) for name, p in lowered.outputs.items()}
        yield lowered


def _with_meanings(nodes: Sequence[gs.Node]) -> Iterator[gs.Node]:
    """Yield nodes but for those of constants, each DequantizeLinear behind what it reads."""
    late: set[int] = set()
    for node in nodes:
        if id(node) in late or all(map(is_constant, node.outputs)):
            continue
        yield node
        for reader in (reader for tensor in node.outputs for reader in tensor.outputs):
            if reader.op == "DequantizeLinear":
                late.add(id(reader))
                yield reader


def _lower(
    part: Sequence[gs.Node],
    outputs: set[str],
    grids: Mapping[str, Scale],
    machine: Machine,
    regions: Sequence[Region],
) -> IntegerNetwork:
    inside = {id(node) for node in part}
    made = {tensor.name: tensor for node in part for tensor in node.outputs}
    read = {
        tensor.name: tensor
        for node in part
        for tensor in node.inputs
        if not tensor.is_empty() and not is_constant(tensor)
    }
    needed = [
        tensor
        for name, tensor in made.items()
        if name in outputs or any(id(reader) not in inside for reader in tensor.outputs)
    ]
    inputs = [tensor for name, tensor in read.items() if name not in made]
    known = {t.name: _port(t, *grids[t.name]) for t in inputs if t.name in grids}
    ports = {name: port for name, port in known.items() if port is not None}
    network = lower_part(part, inputs, needed, ports, regions)
    with blaming_one_of(part):
        fitting = network if machine.pooling_unit else separate_pooling(network)
        check_operators_fit(fitting, machine)
    return fitting


def _moved(node: gs.Node, grids: Mapping[str, Scale]) -> dict[str, Scale]:
    """Return the scales of results that are values of which the scale is known."""
    tensors = [t for t in node.inputs if not t.is_empty() and not isinstance(t, gs.Constant)]
    scales = {grids.get(tensor.name) for tensor in tensors}
    facts = moved(node)
    moves = facts is not None and facts.fill is None and len(scales) == 1
    scale = scales.pop() if moves else None
    results = node.outputs if node.op == "Split" else node.outputs[:1]
    return {} if scale is None else {tensor.name: scale for tensor in results}


def _port(tensor: gs.Tensor, scale: float, zero: int) -> Port | None:
    shape = tuple(tensor.shape)
    try:
        return Port(Map(tensor.name, pixels_of(shape, tensor.name), scale, zero), shape)
    except UnsupportedError:
        return None
