"""What a tensor holds, element by element, in terms of the channels of a convolution."""

from dataclasses import dataclass, replace
from typing import Literal as OneOf

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.operators.window import Window
from condense_compiler.passes.tracing.expressions import (
    IDENTITY,
    Apply,
    ChannelKey,
    Expression,
    Input,
    Literal,
)

# A channel key is the convolution's number times this, plus the channel.
CHANNELS_PER_CONVOLUTION = 1 << 32

TILE_FAULT = "the groups do not tile the channels"

ChannelArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Axis:
    """A factor of a tensor's dimension, larger than one.

    Attributes:
        kind: `pixel` for the batch and spatial axes of the convolution's result, `channel` for a
            factor of its channels, `rank` for the ranks of a sorted group.
        size: Number of positions.
        number: Which axis of the convolution's result it is (pixels alone).
    """

    kind: OneOf["pixel", "channel", "rank"]
    size: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class Geometry:
    """What convolutions must share for their filters to be merged."""

    data: str
    window: Window
    group: int
    shape: tuple[int, ...]
    weights_are_constant: bool


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The contents of one tensor.

    Each element is `after(reduction(before(convolution channel) for the members))`.

    Attributes:
        geometry: Of the convolutions that made the wide maps.
        dims: The factors of each dimension, outermost first; empty for a dimension of size one.
        channels: Keys of the convolution channels at each element: one array axis for each
            channel axis in `dims`, in order, then one for the members of the reduced group.
        before: Expression applied to each member.
        reduction: How members become one value; None while the map is still wide.
        after: Expression applied to the reduced value.
        ranks: For each position of a `rank` axis, which member stands there, counted from the
            largest, and the weight it has been given.
        rank_weights: Weights of a sorted group that has been summed, largest member first.
        spatial: Window of a max-pooling applied last.
        pixels: Sizes of the spatial axes, behind `spatial`.
        nodes: Names of the nodes that computed it, convolutions included.
        fault: Why the reduction cannot be fused, if it cannot.
    """

    geometry: Geometry
    dims: tuple[tuple[Axis, ...], ...]
    channels: ChannelArray
    pixels: tuple[int, ...]
    nodes: frozenset[str]
    before: Expression = IDENTITY
    reduction: str | None = None
    after: Expression = IDENTITY
    ranks: tuple[tuple[int, float], ...] = ()
    rank_weights: tuple[float, ...] = ()
    spatial: Window | None = None
    fault: str | None = None

    @property
    def axes(self) -> tuple[Axis, ...]:
        """All factors of all dimensions, outermost first."""
        return tuple(axis for dim in self.dims for axis in dim)

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return tuple(size_of(dim) for dim in self.dims)

    @property
    def is_ranked(self) -> bool:
        """Whether an axis of ranks waits to be summed."""
        return bool(self.ranks)

    @property
    def window(self) -> int:
        """Number of channels that become one."""
        return int(self.channels.shape[-1])

    @property
    def is_wide(self) -> bool:
        """Whether nothing was reduced yet."""
        return self.reduction is None

    def through(self, node: gs.Node) -> "View":
        """Return the same view, with a node added to those that computed it."""
        return replace(self, nodes=self.nodes | {node.name})

    def apply(self, expression: Expression) -> "View | None":
        """Return the view of an element-wise expression of this tensor."""
        if self.is_ranked:
            return None
        if self.is_wide:
            return replace(self, before=expression)
        return replace(self, after=expression)

    @property
    def value(self) -> Expression:
        """The expression that an element-wise operator would be applied to."""
        return self.before if self.is_wide else self.after

    def convolutions(self) -> set[int]:
        """Return the numbers of the convolutions whose channels these are."""
        return set((self.channels.reshape(-1) // CHANNELS_PER_CONVOLUTION).tolist())

    def keys(self) -> list[ChannelKey]:
        """Return one key for each channel position, in the tensor's order."""
        return [int(key) for key in self.channels[..., 0].reshape(-1)]

    def is_same_place(self, other: "View") -> bool:
        """Tell whether equal positions of both hold values of the same channels."""
        return (
            self.geometry == other.geometry
            and self.dims == other.dims
            and self.reduction == other.reduction
            and self.spatial == other.spatial
            and self.rank_weights == other.rank_weights
            and np.array_equal(self.channels, other.channels)
        )


def size_of(dim: tuple[Axis, ...]) -> int:
    """Return the size of a dimension from its factors."""
    size = 1
    for axis in dim:
        size *= axis.size
    return size


def is_channel_only(dim: tuple[Axis, ...]) -> bool:
    """Tell whether a dimension runs over nothing but channels."""
    return all(axis.kind == "channel" for axis in dim)


def is_canonical(view: View) -> bool:
    """Tell whether the tensor is laid out as the convolution's result: batch, channels, pixels."""
    if view.is_ranked or len(view.dims) != len(view.geometry.shape) + 1:
        return False
    if view.shape[0] != view.geometry.shape[0] or view.shape[2:] != view.pixels:
        return False
    rest = [axis for dim in (view.dims[0], *view.dims[2:]) for axis in dim]
    numbers = [axis.number for axis in rest if axis.kind == "pixel"]
    return (
        is_channel_only(view.dims[1]) and len(numbers) == len(rest) and numbers == sorted(numbers)
    )


def simplified(view: View) -> View:
    """Recognise reductions that are spelled with several operators."""
    if view.reduction != "sum":
        return view
    match view.after, view.before:
        case Apply("Mul", (Input(), Literal(scale))), _ if np.isclose(scale * view.window, 1.0):
            return replace(view, reduction="mean", after=IDENTITY)
        case Apply("Sqrt", (Input(),)), Apply("Mul", (one, other)) if one == other:
            return replace(view, reduction="l2", before=one, after=IDENTITY)
    return view
