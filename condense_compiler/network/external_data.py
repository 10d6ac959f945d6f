"""Tensors whose bytes lie in files beside the model: checked when loading, mapped when used."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import onnx
from onnx.external_data_helper import uses_external_data
from onnx_graphsurgeon.ir.tensor import LazyValues

from condense_compiler.errors import InputError
from condense_compiler.network.tensors import bytes_of
from condense_compiler.network.weights import is_large


@dataclass(frozen=True)
class Extent:
    """Where the bytes of a tensor lie."""

    path: Path
    offset: int
    length: int

    def map(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return the bytes as a read-only memory map: pages are read when touched."""
        if self.length == 0:
            return np.empty(0, np.uint8)
        return np.memmap(self.path, np.uint8, "r", self.offset, (self.length,))


class ExternalValues(LazyValues):  # type: ignore[misc]  # graphsurgeon is untyped
    """Values of a constant that stay in their file until somebody reads them."""

    def __init__(self, tensor: onnx.TensorProto, extent: Extent) -> None:
        super().__init__(tensor)
        self.extent = extent

    def load(self) -> np.ndarray[Any, Any]:
        """Return the values; types of whole bytes are a view of the file, not a copy."""
        dtype = onnx.helper.tensor_dtype_to_np_dtype(self.tensor.data_type)
        shape = tuple(self.tensor.dims)
        if dtype.itemsize * int(np.prod(shape)) == self.extent.length:
            return self.extent.map().view(dtype).reshape(shape)
        return onnx.numpy_helper.to_array(self.inline())

    def inline(self) -> onnx.TensorProto:
        """Return the tensor with its bytes in it."""
        return onnx.TensorProto(
            name=self.tensor.name,
            data_type=self.tensor.data_type,
            dims=self.tensor.dims,
            raw_data=self.extent.map().tobytes(),
        )


def resolve_external_data(model: onnx.ModelProto, folder: Path | None) -> dict[str, Extent]:
    """Find the bytes of every external tensor; small ones are moved into the model.

    Args:
        model: The model; its small external tensors become ordinary ones.
        folder: Where the model file lies; None for a model that never was a file.

    Returns:
        The extents of the large external tensors, by tensor name.

    Raises:
        InputError: A file is missing, too short, or outside the folder of the model.
    """
    extents: dict[str, Extent] = {}
    for name, tensor in _tensors(model):
        if not uses_external_data(tensor):
            continue
        extent = _extent(name, tensor, folder)
        if is_large(tensor.data_type, tuple(tensor.dims)):
            extents[name] = extent
        else:
            tensor.CopyFrom(ExternalValues(tensor, extent).inline())
    return extents


def _tensors(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Yield every tensor of the main graph with the name that the graph knows it by."""
    for tensor in model.graph.initializer:
        yield tensor.name, tensor
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t") and node.output:
                yield node.output[0], attribute.t


def _extent(name: str, tensor: onnx.TensorProto, folder: Path | None) -> Extent:
    fields = {entry.key: entry.value for entry in tensor.external_data}
    location = fields.get("location", "")
    if folder is None:
        raise InputError(
            f"tensor '{name}' lies in external file '{location}', but the model was given without "
            "a file; load it from its path"
        )
    path = folder / location
    if not location or PurePosixPath(location).is_absolute() or ".." in Path(location).parts:
        raise InputError(f"tensor '{name}': external file '{location}' is not beside the model")
    if not path.is_file():
        raise InputError(
            f"tensor '{name}': external data file {path} is missing; put it beside the model"
        )
    needed = bytes_of(tensor.data_type, tensor.dims)
    try:
        offset = int(fields.get("offset") or 0)
        length = int(fields.get("length") or needed)
    except ValueError:
        raise InputError(f"tensor '{name}': offset or length is not a number in {path}") from None
    if length != needed or offset < 0:
        raise InputError(
            f"tensor '{name}': needs {needed} bytes but is said to have {length} at {offset} "
            f"in {path}; export the model again"
        )
    if path.stat().st_size < offset + length:
        raise InputError(
            f"tensor '{name}': external data file {path} is too short: "
            f"{path.stat().st_size} bytes of {offset + length}; copy it again"
        )
    return Extent(path, offset, length)
