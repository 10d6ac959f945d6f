"""Writing models: whole or not at all."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import onnx
import onnx_graphsurgeon as gs

from condense_compiler.errors import InputError
from condense_compiler.network.export import Encoding, constants, full_tensor, skeleton_tensor
from condense_compiler.network.stored import StoredValues
from condense_compiler.network.tensors import element_type, tensor_bytes

SINGLE_FILE_BYTES = 1_900_000_000  # protobuf ends at 2 GiB; the graph itself needs room
_ALIGNMENT = 4096  # of external tensors, so that readers can map them

Build = Callable[[Encoding], onnx.ModelProto]


def save(graph: gs.Graph, build: Build, path: Path) -> None:
    """Write a model to a file; if its weights do not fit, they go to PATH.data beside it.

    Args:
        graph: The graph of the model.
        build: Makes the model, given what to do with constants.
        path: The file to write; what was there is replaced once everything is written.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        if sum(map(tensor_bytes, constants(graph))) <= SINGLE_FILE_BYTES:
            _write_one_file(build(full_tensor), path)
        else:
            _write_two_files(build, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _write_one_file(model: onnx.ModelProto, path: Path) -> None:
    with _replacing(path) as file:
        file.write(model.SerializeToString())


def _write_two_files(build: Build, path: Path) -> None:
    data = path.with_name(path.name + ".data")
    with _replacing(path) as file, _replacing(data) as weights:

        def encode(constant: gs.Constant) -> onnx.TensorProto | onnx.ValueInfoProto:
            small = skeleton_tensor(constant)
            return small if isinstance(small, onnx.TensorProto) else _append(constant, weights)

        def _append(constant: gs.Constant, weights: BinaryIO) -> onnx.TensorProto:
            content = _content(constant)
            weights.seek(-(-weights.tell() // _ALIGNMENT) * _ALIGNMENT)
            place = {"location": data.name, "offset": weights.tell(), "length": len(content)}
            weights.write(content)
            return onnx.TensorProto(
                data_type=element_type(constant),
                dims=constant.shape,
                data_location=onnx.TensorProto.EXTERNAL,
                external_data=[
                    onnx.StringStringEntryProto(key=key, value=str(value))
                    for key, value in place.items()
                ],
            )

        file.write(build(encode).SerializeToString())


def _content(constant: gs.Constant) -> bytes | memoryview:
    """Return the bytes of a constant the way external files hold them: like `raw_data`."""
    values = constant._values
    if isinstance(values, StoredValues) and values.extent is not None:
        return values.extent.map().data  # from file to file, without a copy in memory
    tensor = full_tensor(constant)
    if not tensor.HasField("raw_data"):
        tensor = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor))
    return tensor.raw_data


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` if the block succeeds, and vanishes if not."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        os.replace(partial, path)  # noqa: PTH105 - says what it does
    finally:
        partial.unlink(missing_ok=True)
