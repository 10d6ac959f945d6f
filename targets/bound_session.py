"""Running a session of ONNX Runtime on memory that is already there, of any element type."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.network.tensors import element_type
from condense_compiler.targets.element_types import numpy_dtype

Arrays = Mapping[str, npt.NDArray[Any]]


def is_native(tensor: gs.Tensor) -> bool:
    """Tell whether numpy itself has the element type of a tensor."""
    return numpy_dtype(tensor).isbuiltin == 1


def binding_types(*tensors: gs.Tensor) -> dict[str, Any]:
    """Return the element types of tensors, by name, as a binding takes them."""
    return {
        tensor.name: numpy_dtype(tensor).type if is_native(tensor) else element_type(tensor)
        for tensor in tensors
        if tensor.name
    }


def run_bound(session: Any, types: Mapping[str, Any], sources: Arrays, targets: Arrays) -> None:
    """Read inputs and write outputs where they lie.

    Args:
        session: The session.
        types: Element types, as `binding_types` gives them.
        sources: Inputs by name, contiguous.
        targets: Outputs by name, contiguous, of the shapes that the session computes.
    """
    binding = session.io_binding()
    for name, value in sources.items():
        binding.bind_input(name, "cpu", 0, types[name], value.shape, value.ctypes.data)
    for name, value in targets.items():
        binding.bind_output(name, "cpu", 0, types[name], value.shape, value.ctypes.data)
    session.run_with_iobinding(binding)
