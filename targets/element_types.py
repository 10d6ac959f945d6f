"""Element types of tensors as numpy types."""

from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from condense_compiler.network.tensors import element_type


def numpy_dtype(tensor: gs.Tensor) -> np.dtype[Any]:
    """Return the element type of a tensor; graphsurgeon keeps a number where numpy has none."""
    return onnx.helper.tensor_dtype_to_np_dtype(element_type(tensor))
