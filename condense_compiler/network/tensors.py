"""Facts about tensors: element types, sizes, whether a shape is fixed."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

# Element types that ONNX packs into part of a byte; every other type has whole bytes.
PACKED_BITS = {
    onnx.TensorProto.DataType.Value(name): bits
    for name, bits in (("INT4", 4), ("UINT4", 4), ("FLOAT4E2M1", 4), ("INT2", 2), ("UINT2", 2))
    if name in onnx.TensorProto.DataType.keys()  # noqa: SIM118 - not a dictionary
}


def numpy_type(data_type: int) -> np.dtype[Any]:
    """Return the numpy type of an ONNX element type, from ml_dtypes where numpy has none."""
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(data_type))


def element_type(tensor: gs.Tensor) -> int:
    """Return the element type of a tensor as a value of `onnx.TensorProto.DataType`."""
    if tensor.dtype is None:
        return int(onnx.TensorProto.UNDEFINED)
    if isinstance(tensor.dtype, int):  # graphsurgeon's way with types that numpy lacks
        return tensor.dtype
    return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)))


def type_name(data_type: int) -> str:
    """Return the ONNX name of an element type in lower case, for messages."""
    return str(onnx.TensorProto.DataType.Name(data_type)).lower()


def element_bits(tensor: gs.Tensor) -> int:
    """Return the bits that an element of a tensor takes."""
    data_type = element_type(tensor)
    return PACKED_BITS.get(data_type) or numpy_type(data_type).itemsize * 8


def bytes_of(data_type: int, shape: Iterable[int]) -> int:
    """Return the bytes that a dense tensor of this element type and shape occupies."""
    elements = math.prod(shape)
    bits = PACKED_BITS.get(data_type)
    return elements * numpy_type(data_type).itemsize if bits is None else -(-elements * bits // 8)


def tensor_bytes(tensor: gs.Tensor) -> int:
    """Return the bytes that a typed tensor with a static shape occupies."""
    return bytes_of(element_type(tensor), tensor.shape)


def type_alignment(tensor: gs.Tensor) -> int:
    """Return the multiple of bytes at which a tensor's elements can be addressed directly."""
    data_type = element_type(tensor)
    return 1 if data_type in PACKED_BITS else bytes_of(data_type, ())


def is_static(shape: Any) -> bool:
    """Tell whether a shape is known and made of integers alone."""
    return shape is not None and all(isinstance(d, int | np.integer) and d >= 0 for d in shape)


def variables(graph: gs.Graph) -> Iterator[gs.Variable]:
    """Yield every named non-constant tensor of a graph once, inputs first."""
    seen: set[int] = set()
    produced = (tensor for node in graph.nodes for tensor in (*node.inputs, *node.outputs))
    for tensor in (*graph.inputs, *produced, *graph.outputs):
        if tensor.name and isinstance(tensor, gs.Variable) and id(tensor) not in seen:
            seen.add(id(tensor))
            yield tensor
