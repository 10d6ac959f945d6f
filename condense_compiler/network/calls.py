"""One call of an operator, as the checks see it: attributes, and what is known of its operands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_graphsurgeon as gs

from condense_compiler.network.export import full_tensor
from condense_compiler.network.weights_aside import is_large

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CallOperand:
    """An input of a call.

    Attributes:
        name: Name of the tensor.
        element_type: As of `onnx.TensorProto.DataType`.
        shape: Its sizes, if all are known.
        tensor: Its value, if that is known and small.
    """

    name: str
    element_type: int
    shape: Shape | None
    tensor: onnx.TensorProto | None = None

    @property
    def values(self) -> npt.NDArray[Any] | None:
        """Its value as an array, if that is known and small."""
        return None if self.tensor is None else onnx.numpy_helper.to_array(self.tensor)


@dataclass(frozen=True, slots=True)
class Call:
    """An operator with its attributes and operands.

    Attributes:
        op: Name of the operator.
        opset: Version of the operator set.
        attributes: By name; texts decoded.
        inputs: Operands, None where one is omitted.
        outputs: How many results are asked for.
    """

    op: str
    opset: int
    attributes: Mapping[str, Any]
    inputs: tuple[CallOperand | None, ...]
    outputs: int

    def operand(self, index: int) -> CallOperand | None:
        """Return an operand, or None if it is omitted."""
        return self.inputs[index] if index < len(self.inputs) else None

    def shape(self, index: int) -> Shape | None:
        """Return the shape of an operand, or None if it is omitted or not known."""
        operand = self.operand(index)
        return None if operand is None else operand.shape

    def values(self, index: int) -> npt.NDArray[Any] | None:
        """Return the value of an operand, or None if it is omitted or not known."""
        operand = self.operand(index)
        return None if operand is None else operand.values

    def integers(self, attribute: str, index: int | None = None) -> list[int] | None:
        """Return a list given as attribute or, in newer versions, as an operand.

        None if it is not given, or does not hold integers, which inference refuses.
        """
        given = self.attributes.get(attribute)
        if given is None and index is not None:
            given = self.values(index)
        if given is None:
            return None
        values = np.asarray(given).reshape(-1)
        is_list = np.issubdtype(values.dtype, np.integer) or not values.size
        return [int(value) for value in values] if is_list else None

    def text(self, attribute: str, default: str) -> str:
        """Return an attribute that is a text."""
        value = self.attributes.get(attribute, default)
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def small_value(tensor: gs.Tensor, element_type: int) -> onnx.TensorProto | None:
    """Return the value of a tensor, if it is a small constant."""
    if not isinstance(tensor, gs.Constant) or is_large(element_type, tuple(tensor.shape)):
        return None
    return full_tensor(tensor)
