"""A binary for the accelerator, read back from the folder of a compilation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from condense_compiler.program import ScheduledProgram
from condense_compiler.report.report import Verification
from condense_compiler.targets.accelerator.folder import (
    BINARY_FILE,
    check_ports,
    read_binary,
    read_quantised,
    shapes_at_ends,
)
from condense_compiler.targets.accelerator.integer.lowering import lower_network
from condense_compiler.targets.accelerator.isa.binary import Binary
from condense_compiler.targets.accelerator.node_order import ordered_nodes
from condense_compiler.targets.accelerator.running import run_binary, verify_codes


@dataclass(frozen=True, slots=True)
class LoadedProgram:
    """A program that was lowered earlier.

    Attributes:
        program: What was lowered.
        binary: The binary as it was saved, with the machine that it was written for.
        folder: Where the quantised model lies, which it must equal.
    """

    program: ScheduledProgram
    binary: Binary
    folder: Path

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Compute the graph outputs, by name, on the simulator.

        Raises:
            InputError: The feeds do not match the graph inputs, or the binary breaks a rule of
                the machine.
        """
        return dict(run_binary(self.program, self.binary, feeds).outputs)

    def verify(self, feeds: Mapping[str, npt.NDArray[Any]]) -> Verification:
        """Compare the simulator with the executor, and the executor with ONNX Runtime.

        Raises:
            InputError: The quantised model cannot be read.
        """
        quantised, nodes = read_quantised(self.folder), ordered_nodes(self.program)
        fused = lower_network(self.program.network, nodes)
        return verify_codes(self.run(feeds), fused, quantised, feeds)


def load_program(folder: Path, program: ScheduledProgram) -> LoadedProgram:
    """Read the binary of a program.

    Raises:
        InputError: It is missing or damaged, or does not belong to the program.
    """
    path = folder / BINARY_FILE
    binary, graph = read_binary(path), program.network.graph
    check_ports(path, binary, *shapes_at_ends(graph))
    return LoadedProgram(program, binary, folder)
