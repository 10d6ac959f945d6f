"""Values of constants that stay where they are stored until somebody reads them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx_graphsurgeon.ir.tensor import LazyValues

from condense_compiler.network.tensors import bytes_of, numpy_type


@dataclass(frozen=True)
class Extent:
    """Where in a file the bytes of a tensor lie."""

    path: Path
    offset: int
    length: int

    def map(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return the bytes as a read-only memory map: pages are read when touched."""
        if self.length == 0:
            return np.empty(0, np.uint8)
        return np.memmap(self.path, np.uint8, "r", self.offset, (self.length,))


class StoredValues(LazyValues):
    """Values in an ONNX tensor, or in a file that it refers to.

    Unlike graphsurgeon's own lazy values, every element type has its numpy type, and loading says
    nothing.

    Attributes:
        tensor: The tensor; without bytes if they lie in a file.
        extent: The place in a file, or None.
        shape: As of a numpy array.
        dtype: The numpy type, from ml_dtypes where numpy itself has none.
        nbytes: Size of the values as ONNX stores them.
    """

    def __init__(self, tensor: onnx.TensorProto, extent: Extent | None = None) -> None:
        self.tensor = tensor
        self.extent = extent
        self.shape = tuple(tensor.dims)
        self.dtype = numpy_type(tensor.data_type)
        self.nbytes = bytes_of(tensor.data_type, self.shape)

    def load(self) -> np.ndarray[Any, Any]:
        """Return the values; those in a file are a view of it, read when touched."""
        if self.extent and self.dtype.itemsize * int(np.prod(self.shape)) == self.extent.length:
            return self.extent.map().view(self.dtype).reshape(self.shape)
        return onnx.numpy_helper.to_array(self.with_bytes())

    def with_bytes(self) -> onnx.TensorProto:
        """Return the tensor with its bytes in it."""
        if self.extent is None:
            return self.tensor
        return onnx.TensorProto(
            name=self.tensor.name,
            data_type=self.tensor.data_type,
            dims=self.tensor.dims,
            raw_data=self.extent.map().tobytes(),
        )
