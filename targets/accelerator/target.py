"""The target: quantise, lower to integers, place in two memories, write instructions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import onnx

from condense_compiler.errors import InputError
from condense_compiler.network import Network
from condense_compiler.passes import find_pass
from condense_compiler.rewriting.contract import Pass
from condense_compiler.targets import Prepared
from condense_compiler.targets.accelerator.fallback import PartedProgram
from condense_compiler.targets.accelerator.folder import BINARY_FILE, PART_FILES, QUANTISED_FILE
from condense_compiler.targets.accelerator.loaded import LoadedProgram, load_parts, load_program
from condense_compiler.targets.accelerator.machine import read_machine
from condense_compiler.targets.accelerator.quantisation import prepare
from condense_compiler.targets.accelerator.quantisation.fewer_bits import WEIGHT_BITS
from condense_compiler.targets.accelerator.selection import Selected, select

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
    """

    name: ClassVar[str] = "accelerator"
    places_itself: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = (BINARY_FILE, PART_FILES, QUANTISED_FILE)
    # Integer operators are made of single ones, between QuantizeLinear and DequantizeLinear.
    without_passes: ClassVar[frozenset[str]] = frozenset(
        (
            *("cross_channel_pooling", "drop_signs", "fold_channel_shuffle"),
            *("fuse_elementwise", "fuse_epilogues", "move_codes", "stay_in_codes"),
        )
    )
    machine: str = "default"
    calibration: str = ""
    weight_bits: int = 8
    feature_maps: str = "auto"
    allow_fallback: bool = False

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
        return prepare(
            source,
            dims,
            calibration,
            self.weight_bits,
            passes,
            all_accelerated=not self.allow_fallback,
        )

    def select(self, network: Network) -> Selected:
        """Return the integer operators that a quantised network becomes.

        Raises:
            UnsupportedError: It does something that the accelerator does not.
        """
        return select(
            network,
            read_machine(self.machine),
            all_in_dram=self.feature_maps == "dram",
            allow_fallback=self.allow_fallback,
        )

    def load(self, folder: Path, report: Mapping[str, Any]) -> LoadedProgram | PartedProgram:
        """Read the binaries of a program, and the quantised model.

        Raises:
            InputError: A file is missing or damaged, or does not belong to the program.
        """
        passes = [find_pass(name) for name in report["rewrites"]]
        facts = report["target_facts"]
        if "fallback" in facts:
            return load_parts(folder, passes, facts)
        return load_program(folder, passes)
