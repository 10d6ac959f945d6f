"""Writing models: whole or not at all."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO

import onnx
import onnx_graphsurgeon as gs

from condense_compiler.files import check_file, writing
from condense_compiler.network.export import Encoding, constants, full_tensor, skeleton_tensor
from condense_compiler.network.stored import StoredValues
from condense_compiler.network.tensors import element_type, tensor_bytes

SINGLE_FILE_BYTES = 1_900_000_000  # protobuf ends at 2 GiB; the graph itself needs room
_ALIGNMENT = 4096  # of external tensors, so that readers can map them

Build = Callable[[Encoding], onnx.ModelProto]


def save(graph: gs.Graph, build: Build, path: Path, kept: Collection[Path] = ()) -> None:
    """Write a model to a file; if its weights do not fit, they go to PATH.data beside it.

    Args:
        graph: The graph of the model.
        build: Makes the model, given what to do with constants.
        path: The file to write; what was there is replaced once everything is written.
        kept: What must not be written over.

    Raises:
        InputError: The file cannot or must not be written.
    """
    check_file(path, kept)
    if sum(map(tensor_bytes, constants(graph))) <= SINGLE_FILE_BYTES:
        with writing(path, kept) as file:
            file.write(build(full_tensor).SerializeToString())
    else:
        _write_two_files(build, path, kept)


def files_of(path: Path) -> tuple[Path, Path]:
    """Return the file of a model, and the one beside it for weights that do not fit."""
    return path, path.with_name(path.name + ".data")


def _write_two_files(build: Build, path: Path, kept: Collection[Path]) -> None:
    _, data = files_of(path)
    with writing(path, kept) as file, writing(data, kept) as weights:

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
