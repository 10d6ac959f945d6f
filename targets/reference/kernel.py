"""What an operator is to the executor: a function over views, and the scratch that it needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.operators.registry import Record, parse_as
from condense_compiler.targets.element_types import numpy_dtype

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Compute = Callable[[Sequence[Array], Sequence[Array], Array], None]

# Start of each array in scratch: a cache line, which is also the widest vector register.
ALIGNMENT_BYTES = 64

# Stands where a node leaves out an optional input or output.
ABSENT: Array = np.empty(0, np.uint8)

# Who computes what has a kernel here.
NUMPY = "numpy"

# Element types with too few digits to add in: computed in float32, rounded once at the end.
HALF_TYPES = frozenset({"float16", "bfloat16"})


@dataclass(frozen=True, slots=True)
class Kernel:
    """An operator, prepared to run.

    Attributes:
        compute: Writes the outputs, given inputs, outputs and a scratch buffer. An absent input or
            output is an empty array.
        buffer_bytes: Size of the scratch buffer that it needs.
        temporary_bytes: The most that it allocates beside the buffer at one time.
        computed_by: Who computes.
    """

    compute: Compute
    buffer_bytes: int = 0
    temporary_bytes: int = 0
    computed_by: str = NUMPY

    @property
    def bounded(self) -> bool:
        """Whether the scratch is known ahead; others do not tell what they need."""
        return self.computed_by == NUMPY

    @property
    def scratch_bytes(self) -> int:
        """Working memory beside feature maps and weights."""
        return self.buffer_bytes + self.temporary_bytes


@dataclass(frozen=True, slots=True)
class NodeContext:
    """What is known about a node before it runs.

    Attributes:
        node: The node; its tensors have static shapes and numpy types.
        opset: Version of the ONNX operators in this network.
        overwrites: Inputs in whose place the first output is written, from their first byte on.
        accumulates: The result is added to what already lies where it goes.
        known: Values that do not depend on the network's inputs, by tensor name.
        versions: Versions of the operators of other domains, by domain.
    """

    node: gs.Node
    opset: int
    overwrites: frozenset[int] = frozenset()
    accumulates: bool = False
    known: Mapping[str, Array] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)

    def read(self, record: type[Record]) -> Record:
        """Return the node, of a known type, as the record of that type."""
        return parse_as(record, self.node, self.known)

    def has_input(self, index: int) -> bool:
        """Tell whether an optional input is given."""
        return index < len(self.node.inputs) and bool(self.node.inputs[index].name)

    def constant(self, index: int) -> Array | None:
        """Return the value of an input that is known ahead."""
        if not self.has_input(index):
            return None
        tensor = self.node.inputs[index]
        if isinstance(tensor, gs.Constant):
            return constant_value(tensor)
        return self.known.get(tensor.name)

    def shape(self, index: int = 0) -> Shape:
        """Return the shape of an input."""
        return tuple(self.node.inputs[index].shape)

    def output_shape(self, index: int = 0) -> Shape:
        """Return the shape of an output."""
        return tuple(self.node.outputs[index].shape)

    def dtype(self, index: int = 0) -> np.dtype[Any]:
        """Return the element type of an input."""
        return numpy_dtype(self.node.inputs[index])


def constant_value(tensor: gs.Constant) -> Array:
    """Return the value of a constant in its own element type."""
    return np.asarray(tensor.values).astype(numpy_dtype(tensor), copy=False)


Builder = Callable[[NodeContext], Kernel | None]


def is_float(dtype: np.dtype[Any]) -> bool:
    """Tell whether this is a floating-point type that is computed natively."""
    return dtype.kind == "f" or dtype.name in HALF_TYPES


def compute_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which values of `dtype` are added and multiplied."""
    return np.dtype(np.float32) if dtype.name in HALF_TYPES else dtype


@dataclass(frozen=True, slots=True)
class Layout:
    """Arrays that share a scratch buffer, one behind the other.

    Attributes:
        places: Offset in bytes, shape and element type of each array, by name.
        buffer_bytes: Size of all of them.
    """

    places: Mapping[str, tuple[int, Shape, np.dtype[Any]]]
    buffer_bytes: int

    @classmethod
    def of(cls, arrays: Mapping[str, tuple[Shape, np.dtype[Any]]]) -> "Layout":
        """Place the arrays in the order given."""
        places = {}
        end = 0
        for name, (shape, dtype) in arrays.items():
            places[name] = (end, shape, dtype)
            end += aligned(prod(shape) * dtype.itemsize)
        return cls(places, end)

    def take(self, scratch: Array, name: str) -> Array:
        """Return the view of one array in the scratch buffer."""
        offset, shape, dtype = self.places[name]
        size = prod(shape) * dtype.itemsize
        return scratch[offset : offset + size].view(dtype).reshape(shape)


def aligned(size: int) -> int:
    """Round a size in bytes up to the alignment."""
    return -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
