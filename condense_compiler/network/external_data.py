"""Tensors whose bytes lie in files beside the model: found and checked when loading."""

import os
from pathlib import Path, PurePosixPath

import onnx
from google.protobuf.message import DecodeError
from onnx.external_data_helper import uses_external_data

from condense_compiler.errors import InputError
from condense_compiler.network.stored import Extent, StoredValues
from condense_compiler.network.tensors import bytes_of
from condense_compiler.network.traversal import main_tensors, nested_tensors
from condense_compiler.network.weights_aside import is_large


def resolve_external_data(model: onnx.ModelProto, folder: Path | None) -> dict[str, Extent]:
    """Find the bytes of every external tensor.

    Large tensors of the main graph stay in their files; all others are moved into the model.

    Args:
        model: The model, changed in place.
        folder: Where the model file lies; None for a model that never was a file.

    Returns:
        Where the tensors lie that stay in their files, by tensor name.

    Raises:
        InputError: A file is missing, too short, or outside the folder of the model.
    """
    extents: dict[str, Extent] = {}
    for name, tensor in main_tensors(model.graph):
        if uses_external_data(tensor):
            extent = _extent(name, tensor, folder)
            if is_large(tensor.data_type, tuple(tensor.dims)):
                extents[name] = extent
            else:
                _move_in(tensor, extent)
    for tensor in nested_tensors(model):
        if uses_external_data(tensor):
            _move_in(tensor, _extent(tensor.name, tensor, folder))
    return extents


def model_files(path: Path) -> tuple[Path, ...]:
    """Return a model file and the files of its external data, as far as they can be told."""
    try:
        if not path.is_file():
            return (path,)
        model = onnx.ModelProto.FromString(path.read_bytes())
    except (OSError, ValueError, DecodeError):
        return (path,)
    tensors = (*(tensor for _, tensor in main_tensors(model.graph)), *nested_tensors(model))
    names = {_location(tensor) for tensor in tensors if uses_external_data(tensor)} - {""}
    return (path, *(path.parent / name for name in sorted(names)))


def _location(tensor: onnx.TensorProto) -> str:
    fields = {entry.key: entry.value for entry in tensor.external_data}
    return str(fields.get("location", ""))  # protobuf gives bytes where it is not text


def _move_in(tensor: onnx.TensorProto, extent: Extent) -> None:
    tensor.CopyFrom(StoredValues(tensor, extent).with_bytes())


def _extent(name: str, tensor: onnx.TensorProto, folder: Path | None) -> Extent:
    """Return where the bytes of an external tensor lie, checked."""
    fields = {entry.key: entry.value for entry in tensor.external_data}
    location = _location(tensor)
    if folder is None:
        raise InputError(
            f"tensor '{name}' lies in the external file '{location}', but the model was given "
            "without its file; load it from its path"
        )
    path = folder / location
    if not location or PurePosixPath(location).is_absolute() or ".." in Path(location).parts:
        raise InputError(
            f"tensor '{name}': the external file '{location}' is not in the folder of the model"
        )
    if not _is_file(path):
        raise InputError(
            f"tensor '{name}': the external data file {path} is missing; put it beside the model"
        )
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(os.path.realpath(folder)):
        raise InputError(
            f"tensor '{name}': the external data file {path} is a link out of the folder of the "
            f"model, to {real}; put the data itself there"
        )
    needed = bytes_of(tensor.data_type, tensor.dims)
    offset, length = _place(name, fields, needed)
    if length != needed:
        raise InputError(
            f"tensor '{name}': needs {needed} bytes, but {length} are said to be in {path}; "
            "export the model again"
        )
    size = path.stat().st_size
    if size < offset + length:
        raise InputError(
            f"tensor '{name}': the external data file {path} is too short, {size} bytes of "
            f"{offset + length}; copy it again"
        )
    return Extent(real, offset, length)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that the file system does not take
        return False


def _place(name: str, fields: dict[str, str], default_length: int) -> tuple[int, int]:
    """Return the offset and the length that an external tensor declares."""
    try:
        offset = int(fields.get("offset") or 0)
        length = int(fields.get("length") or default_length)
    except ValueError:
        offset, length = -1, 0
    if offset < 0 or length < 0:
        raise InputError(
            f"tensor '{name}': the offset or length of its external data is not a number of "
            "bytes; export the model again"
        )
    return offset, length
