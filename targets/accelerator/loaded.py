"""Binaries for the accelerator, read back from the folder of a compilation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx
import onnx_graphsurgeon as gs

from condense_compiler.errors import InputError
from condense_compiler.network import Network, load_network
from condense_compiler.network.integer_operators import in_standard_operators
from condense_compiler.report.report import Verification
from condense_compiler.rewriting.contract import Pass
from condense_compiler.rewriting.runner import run_passes
from condense_compiler.targets.accelerator.fallback import AcceleratedPart, PartedProgram
from condense_compiler.targets.accelerator.folder import (
    BINARY_FILE,
    check_ports,
    part_file,
    read_binary,
    read_quantised,
    shapes_at_ends,
)
from condense_compiler.targets.accelerator.integer.lowering import lower_network
from condense_compiler.targets.accelerator.isa.binary import Binary
from condense_compiler.targets.accelerator.machine import Machine
from condense_compiler.targets.accelerator.parts import HostPart
from condense_compiler.targets.accelerator.running import run_binary, verify_codes
from condense_compiler.targets.accelerator.selection import select


@dataclass(frozen=True, slots=True)
class LoadedProgram:
    """A program that was lowered earlier.

    Attributes:
        network: The rewritten network that it stands for.
        quantised: The quantised model, which it must equal.
        binary: The binary as it was saved, with the machine that it was written for.
    """

    network: Network
    quantised: onnx.ModelProto
    binary: Binary

    @property
    def ends(self) -> gs.Graph:
        """The graph whose inputs are read and whose outputs are computed."""
        return self.network.graph

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Compute the graph outputs, by name, on the simulator.

        Raises:
            InputError: The feeds do not match the graph inputs, or the binary breaks a rule of
                the machine.
        """
        return dict(run_binary(self.ends, self.binary, feeds).outputs)

    def verify(self, feeds: Mapping[str, npt.NDArray[Any]]) -> Verification:
        """Compare the simulator with the executor, and the executor with ONNX Runtime."""
        fused = lower_network(self.network, self.ends.nodes)
        return verify_codes(self.run(feeds), fused, self.quantised, feeds)


def load_program(folder: Path, passes: Sequence[Pass]) -> LoadedProgram:
    """Read the binary of a network.

    Args:
        folder: Where it is.
        passes: Those that rewrote the network.

    Raises:
        InputError: A file is missing or damaged, or does not belong to the network.
    """
    path = folder / BINARY_FILE
    binary, quantised = read_binary(path), read_quantised(folder)
    network = _rewritten(quantised, folder, passes)
    check_ports(path, binary, *shapes_at_ends(network.graph))
    return LoadedProgram(network, quantised, binary)


def load_parts(folder: Path, passes: Sequence[Pass], facts: Mapping[str, Any]) -> PartedProgram:
    """Read the binaries of a network in parts.

    Args:
        folder: Where they are.
        passes: Those that rewrote the network.
        facts: What the report says of it, the machine among it.

    Raises:
        InputError: A file is missing or damaged, or does not belong to the network.
    """
    network = _rewritten(read_quantised(folder), folder, passes)
    parts: list[AcceleratedPart | HostPart] = []
    for number, part in enumerate(
        select(network, _machine(folder, facts), allow_fallback=True).parts
    ):
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
    return PartedProgram(network, tuple(parts))


def _rewritten(quantised: onnx.ModelProto, folder: Path, passes: Sequence[Pass]) -> Network:
    network = load_network(in_standard_operators(quantised))
    network.name = folder.name
    run_passes(network, passes)
    return network


def _machine(folder: Path, facts: Mapping[str, Any]) -> Machine:
    try:
        return Machine(**facts["machine"])
    except (KeyError, TypeError):
        raise InputError(f"{folder}: its report does not tell the machine; compile again") from None
