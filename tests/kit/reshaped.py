"""Spellings that reshape, slice or gather, and then reduce."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from graph_writer import GraphWriter
from spellings import Maps, Write, grouped, reduced, separate

TO_THE_END = np.iinfo(np.int64).max  # how exporters write a slice without an end


def shuffled(channels: int) -> npt.NDArray[np.int64]:
    """Return an order of the channels in which no regularity helps."""
    return np.random.default_rng(channels).permutation(channels)


# Arranging.


def halves(graph: GraphWriter, maps: Maps) -> list[str]:
    """Contiguous slices, the last without an end."""
    starts = range(0, maps.channels, maps.groups)
    ends = [*starts[1:], TO_THE_END]
    return [graph.inside(graph.slice(maps.wide, *at)) for at in zip(starts, ends, strict=True)]


def slices_from_the_end(graph: GraphWriter, maps: Maps) -> list[str]:
    """Contiguous slices that count from the end of a negative axis."""
    axis = -1 - len(maps.spatial)
    starts = [-(i + 1) * maps.groups for i in range(maps.window)]
    ends = [TO_THE_END, *starts[:-1]]
    return [
        graph.inside(graph.slice(maps.wide, *at, axis=axis))
        for at in zip(starts, ends, strict=True)
    ]


def gathers(graph: GraphWriter, maps: Maps, order: Callable[[int], npt.ArrayLike]) -> list[str]:
    """Parts by constant indices."""
    indices = np.asarray(order(maps.channels)).reshape(maps.groups, maps.window)
    parts = [graph.constant(column, "indices") for column in indices.T]
    return [graph.inside(graph.write("Gather", maps.wide, part, axis=1)) for part in parts]


def joined(graph: GraphWriter, maps: Maps) -> list[str]:
    """Several convolutions' maps joined to one wide map, and split."""
    wide = graph.write("Concat", *separate(graph, maps), axis=1)
    return list(graph.split(wide, [maps.groups] * maps.window))


# Whole spellings.


def computed_shape(graph: GraphWriter, maps: Maps) -> str:
    """Reshape to dimensions read from the map, as exporters write a dynamic batch."""
    shape = graph.write("Shape", maps.wide)
    batch = graph.write("Gather", shape, graph.constant(0, "index"), axis=0)
    batch = graph.along("Unsqueeze", batch, [0])
    pixels = graph.slice(shape, 2, TO_THE_END, axis=0)
    pair = graph.constant([maps.groups, maps.window], "pair")
    target = graph.write("Concat", batch, pair, pixels, axis=0)
    tensor = graph.inside(graph.write("Reshape", maps.wide, target))
    return graph.along("ReduceMax", tensor, [2], keepdims=0)


def computed_channels(graph: GraphWriter, maps: Maps) -> str:
    """Reshape to a number of groups divided out of the map's own shape."""
    shape = graph.write("Shape", maps.wide)
    parts = [
        graph.write("Gather", shape, graph.constant([axis], "index"), axis=0)
        for axis in range(2 + len(maps.spatial))
    ]
    window = graph.constant([maps.window], "window")
    parts[1:2] = [graph.write("Div", parts[1], window), window]
    tensor = graph.inside(graph.write("Reshape", maps.wide, graph.write("Concat", *parts, axis=0)))
    return graph.along("ReduceMax", tensor, [2], keepdims=0)


def negative_axis(graph: GraphWriter, maps: Maps) -> str:
    """A reduction axis counted from the end."""
    tensor, axis = grouped(graph, maps)
    return graph.along("ReduceMax", tensor, [axis - 3 - len(maps.spatial)], keepdims=0)


def kept_dimension(graph: GraphWriter, maps: Maps, drop: str, strided: bool = False) -> str:
    """A reduction that keeps the dimension, which is dropped afterwards."""
    tensor, axis = grouped(graph, maps, strided)
    tensor = graph.along("ReduceMax", tensor, [axis], keepdims=1)
    if drop == "Squeeze":
        return graph.along("Squeeze", tensor, [axis])
    return graph.reshape(tensor, maps.pooled_shape)


def inferred_dimension(graph: GraphWriter, maps: Maps) -> str:
    """Reshape with zeros that copy and one dimension left to infer."""
    batch = 0 if maps.batch == -1 else maps.batch
    pixels = maps.spatial[:-1]
    tensor = graph.reshape(maps.wide, (batch, maps.groups, maps.window, *pixels, -1))
    return graph.along("ReduceMax", graph.inside(tensor), [2], keepdims=0)


def flattened(op_type: str, strided: bool = False) -> Write:
    """Pixels in a row while the groups are reduced."""

    def write(graph: GraphWriter, maps: Maps) -> str:
        pair = (maps.window, maps.groups) if strided else (maps.groups, maps.window)
        tensor = graph.inside(graph.reshape(maps.wide, (maps.batch, *pair, maps.pixels)))
        tensor = graph.along(op_type, tensor, [1 if strided else 2], keepdims=0)
        return graph.reshape(tensor, maps.pooled_shape)

    return write


def channels_last(op_type: str, strided: bool = False) -> Write:
    """Channels last, reduced there, and back: what converters of channels-last networks write."""

    def write(graph: GraphWriter, maps: Maps) -> str:
        rank = 2 + len(maps.spatial)
        tensor = graph.write("Transpose", maps.wide, perm=[0, *range(2, rank), 1])
        pair = (maps.window, maps.groups) if strided else (maps.groups, maps.window)
        tensor = graph.reshape(tensor, (maps.batch, *maps.spatial, *pair))
        tensor = graph.along(op_type, graph.inside(tensor), [-2 if strided else -1], keepdims=0)
        return graph.write("Transpose", tensor, perm=[0, rank - 1, *range(1, rank - 1)])

    return write


def groups_transposed(graph: GraphWriter, maps: Maps) -> str:
    """Strided groups made consecutive by a Transpose."""
    tensor = graph.reshape(maps.wide, (maps.batch, maps.window, maps.groups, *maps.spatial))
    rank = 3 + len(maps.spatial)
    tensor = graph.write("Transpose", tensor, perm=[0, 2, 1, *range(3, rank)])
    return graph.along("ReduceMax", graph.inside(tensor), [2], keepdims=0)


def channels_shuffled(graph: GraphWriter, maps: Maps) -> str:
    """A channel shuffle, as in ShuffleNet, then Reshape and a reduction."""
    tensor = graph.reshape(maps.wide, (maps.batch, maps.window, maps.groups, *maps.spatial))
    rank = 3 + len(maps.spatial)
    tensor = graph.write("Transpose", tensor, perm=[0, 2, 1, *range(3, rank)])
    tensor = graph.inside(graph.reshape(tensor, (maps.batch, maps.channels, *maps.spatial)))
    tensor = graph.reshape(tensor, (maps.batch, maps.groups, maps.window, *maps.spatial))
    return graph.along("ReduceMax", tensor, [2], keepdims=0)


def channels_gathered(graph: GraphWriter, maps: Maps) -> str:
    """Channels in another order, then Reshape and a reduction."""
    indices = graph.constant(shuffled(maps.channels), "indices")
    wide = graph.write("Gather", maps.wide, indices, axis=1)
    return reduced("ReduceMax")(graph, replace(maps, names=(wide,)))


def joined_and_reduced(graph: GraphWriter, maps: Maps) -> str:
    """Several convolutions' maps joined to one wide map, then Reshape and a reduction."""
    wide = graph.write("Concat", *maps.names, axis=1)
    write = reduced("ReduceMax", strided=True)
    return write(graph, replace(maps, names=(wide,)))
