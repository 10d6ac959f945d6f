"""The target: quantise, lower to integers, place in two memories, write instructions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import onnx
import onnx_graphsurgeon as gs

from condense_compiler.errors import InputError, UnsupportedError
from condense_compiler.network.integer_operators import in_standard_operators
from condense_compiler.program import ScheduledProgram
from condense_compiler.targets.accelerator.codegen.generate import generate
from condense_compiler.targets.accelerator.codegen.placement import place
from condense_compiler.targets.accelerator.fallback import MixedProgram, lower_mixed
from condense_compiler.targets.accelerator.integer.lowering import lower_network
from condense_compiler.targets.accelerator.integer.separating import separate_pooling
from condense_compiler.targets.accelerator.lowered import AcceleratorProgram
from condense_compiler.targets.accelerator.machine import Machine, read_machine
from condense_compiler.targets.accelerator.quantisation import prepare
from condense_compiler.targets.accelerator.quantisation.fewer_bits import WEIGHT_BITS
from condense_compiler.targets.accelerator.quantisation.signs import joins_signed_codes

FEATURE_MAPS = ("auto", "dram")


@dataclass(frozen=True, slots=True)
class AcceleratorTarget:
    """Runs int8 instructions on a simulated accelerator with cross-channel pooling.

    Attributes:
        machine: Name of a machine description, or a TOML file.
        calibration: Samples to quantise a model in floating point with: an .npz file or a folder.
        weight_bits: Bits of the weights of a model in floating point: 8, 4, 2 or 1.
        feature_maps: `auto` keeps on the chip what makes traffic least, `dram` nothing.
        memory_bytes: Use no more feature-map memory than this; all of it if 0.
        allow_fallback: Run what the accelerator cannot on the reference executor.
        quantised: The quantised model, once `prepare` has made it.
    """

    name: ClassVar[str] = "accelerator"
    machine: str = "default"
    calibration: str = ""
    weight_bits: int = 8
    feature_maps: str = "auto"
    memory_bytes: int = 0
    allow_fallback: bool = False
    quantised: onnx.ModelProto | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            InputError: One has no such value.
        """
        if self.weight_bits not in WEIGHT_BITS:
            raise InputError(f"option weight_bits={self.weight_bits}: give 8, 4, 2 or 1")
        if self.feature_maps not in FEATURE_MAPS:
            raise InputError(f"option feature_maps={self.feature_maps!r}: give auto or dram")

    def standard(self, source: str | Path | onnx.ModelProto) -> str | Path | onnx.ModelProto:
        """Return a model with its operators on codes, such as QLinearConv, split up.

        Raises:
            InputError: The file cannot be read.
        """
        return in_standard_operators(source)

    def prepare(
        self,
        source: str | Path | onnx.ModelProto,
        dims: Mapping[str, int],
        memory_bytes: int | None,
    ) -> tuple[onnx.ModelProto, "AcceleratorTarget"]:
        """Quantise a model unless it is; return what to compile, and what lowers it.

        Raises:
            InputError: Model or samples cannot be used.
        """
        calibration = Path(self.calibration) if self.calibration else None
        prepared = prepare(source, dims, calibration, self.weight_bits)
        limit = memory_bytes or self.memory_bytes
        return prepared.unfolded, replace(self, quantised=prepared.quantised, memory_bytes=limit)

    def lower(self, program: ScheduledProgram) -> AcceleratorProgram | MixedProgram:
        """Write the instructions of a program.

        Raises:
            UnsupportedError: It does something that the accelerator does not, or does not fit.
        """
        machine = self.limited_machine()
        nodes = [n for step in program.steps for n in (step.node, step.addition) if n is not None]
        ordered, all_in_dram = _in_order(program, nodes), self.feature_maps == "dram"
        try:
            signed = self.quantised is not None and joins_signed_codes(self.quantised)
            fused = lower_network(program.network.graph, ordered, signed_codes=signed)
            network = fused if machine.pooling_unit else separate_pooling(fused)
        except UnsupportedError:
            if not self.allow_fallback:
                raise
            return lower_mixed(program, ordered, machine, all_in_dram=all_in_dram)
        memory = place(network, machine, all_in_dram=all_in_dram)
        code = generate(network, memory, machine)
        return AcceleratorProgram(program, network, fused, memory, code, self.quantised)

    def limited_machine(self) -> Machine:
        """Return the machine, with as much feature-map memory as may be used."""
        machine = read_machine(self.machine)
        if not self.memory_bytes:
            return machine
        return replace(machine, feature_map_bytes=min(machine.feature_map_bytes, self.memory_bytes))


def _in_order(program: ScheduledProgram, steps: list[gs.Node]) -> list[gs.Node]:
    """Return all nodes, views included: those that have steps in their order."""
    order: dict[int, gs.Node] = {}
    for node in (*steps, *program.network.graph.nodes):
        pending = [node]
        while pending:
            waiting = [m for t in pending[-1].inputs for m in t.inputs if id(m) not in order]
            if waiting:
                pending += waiting
            else:
                last = pending.pop()
                order[id(last)] = last
    return list(order.values())
