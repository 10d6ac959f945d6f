"""What the target adds to the folder of a compilation, and reading it back."""

from collections.abc import Mapping
from pathlib import Path

import onnx
import onnx_graphsurgeon as gs
from google.protobuf.message import DecodeError
from onnx.external_data_helper import uses_external_data

from condense_compiler.errors import InputError
from condense_compiler.files import write_file
from condense_compiler.network.traversal import main_tensors, nested_tensors
from condense_compiler.targets.accelerator.isa.binary import Binary, from_bytes

Shapes = Mapping[str, tuple[int, ...]]

BINARY_FILE, QUANTISED_FILE = "program.bin", "quantised.onnx"
PART_FILES = "program.*.bin"  # of a network that runs partly elsewhere


def part_file(number: int) -> str:
    """Return the name of the binary of one part of a network that runs partly elsewhere."""
    return f"program.{number}.bin"


def read_binary(path: Path) -> Binary:
    """Read a binary.

    Raises:
        InputError: It is missing, or damaged.
    """
    try:
        return from_bytes(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; compile the model again") from error
    except InputError as error:
        raise InputError(f"{path}: {error}; compile the model again") from None


def read_quantised(folder: Path) -> onnx.ModelProto:
    """Read the quantised model that the binaries stand for.

    Raises:
        InputError: It is missing, or damaged.
    """
    path = folder / QUANTISED_FILE
    try:
        model: onnx.ModelProto = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; compile the model again") from error
    except DecodeError:
        raise InputError(f"{path}: not an ONNX model; compile the model again") from None
    tensors = (*(tensor for _, tensor in main_tensors(model.graph)), *nested_tensors(model))
    if any(uses_external_data(tensor) for tensor in tensors):
        raise InputError(f"{path}: has weights in other files; compile the model again")
    return model


def save_quantised(folder: Path, model: onnx.ModelProto | None) -> None:
    """Write the quantised model that the binaries stand for, if there is one."""
    if model is not None:
        write_file(folder / QUANTISED_FILE, model.SerializeToString())


def shapes_at_ends(graph: gs.Graph) -> tuple[Shapes, Shapes]:
    """Return the shapes of the inputs that are read and of the outputs that are computed."""
    read = {tensor.name: tuple(tensor.shape) for tensor in graph.inputs if tensor.outputs}
    computed = {tensor.name: tuple(tensor.shape) for tensor in graph.outputs if tensor.inputs}
    return read, computed


def check_ports(path: Path, binary: Binary, inputs: Shapes, outputs: Shapes) -> None:
    """Refuse a binary that computes something else.

    Args:
        path: Where it was read from.
        binary: The binary.
        inputs: Shape of each input that is expected, by name.
        outputs: Shape of each output.

    Raises:
        InputError: Names or shapes differ.
    """
    for is_output, expected in ((False, inputs), (True, outputs)):
        found = {port.name: port.shape for port in binary.ports if port.is_output == is_output}
        if found != expected:
            raise InputError(f"{path}: does not belong to the model; compile the model again")
