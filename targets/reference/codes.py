"""Operands and results that are 8-bit codes: their values exist for some of the elements."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from condense_compiler.operators.on_codes import INPUTS_OF_OPERAND
from condense_compiler.operators.quantising import along
from condense_compiler.targets.reference.kernel import Array, Shape

Part = tuple[slice | int, ...]


@dataclass(frozen=True, slots=True)
class Operand:
    """Codes, and what they mean.

    Attributes:
        codes: Of 32 bits or fewer.
        scale: float32, in a shape that broadcasts to the codes.
        zero: float32, likewise.
    """

    codes: Array
    scale: Array
    zero: Array

    def spread(self, shape: Shape) -> "Operand":
        """Return the same as part of a larger result."""
        return Operand(*(np.broadcast_to(e, shape) for e in (self.codes, self.scale, self.zero)))

    def transposed(self) -> "Operand":
        """Return the same with the last two axes exchanged."""
        return Operand(*(np.swapaxes(each, -1, -2) for each in self._whole()))

    def reshaped(self, shape: Shape) -> "Operand":
        """Return the same in another shape with the same elements."""
        return Operand(*(each.reshape(shape) for each in self._whole()))

    def values(self, part: Part = (), dtype: npt.DTypeLike = np.float32) -> Array:
        """Return the values of some of the codes."""
        values: Array = self.codes[part].astype(dtype)
        _, scale, zero = self._whole()
        values -= zero[part]
        values *= scale[part]
        return values

    def _whole(self) -> tuple[Array, Array, Array]:
        shape = self.codes.shape
        return self.codes, np.broadcast_to(self.scale, shape), np.broadcast_to(self.zero, shape)


def operand(inputs: Sequence[Array], index: int, axes: Sequence[int] = ()) -> Operand:
    """Return an operand of a `condense::OnCodes`.

    Args:
        inputs: All inputs of the node.
        index: Which operand.
        axes: Attribute `operand_axes`.
    """
    codes, scale, zero = inputs[INPUTS_OF_OPERAND * index : INPUTS_OF_OPERAND * (index + 1)]
    axis = axes[index] if axes else 0
    scale, zero = (along(each, axis, codes.ndim).astype(np.float32) for each in (scale, zero))
    return Operand(codes, scale, zero)


def store(codes: Array, values: Array, inputs: Sequence[Array]) -> None:
    """Quantise values, float32, which are written over; the last inputs tell how."""
    scale, zero = inputs[-2:]
    limits = np.iinfo(zero.dtype)
    values /= np.float32(scale.reshape(()))
    np.rint(values, out=values)
    values += np.float32(zero.reshape(()))
    np.copyto(codes, np.clip(values, limits.min, limits.max, out=values), casting="unsafe")
