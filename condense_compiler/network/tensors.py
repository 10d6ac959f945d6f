"""Facts about tensors: element types, sizes, whether a shape is fixed."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.exporters.onnx_exporter import dtype_to_onnx
from onnx_graphsurgeon.importers.onnx_importer import get_numpy_type
from onnx_graphsurgeon.ir.tensor import LazyValues

_TYPES = onnx.TensorProto

# Element types that ONNX packs into part of a byte; every other type has whole bytes.
_PACKED_BITS = {
    getattr(_TYPES, name): bits
    for name, bits in (("INT4", 4), ("UINT4", 4), ("FLOAT4E2M1", 4), ("INT2", 2), ("UINT2", 2))
    if hasattr(_TYPES, name)
}


def element_type(tensor: gs.Tensor) -> int:
    """Return the element type of a tensor as a value of `onnx.TensorProto.DataType`."""
    values = tensor._values if isinstance(tensor, gs.Constant) else None
    if isinstance(values, LazyValues):
        return int(values.tensor.data_type)
    dtype = tensor.dtype
    if isinstance(dtype, int):
        return dtype
    # graphsurgeon confuses float8 variants, onnx does not; onnx does not know plain names.
    try:
        return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    except (KeyError, ValueError):
        return int(dtype_to_onnx(dtype))


def gs_dtype(data_type: int) -> Any:
    """Return an ONNX element type the way graphsurgeon keeps it: a numpy type where it has one."""
    dtype = get_numpy_type(data_type)
    return data_type if dtype is None else dtype


def type_name(data_type: int) -> str:
    """Return the ONNX name of an element type in lower case, for messages."""
    return str(_TYPES.DataType.Name(data_type)).lower()


def bytes_of(data_type: int, shape: Iterable[int]) -> int:
    """Return the bytes that a dense tensor of this element type and shape occupies."""
    elements = math.prod(shape)
    bits = _PACKED_BITS.get(data_type)
    if bits is not None:
        return (elements * bits + 7) // 8
    return elements * onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize


def tensor_bytes(tensor: gs.Tensor) -> int:
    """Return the bytes that a typed tensor with a static shape occupies."""
    return bytes_of(element_type(tensor), tensor.shape)


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


def type_alignment(tensor: gs.Tensor) -> int:
    """Return the multiple of bytes at which a tensor's elements can be addressed directly."""
    data_type = element_type(tensor)
    return 1 if data_type in _PACKED_BITS else bytes_of(data_type, ())
