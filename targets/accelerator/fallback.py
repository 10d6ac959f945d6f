"""Networks that only partly run on the accelerator: the rest runs on the reference executor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.program import ScheduledProgram
from condense_compiler.report.report import Verification
from condense_compiler.targets.accelerator.codegen.generate import Code, generate
from condense_compiler.targets.accelerator.codegen.placement import place
from condense_compiler.targets.accelerator.integer.collector import pixels_of
from condense_compiler.targets.accelerator.integer.executor import execute
from condense_compiler.targets.accelerator.integer.lowering import NodeError, lower_part
from condense_compiler.targets.accelerator.integer.network import IntegerNetwork, Map, Port
from condense_compiler.targets.accelerator.integer.separating import separate_pooling
from condense_compiler.targets.accelerator.isa.binary import to_bytes
from condense_compiler.targets.accelerator.machine import Machine
from condense_compiler.targets.accelerator.simulator.simulate import simulate
from condense_compiler.targets.element_types import numpy_dtype
from condense_compiler.targets.feeds import check_feeds
from condense_compiler.targets.reference.kernel import ABSENT, NodeContext, constant_value
from condense_compiler.targets.reference.operators import kernel_for

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class AcceleratedPart:
    """Consecutive nodes that the accelerator runs.

    Attributes:
        network: The nodes in integers.
        code: Their binary.
    """

    network: IntegerNetwork
    code: Code

    def run(self, tensors: dict[str, Array], *, on_simulator: bool) -> None:
        """Add the results to the tensors so far."""
        feeds = {name: tensors[name].astype(np.float32) for name in self.network.inputs}
        if on_simulator:
            tensors |= simulate(self.code.binary, feeds).outputs
        else:
            tensors |= execute(self.network, feeds)


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

    def run(self, tensors: dict[str, Array], *, on_simulator: bool) -> None:
        """Add the results to the tensors so far."""
        del on_simulator
        kernel = kernel_for(NodeContext(self.node, self.opset))
        inputs = [_value(tensor, tensors) for tensor in self.node.inputs]
        outputs = [
            ABSENT if t.is_empty() else np.empty(tuple(t.shape), numpy_dtype(t))
            for t in self.node.outputs
        ]
        with np.errstate(all="ignore"):
            kernel.compute(inputs, outputs, np.empty(kernel.buffer_bytes, np.uint8))
        tensors |= {t.name: v for t, v in zip(self.node.outputs, outputs, strict=True) if t.name}


def _value(tensor: gs.Tensor, tensors: Mapping[str, Array]) -> Array:
    if isinstance(tensor, gs.Constant):
        return constant_value(tensor)
    return ABSENT if tensor.is_empty() else tensors[tensor.name]


Part = AcceleratedPart | HostPart
Scale = tuple[float, int]  # value of one step, and code of the value zero

# Operators whose results are some of the values that they read.
_MOVING = frozenset(
    ("Concat", "Expand", "Flatten", "Gather", "Reshape", "Slice", "Split", "Squeeze", "Transpose")
)


@dataclass(frozen=True, slots=True)
class MixedProgram:
    """A network, in parts that run one after the other."""

    program: ScheduledProgram
    parts: tuple[Part, ...]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Compute the graph outputs, by name, from the graph inputs, by name.

        Raises:
            InputError: The feeds do not match the graph inputs.
        """
        return self._run(feeds, on_simulator=True)

    def _run(self, feeds: Mapping[str, Array], *, on_simulator: bool) -> dict[str, Array]:
        graph = self.program.network.graph
        check_feeds(graph.inputs, feeds)
        tensors = dict(feeds)
        for part in self.parts:
            part.run(tensors, on_simulator=on_simulator)
        return {t.name: _value(t, tensors).reshape(tuple(t.shape)) for t in graph.outputs}

    def verify(self, feeds: Mapping[str, Array]) -> Verification:
        """Compare the simulator with the integer executor, bit by bit."""
        found, expected = (self._run(feeds, on_simulator=on) for on in (True, False))
        same = all(np.array_equal(found[n], expected[n], equal_nan=True) for n in expected)
        return Verification(0.0, 0.0, 0.0) if same else Verification(np.inf, np.inf, 0.0)

    def save(self, folder: Path) -> None:
        """Write the binary of each part that the accelerator runs."""
        for index, part in enumerate(self.parts):
            if isinstance(part, AcceleratedPart):
                (folder / f"program.{index}.bin").write_bytes(to_bytes(part.code.binary))

    def facts(self) -> dict[str, object]:
        """Return which nodes the reference executor runs, and why."""
        return {
            "accelerated_parts": sum(isinstance(part, AcceleratedPart) for part in self.parts),
            "fallback": [
                {"node": part.node.name, "op": part.node.op, "reason": part.reason}
                for part in self.parts
                if isinstance(part, HostPart)
            ],
        }


def lower_mixed(
    program: ScheduledProgram, nodes: Sequence[gs.Node], machine: Machine, *, all_in_dram: bool
) -> MixedProgram:
    """Lower what the accelerator can run, part by part."""
    opset = program.network.opset
    outputs = {tensor.name for tensor in program.network.graph.outputs}
    waiting: list[list[gs.Node]] = [list(nodes)]
    reasons: dict[int, str] = {}
    grids: dict[str, Scale] = {}
    parts: list[Part] = []
    while waiting:
        part = waiting.pop(0)
        if len(part) == 1 and id(part[0]) in reasons:
            parts.append(HostPart(part[0], opset, reasons[id(part[0])]))
            grids |= _moved(part[0], grids)
            continue
        try:
            network = _lower(part, outputs, grids, machine)
        except NodeError as error:
            reasons[id(error.node)] = str(error)
            position = next(i for i, node in enumerate(part) if node is error.node)
            pieces = (part[:position], [error.node], part[position + 1 :])
            waiting[:0] = [piece for piece in pieces if piece]
            continue
        grids |= {name: (p.map.scale, p.map.zero) for name, p in network.outputs.items()}
        memory = place(network, machine, all_in_dram=all_in_dram)
        parts.append(AcceleratedPart(network, generate(network, memory, machine)))
    return MixedProgram(program, tuple(parts))


def _lower(
    part: Sequence[gs.Node], outputs: set[str], grids: Mapping[str, Scale], machine: Machine
) -> IntegerNetwork:
    inside = {id(node) for node in part}
    made = {tensor.name: tensor for node in part for tensor in node.outputs}
    read = {
        tensor.name: tensor
        for node in part
        for tensor in node.inputs
        if not tensor.is_empty() and not isinstance(tensor, gs.Constant)
    }
    needed = [
        tensor
        for name, tensor in made.items()
        if name in outputs or any(id(reader) not in inside for reader in tensor.outputs)
    ]
    inputs = [tensor for name, tensor in read.items() if name not in made]
    known = {t.name: _port(t, *grids[t.name]) for t in inputs if t.name in grids}
    network = lower_part(part, inputs, needed, {n: p for n, p in known.items() if p is not None})
    return network if machine.pooling_unit else separate_pooling(network)


def _moved(node: gs.Node, grids: Mapping[str, Scale]) -> dict[str, Scale]:
    """Return the scales of results that are values of which the scale is known."""
    tensors = [t for t in node.inputs if not t.is_empty() and not isinstance(t, gs.Constant)]
    scales = {grids.get(tensor.name) for tensor in tensors}
    scale = scales.pop() if node.op in _MOVING and len(scales) == 1 else None
    return {} if scale is None else {tensor.name: scale for tensor in node.outputs}


def _port(tensor: gs.Tensor, scale: float, zero: int) -> Port | None:
    shape = tuple(tensor.shape)
    try:
        return Port(Map(tensor.name, pixels_of(shape, tensor.name), scale, zero), shape)
    except UnsupportedError:
        return None
