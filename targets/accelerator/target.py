"""The target: quantise, lower to integers, place in two memories, write instructions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import onnx

from condense_compiler.errors import InputError, UnsupportedError
from condense_compiler.network import load_network
from condense_compiler.program import ScheduledProgram
from condense_compiler.rewriting.contract import Pass
from condense_compiler.targets import Prepared
from condense_compiler.targets.accelerator.codegen.generate import generate
from condense_compiler.targets.accelerator.codegen.placement import place
from condense_compiler.targets.accelerator.fallback import (
    MixedProgram,
    PartedProgram,
    load_mixed,
    lower_mixed,
)
from condense_compiler.targets.accelerator.folder import BINARY_FILE, PART_FILES, QUANTISED_FILE
from condense_compiler.targets.accelerator.integer.forms import Forms
from condense_compiler.targets.accelerator.integer.lowering import lower_network
from condense_compiler.targets.accelerator.integer.refusals import blaming_one_of
from condense_compiler.targets.accelerator.integer.separating import separate_pooling
from condense_compiler.targets.accelerator.loaded import LoadedProgram, load_program
from condense_compiler.targets.accelerator.lowered import AcceleratorProgram
from condense_compiler.targets.accelerator.machine import read_machine
from condense_compiler.targets.accelerator.node_order import ordered_nodes
from condense_compiler.targets.accelerator.quantisation import prepare
from condense_compiler.targets.accelerator.quantisation.fewer_bits import WEIGHT_BITS

FEATURE_MAPS = ("auto", "dram")


@dataclass(frozen=True, slots=True)
class AcceleratorTarget:
    """Runs int8 instructions on a simulated accelerator with cross-channel pooling.

    Attributes:
        machine: Name of a machine description, or a TOML file.
        calibration: Samples to quantise a model in floating point with: an .npz file or a folder.
        weight_bits: Bits of the weights of a model in floating point: 8, 4, 2 or 1.
        feature_maps: `auto` keeps on the chip what makes traffic least, `dram` nothing.
        allow_fallback: Run what the accelerator cannot on the reference executor.
        quantised: The quantised model, once `prepare` has made it.
        forms: How ONNX Runtime computes its operators, likewise.
    """

    name: ClassVar[str] = "accelerator"
    places_itself: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = (BINARY_FILE, PART_FILES, QUANTISED_FILE)
    # Integer operators are made of single operators, which say in steps what codes mean.
    without_passes: ClassVar[frozenset[str]] = frozenset({"fuse_elementwise"})
    machine: str = "default"
    calibration: str = ""
    weight_bits: int = 8
    feature_maps: str = "auto"
    allow_fallback: bool = False
    quantised: onnx.ModelProto | None = field(default=None, compare=False, repr=False)
    forms: Forms = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            InputError: One has no such value.
        """
        if self.weight_bits not in WEIGHT_BITS:
            raise InputError(f"option weight_bits={self.weight_bits}: give 8, 4, 2 or 1")
        if self.feature_maps not in FEATURE_MAPS:
            raise InputError(f"option feature_maps={self.feature_maps!r}: give auto or dram")

    def prepare(
        self, source: str | Path | onnx.ModelProto, dims: Mapping[str, int], passes: Sequence[Pass]
    ) -> Prepared:
        """Quantise a model unless it is.

        Raises:
            InputError: Model or samples cannot be used.
        """
        calibration = Path(self.calibration) if self.calibration else None
        prepared = prepare(
            source,
            dims,
            calibration,
            self.weight_bits,
            passes,
            all_accelerated=not self.allow_fallback,
        )
        ready = replace(self, quantised=prepared.quantised, forms=prepared.forms)
        network = load_network(prepared.unfolded)
        return Prepared(network, ready, prepared.applied, prepared.steps)

    def lower(self, program: ScheduledProgram) -> AcceleratorProgram | MixedProgram:
        """Write the instructions of a program.

        Raises:
            UnsupportedError: It does something that the accelerator does not, or does not fit.
        """
        machine = read_machine(self.machine)
        ordered, all_in_dram = ordered_nodes(program), self.feature_maps == "dram"
        limit = program.memory_limit_bytes
        try:
            fused = lower_network(program.network.graph, ordered, self.forms)
            with blaming_one_of(ordered):
                network = fused if machine.pooling_unit else separate_pooling(fused)
                memory = place(network, machine, memory_limit_bytes=limit, all_in_dram=all_in_dram)
        except UnsupportedError:
            if not self.allow_fallback:
                raise
            return lower_mixed(program, ordered, machine, self.quantised, all_in_dram=all_in_dram)
        code = generate(network, memory, machine)
        quantised, forms = self.quantised, self.forms
        return AcceleratorProgram(program, network, fused, memory, code, quantised, forms)

    def load(
        self, folder: Path, program: ScheduledProgram, facts: Mapping[str, Any]
    ) -> LoadedProgram | PartedProgram:
        """Read the binaries of a program, and the quantised model.

        Raises:
            InputError: A file is missing or damaged, or does not belong to the program.
        """
        if "fallback" not in facts:
            return load_program(folder, program, facts)
        return load_mixed(folder, program, facts["fallback"])
