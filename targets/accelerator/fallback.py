"""Networks that only partly run on the accelerator: the rest runs on the reference executor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_graphsurgeon as gs

from condense_compiler.errors import InputError
from condense_compiler.files import write_file
from condense_compiler.program import ScheduledProgram
from condense_compiler.report.measure import Given
from condense_compiler.report.memory_figures import Footprint
from condense_compiler.report.picture import Picture
from condense_compiler.report.report import Verification
from condense_compiler.targets.accelerator.codegen.generate import generate
from condense_compiler.targets.accelerator.codegen.placement import MemoryPlan, place
from condense_compiler.targets.accelerator.folder import (
    check_ports,
    part_file,
    read_binary,
    save_quantised,
)
from condense_compiler.targets.accelerator.footprint import Placed, footprint
from condense_compiler.targets.accelerator.integer.executor import execute
from condense_compiler.targets.accelerator.integer.network import IntegerNetwork
from condense_compiler.targets.accelerator.isa.binary import Binary, to_bytes
from condense_compiler.targets.accelerator.machine import Machine
from condense_compiler.targets.accelerator.node_order import ordered_nodes
from condense_compiler.targets.accelerator.parts import HostPart, cut
from condense_compiler.targets.accelerator.picture import draw
from condense_compiler.targets.accelerator.running import EXECUTOR, output_of
from condense_compiler.targets.accelerator.simulator.simulate import simulate
from condense_compiler.targets.feeds import check_feeds

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class AcceleratedPart:
    """Consecutive nodes that the accelerator runs.

    Attributes:
        network: The nodes in integers.
        binary: Their binary.
    """

    network: IntegerNetwork
    binary: Binary

    def feeds(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Return what it reads of the tensors so far."""
        return {name: tensors[name].astype(np.float32) for name in self.network.inputs}


@dataclass(frozen=True, slots=True)
class PartedProgram:
    """A network in parts that run one after the other, just lowered or read back.

    Attributes:
        program: What was lowered.
        parts: The parts, in their order.
    """

    program: ScheduledProgram
    parts: tuple[AcceleratedPart | HostPart, ...]

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
            if isinstance(part, HostPart):
                part.run(tensors)
            elif on_simulator:
                tensors |= _packed(simulate(part.binary, part.feeds(tensors)).outputs)
            else:
                tensors |= _packed(execute(part.network, part.feeds(tensors)))
        return {tensor.name: output_of(tensor, tensors) for tensor in graph.outputs}

    def verify(self, feeds: Mapping[str, Array]) -> Verification:
        """Compare the simulator with the integer executor, bit by bit."""
        found, expected = (self._run(feeds, on_simulator=on) for on in (True, False))
        same = all(np.array_equal(found[n], expected[n], equal_nan=True) for n in expected)
        difference = 0.0 if same else np.inf
        return Verification(difference, difference, 0.0, against=EXECUTOR)


def _packed(outputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return arrays without gaps: on others, numpy adds floats up in another order."""
    return {name: np.array(values, order="C") for name, values in outputs.items()}


@dataclass(frozen=True, slots=True)
class MixedProgram(PartedProgram):
    """A network in parts, just lowered.

    Attributes:
        machine: What the parts on the accelerator were written for.
        memories: Where the maps of each of them lie.
        quantised: The quantised model, if the target made or was given it.
    """

    machine: Machine
    memories: tuple[MemoryPlan, ...]
    quantised: onnx.ModelProto | None

    def save(self, folder: Path) -> None:
        """Write the binary of each part that the accelerator runs, and the quantised model."""
        for number, part in enumerate(self.parts):
            if isinstance(part, AcceleratedPart):
                write_file(folder / part_file(number), to_bytes(part.binary))
        save_quantised(folder, self.quantised)

    def footprint(self, given: Given) -> Footprint:
        """Return what the machine stores and moves, and what the other nodes do."""
        binaries = [part.binary for part in self.parts if isinstance(part, AcceleratedPart)]
        placed = [Placed(*pair) for pair in zip(binaries, self.memories, strict=True)]
        return footprint(given, placed, [p.node for p in self.parts if isinstance(p, HostPart)])

    def picture(self, given: Given) -> Picture:
        """Return what lies on the chip, and when."""
        memories = iter(self.memories)
        pieces = [
            p.node if isinstance(p, HostPart) else (p.network, next(memories)) for p in self.parts
        ]
        return draw(given, pieces)

    def facts(self) -> dict[str, object]:
        """Return which nodes the reference executor runs, and why."""
        return {
            "machine": self.machine.to_dict(),
            "accelerated_parts": len(self.memories),
            "fallback": [
                {"node": part.node.name, "op": part.node.op, "reason": part.reason}
                for part in self.parts
                if isinstance(part, HostPart)
            ],
        }


def lower_mixed(
    program: ScheduledProgram,
    nodes: Sequence[gs.Node],
    machine: Machine,
    quantised: onnx.ModelProto | None,
    *,
    all_in_dram: bool,
) -> MixedProgram:
    """Lower what the accelerator can run, part by part."""
    parts: list[AcceleratedPart | HostPart] = []
    memories: list[MemoryPlan] = []
    for part in cut(program.network, nodes, machine=machine):
        if isinstance(part, HostPart):
            parts.append(part)
            continue
        limit = program.memory_limit_bytes
        memories.append(place(part, machine, memory_limit_bytes=limit, all_in_dram=all_in_dram))
        parts.append(AcceleratedPart(part, generate(part, memories[-1], machine).binary))
    return MixedProgram(program, tuple(parts), machine, tuple(memories), quantised)


def load_mixed(folder: Path, program: ScheduledProgram, hosted: Any) -> PartedProgram:
    """Read the binaries of a network in parts.

    Args:
        folder: Where they are.
        program: The program.
        hosted: What `MixedProgram.facts` said of the nodes that the reference executor runs.

    Raises:
        InputError: A binary is missing or damaged, or does not belong to the program.
    """
    parts: list[AcceleratedPart | HostPart] = []
    nodes, known = ordered_nodes(program), _reasons(folder, hosted)
    for number, part in enumerate(cut(program.network, nodes, known=known)):
        if isinstance(part, HostPart):
            parts.append(part)
            continue
        path = folder / part_file(number)
        binary = read_binary(path)
        inputs, outputs = (
            {name: port.shape for name, port in ports.items()}
            for ports in (part.inputs, part.outputs)
        )
        check_ports(path, binary, inputs, outputs)
        parts.append(AcceleratedPart(part, binary))
    return PartedProgram(program, tuple(parts))


def _reasons(folder: Path, hosted: Any) -> dict[str, str]:
    """Return why nodes run elsewhere, by name."""
    try:
        pairs = [(each["node"], each["reason"]) for each in hosted]
    except (KeyError, TypeError):
        pairs = [(None, None)]
    if not all(isinstance(text, str) for pair in pairs for text in pair):
        raise InputError(f"{folder}: its report does not tell what runs elsewhere; compile again")
    return dict(pairs)
