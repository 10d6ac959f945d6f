"""An integer network: maps of 8-bit codes, and the operators that the accelerator has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.integer.weights import bits_needed
from condense_compiler.targets.accelerator.isa.records import TABLE_BYTES, Averaging, Joining

Array = npt.NDArray[Any]

# The window of one pixel.
POINT = Window((1, 1), (1, 1), (0, 0, 0, 0), (1, 1))


@dataclass(eq=False, slots=True)
class Map:
    """A feature map of signed 8-bit codes; the value of a code is `(code - zero) * scale`.

    In memory, row follows row, and in a row channel follows channel. So a map may also be seen as
    one channel that has the rows of all channels.

    Attributes:
        name: Unique in the network.
        shape: Channels, height, width.
        scale: Value of one step.
        zero: Code of the value zero.
        parent: Map that holds this one as some of its channels, if there is one.
        first_channel: Channel of the parent at which this map starts.
    """

    name: str
    shape: tuple[int, int, int]
    scale: float
    zero: int
    parent: "Map | None" = None
    first_channel: int = 0

    @property
    def size_bytes(self) -> int:
        """Bytes of its codes."""
        channels, height, width = self.shape
        return channels * height * width

    def rows(self) -> "Map":
        """Return the same memory as one channel that has the rows of all channels."""
        channels, height, width = self.shape
        shape = (1, height * channels, width)
        return Map(f"{self.name}/rows", shape, self.scale, self.zero, self)

    def root(self) -> tuple["Map", int]:
        """Return the map that owns the memory, and the channel in it at which this one starts."""
        if self.parent is None:
            return self, 0
        root, channel = self.parent.root()
        return root, channel + self.first_channel


@dataclass(frozen=True, slots=True)
class Scaling:
    """From sums to codes: `clamp(round(sum * multiplier / 2 ** shift) + zero)`.

    The sums of convolutions and averages are rounded to 24 significant bits before and after the
    multiplication, and their multipliers have 24 bits; elsewhere all is exact up to the rounding.

    Attributes:
        multipliers: One for each channel, for each rank, or one.
        shifts: As many, or one.
        zero: Code of the value zero.
        lower: Smallest code.
        upper: Largest code.
    """

    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]
    zero: int
    lower: int
    upper: int


@dataclass(frozen=True, slots=True)
class Table:
    """A function of one code, as 256 codes; the first is that of code -128.

    Attributes:
        content: Signed codes; 256 that serve all channels, or for each channel its own.
    """

    content: bytes

    @classmethod
    def of(cls, codes: npt.ArrayLike) -> "Table":
        """Return a table of codes: (256) for all channels, or (channels, 256)."""
        return cls(np.asarray(codes, np.int8).tobytes())

    @property
    def per_channel(self) -> bool:
        """Tell whether each channel has a function of its own."""
        return len(self.content) > TABLE_BYTES

    def array(self) -> Array:
        """Return the entries, (1, 256) or (channels, 256)."""
        return np.frombuffer(self.content, np.int8).reshape(-1, TABLE_BYTES)


@dataclass(frozen=True, slots=True)
class ChannelPooling:
    """Reduction of each group of consecutive channels to one.

    Attributes:
        reduction: max, min, average, ranked (sorted, the largest in front, then each member times
            a multiplier, and summed) or l2.
        window: Channels in a group.
        zero: Zero of the codes that are reduced.
        scaling: Back to codes (ranked and l2): a multiplier for each rank, or one.
        averaging: Back to codes (average).
    """

    reduction: str
    window: int
    zero: int = 0
    scaling: Scaling | None = None
    averaging: Averaging | None = None


MIRRORED = Table.of(range(127, -129, -1))  # turns the smallest code into the largest


@dataclass(eq=False, slots=True)
class Operator:
    """What every operator has.

    Attributes:
        name: Node of the network that it stands for.
        inputs: Maps that it reads.
        output: Map that it writes.
        table: Function applied to the codes last, if any; one for each channel only behind
            convolutions and copies.
    """

    name: str
    inputs: tuple[Map, ...]
    output: Map
    table: Table | None = None


@dataclass(eq=False)
class Convolution(Operator):
    """A convolution, with what is done to its accumulators before anything is stored.

    In order: scaling to codes, `inner_table`, `pooling`, `table`, `spatial`.

    Attributes:
        weights: Signed 8-bit, (wide channels, input channels / group, height, width).
        weight_zeros: What weights of the value zero are, one for each wide channel, signed 8-bit.
        bias: Signed 48-bit, one for each wide channel, added to the sums; in units of
            `2 ** -BIAS_FRACTION_BITS`.
        window: How it walks over the pixels.
        group: Groups of channels, as in ONNX.
        scaling: Accumulators to codes, for each wide channel.
        inner_table: Function applied to the codes before the pooling.
        pooling: Cross-channel pooling.
        spatial: Window of the max-pooling behind.
    """

    weights: Array = field(default_factory=lambda: np.empty(0, np.int8))
    weight_zeros: Array = field(default_factory=lambda: np.empty(0, np.int8))
    bias: Array = field(default_factory=lambda: np.empty(0, np.int64))
    window: Window = field(default_factory=lambda: POINT)
    group: int = 1
    scaling: Scaling | None = None
    inner_table: Table | None = None
    pooling: ChannelPooling | None = None
    spatial: Window | None = None

    @cached_property
    def weight_bits(self) -> int:
        """Bits that hold all the weights: 1 (plus or minus one), 2, 4 or 8."""
        return bits_needed(self.weights)


@dataclass(eq=False, slots=True)
class SpatialPooling(Operator):
    """The largest code, the scaled sum, or the average of each window of each channel.

    Attributes:
        kind: max, sum or average.
        window: How it walks over the pixels.
        scaling: Sums to codes.
        averaging: Values to codes, for averages.
    """

    kind: str = "max"
    window: Window = field(default_factory=lambda: POINT)
    scaling: Scaling | None = None
    averaging: Averaging | None = None

    def pools_channels(self) -> bool:
        """Tell whether what it reads, and so what it writes, are rows of one channel."""
        source = self.inputs[0]
        return source.parent is not None and source.shape[1] != source.root()[0].shape[1]


@dataclass(eq=False, slots=True)
class Binary(Operator):
    """The sum, product, maximum or minimum of two maps.

    A second map of one pixel serves all pixels.

    Attributes:
        joining: What is done to each pair of codes.
    """

    joining: Joining | None = None


@dataclass(eq=False, slots=True)
class Lookup(Operator):
    """A copy of a map, each code through the table."""


@dataclass(frozen=True, slots=True)
class Port:
    """A graph input or output: floating-point outside, codes inside.

    Attributes:
        map: The codes.
        shape: Shape outside, as in ONNX.
    """

    map: Map
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class IntegerNetwork:
    """Operators in the order in which they run.

    Attributes:
        operators: The operators.
        inputs: Graph inputs by name.
        outputs: Graph outputs by name.
    """

    operators: tuple[Operator, ...]
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]

    def maps(self) -> list[Map]:
        """Return every map that an operator or port names, in order of first use."""
        found = [port.map for port in self.inputs.values()]
        for operator in self.operators:
            found += [*operator.inputs, operator.output]
        found += [port.map for port in self.outputs.values()]
        return list(dict.fromkeys(found))
