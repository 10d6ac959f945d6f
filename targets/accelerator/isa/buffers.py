"""What the weight buffer holds: parameters of wide channels, weights, tables and factors."""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from condense_compiler.targets.accelerator.isa.fields import Field, layout_of
from condense_compiler.targets.accelerator.isa.kinds import Whole
from condense_compiler.targets.accelerator.isa.records import MOST_SHIFT

Array = npt.NDArray[Any]

FACTORS = np.dtype("<i4")
WEIGHT_BITS = (8, 4, 2, 1)
BIAS_FRACTION_BITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What belongs to a wide channel."""

    bias: Annotated[int, Whole(32, signed=True), "added to the sums"]
    multiplier: Annotated[int, Whole(32, most=(1 << 24) - 1), "of the sums"]
    weight_zero: Annotated[int, Whole(8, signed=True), "what a weight of the value zero is"]
    shift: Annotated[int, Whole(8, most=MOST_SHIFT), "what they are divided by, a power of two"]
    fraction: Annotated[int, Whole(BIAS_FRACTION_BITS), "what the bias has behind the point"]


PARAMETER_LAYOUT = layout_of(Parameters)
_FIELDS = tuple(PARAMETER_LAYOUT.fields())


def _element(field: Field) -> str:
    signed = isinstance(field.kind, Whole) and field.kind.signed
    return f"<{'i' if signed else 'u'}{field.bits // 8}"


PARAMETERS = np.dtype([(field.name, _element(field)) for field in _FIELDS])


def unpack_parameters(content: Array) -> Array:
    """Return the parameters of wide channels, of the type `PARAMETERS`, from their bytes.

    Raises:
        InputError: One is out of its limits.
    """
    found = np.ascontiguousarray(content).view(PARAMETERS)
    for field in _FIELDS:
        for value in (found[field.name].min(), found[field.name].max()):
            field.pack(value)
    return found


def pack_bits(weights: Array, bits: int) -> bytes:
    """Return weights with 8, 4, 2 or 1 bit each, the first in the lowest bits of a byte."""
    flat = weights.reshape(-1)
    if bits == 8:
        return flat.astype(np.int8).tobytes()
    codes = (flat > 0) if bits == 1 else flat.astype(np.int16) & ((1 << bits) - 1)
    planes = (codes[:, None].astype(np.uint8) >> np.arange(bits, dtype=np.uint8)) & 1
    return np.packbits(planes.reshape(-1), bitorder="little").tobytes()


def unpack_bits(content: Array, count: int, bits: int) -> Array:
    """Return weights from what `pack_bits` made of them."""
    if bits == 8:
        return np.asarray(content[:count].view(np.int8))
    planes = np.unpackbits(content, bitorder="little")[: count * bits].reshape(count, bits)
    codes = (planes.astype(np.int16) << np.arange(bits)).sum(axis=1)
    if bits == 1:
        return np.asarray(2 * codes - 1, np.int8)
    return np.asarray(np.where(codes >= 1 << (bits - 1), codes - (1 << bits), codes), np.int8)


def packed_bytes(count: int, bits: int) -> int:
    """Return the size of packed weights."""
    return -(-count * bits // 8)
