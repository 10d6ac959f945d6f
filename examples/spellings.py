"""How cross-channel pooling is written in ONNX.

ONNX has no operator for it. Each framework, exporter and author writes it with other operators,
so one and the same computation arrives in many spellings. `SPELLINGS` lists them.

A spelling arranges the maps so that those of a group meet along one axis, or as separate parts,
and then reduces them. With a window of one it writes the same operators.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from graph_writer import GraphWriter


@dataclass(frozen=True)
class Maps:
    """Feature maps that await pooling.

    Attributes:
        names: The wide map alone; or, where each of several convolutions computes one member of
            every group, their maps.
        groups: Number of channels after the pooling.
        window: Number of channels pooled into one.
        spatial: Height and width, or as many spatial dimensions as there are.
        batch: Size of the batch in Reshape's terms: 0 copies it, -1 infers it.
    """

    names: tuple[str, ...]
    groups: int
    window: int
    spatial: tuple[int, ...]
    batch: int = 1

    @property
    def wide(self) -> str:
        """The wide map."""
        return self.names[0]

    @property
    def channels(self) -> int:
        """Number of channels before the pooling."""
        return self.groups * self.window

    @property
    def pixels(self) -> int:
        """Number of values in one channel."""
        return math.prod(self.spatial)

    @property
    def pooled_shape(self) -> tuple[int, ...]:
        """Shape after the pooling."""
        return (self.batch, self.groups, *self.spatial)


Write = Callable[[GraphWriter, Maps], str]


@dataclass(frozen=True)
class Spelling:
    """One way to write cross-channel pooling.

    Attributes:
        reduction: What it computes: max, min, mean, sum, l2 or ordinal.
        grouping: Which channels form group g. consecutive: g * window + i; strided: i * groups + g;
            separate: each of several convolutions computes one member of every group.
        write: Writes it and returns the name of the pooled map.
    """

    reduction: str
    grouping: str
    write: Write


# Arranging: bring the maps of a group together.


def grouped(graph: GraphWriter, maps: Maps, strided: bool = False) -> tuple[str, int]:
    """Reshape channels to groups x window; return the tensor and the axis of the window."""
    pair = (maps.window, maps.groups) if strided else (maps.groups, maps.window)
    tensor = graph.reshape(maps.wide, (maps.batch, *pair, *maps.spatial))
    return graph.inside(tensor), 1 if strided else 2


def split(graph: GraphWriter, maps: Maps) -> list[str]:
    """Split the channels into `window` contiguous parts; the groups are strided."""
    parts = graph.split(maps.wide, [maps.groups] * maps.window)
    return [graph.inside(part) for part in parts]


def slices(graph: GraphWriter, maps: Maps) -> list[str]:
    """Take every `window`-th channel, `window` times; the groups are consecutive."""
    return [
        graph.inside(graph.slice(maps.wide, first, maps.channels, maps.window))
        for first in range(maps.window)
    ]


def separate(graph: GraphWriter, maps: Maps) -> list[str]:
    """Use the maps of several convolutions as they are."""
    return [graph.inside(name) for name in maps.names]


Parts = Callable[[GraphWriter, Maps], list[str]]

# Reducing: each of these returns the function that writes a whole spelling.


def reduced(op_type: str, strided: bool = False) -> Write:
    """Reshape, then a reduction."""

    def write(graph: GraphWriter, maps: Maps) -> str:
        tensor, axis = grouped(graph, maps, strided)
        return graph.along(op_type, tensor, [axis], keepdims=0)

    return write


def combined(op_type: str, parts: Parts) -> Write:
    """Parts, then one operator with any number of inputs: Max, Min, Mean or Sum."""
    return lambda graph, maps: graph.write(op_type, *parts(graph, maps))


def chained(op_type: str, alone: str, parts: Parts) -> Write:
    """Parts, then a chain of operators with two inputs; `alone` stands for a chain of one part."""

    def write(graph: GraphWriter, maps: Maps) -> str:
        first, *others = parts(graph, maps)
        if not others:
            return graph.write(alone, first)
        for other in others:
            first = graph.write(op_type, first, other)
        return first

    return write


def stacked(op_type: str, parts: Parts, axis: int) -> Write:
    """Parts stacked along a new axis, then a reduction."""

    def write(graph: GraphWriter, maps: Maps) -> str:
        unsqueezed = [graph.along("Unsqueeze", part, [axis]) for part in parts(graph, maps)]
        tensor = graph.write("Concat", *unsqueezed, axis=axis)
        return graph.along(op_type, tensor, [axis], keepdims=0)

    return write


def pooled_as_depth(op_type: str) -> Write:
    """Channels as the first spatial dimension of a pooling with one dimension more."""

    def write(graph: GraphWriter, maps: Maps) -> str:
        window = [maps.window] + [1] * len(maps.spatial)
        tensor = graph.inside(graph.along("Unsqueeze", maps.wide, [1]))
        tensor = graph.write(op_type, tensor, kernel_shape=window, strides=window)
        return graph.along("Squeeze", tensor, [1])

    return write


def pooled_transposed_1d(op_type: str) -> Write:
    """Channels last, pixels in a row, 1-D pooling, and back."""

    def write(graph: GraphWriter, maps: Maps) -> str:
        rank = 2 + len(maps.spatial)
        tensor = graph.write("Transpose", maps.wide, perm=[0, *range(2, rank), 1])
        tensor = graph.inside(graph.reshape(tensor, (maps.batch, maps.pixels, maps.channels)))
        window = [maps.window]
        tensor = graph.write(op_type, tensor, kernel_shape=window, strides=window)
        return graph.reshape(graph.write("Transpose", tensor, perm=[0, 2, 1]), maps.pooled_shape)

    return write


def pooled_transposed_2d(op_type: str) -> Write:
    """Channels last, where a 2-D pooling takes them for the columns, and back."""

    def write(graph: GraphWriter, maps: Maps) -> str:
        rank = 2 + len(maps.spatial)
        tensor = graph.write("Transpose", maps.wide, perm=[0, *range(2, rank), 1])
        window = [1] * (len(maps.spatial) - 1) + [maps.window]
        tensor = graph.inside(tensor)
        tensor = graph.write(op_type, tensor, kernel_shape=window, strides=window)
        return graph.write("Transpose", tensor, perm=[0, rank - 1, *range(1, rank - 1)])

    return write


def top_k(graph: GraphWriter, maps: Maps, largest: int = 1, strided: bool = False) -> str:
    """The largest of each group, or the smallest."""
    tensor, axis = grouped(graph, maps, strided)
    count = graph.constant([1], "count")
    values, _ = graph.write_many("TopK", tensor, count, outputs=2, axis=axis, largest=largest)
    return graph.along("Squeeze", values, [axis])


def ordinal(graph: GraphWriter, maps: Maps, strided: bool = False) -> str:
    """Each group sorted, times one weight per rank, summed."""
    tensor, axis = grouped(graph, maps, strided)
    count = graph.constant([maps.window], "count")
    values, _ = graph.write_many("TopK", tensor, count, outputs=2, axis=axis)
    weights = graph.random.dirichlet([1.0] * maps.window)
    per_rank = weights.reshape(-1, *[1] * (len(maps.spatial) + int(strided)))
    weighted = graph.write("Mul", values, graph.constant(per_rank, "weight_per_rank"))
    return graph.along("ReduceSum", weighted, [axis], keepdims=0)


SPELLINGS: dict[str, Spelling] = {
    "reduce_max": Spelling("max", "consecutive", reduced("ReduceMax")),
    "reduce_min": Spelling("min", "consecutive", reduced("ReduceMin")),
    "reduce_mean": Spelling("mean", "consecutive", reduced("ReduceMean")),
    "reduce_sum": Spelling("sum", "consecutive", reduced("ReduceSum")),
    "reduce_l2": Spelling("l2", "consecutive", reduced("ReduceL2")),
    "reduce_max_strided": Spelling("max", "strided", reduced("ReduceMax", strided=True)),
    "reduce_mean_strided": Spelling("mean", "strided", reduced("ReduceMean", strided=True)),
    "split_max": Spelling("max", "strided", combined("Max", split)),
    "split_min": Spelling("min", "strided", combined("Min", split)),
    "split_max_chained": Spelling("max", "strided", chained("Max", "Max", split)),
    "slice_max": Spelling("max", "consecutive", combined("Max", slices)),
    "slice_max_chained": Spelling("max", "consecutive", chained("Max", "Max", slices)),
    "mean_n_ary": Spelling("mean", "strided", combined("Mean", split)),
    "sum_n_ary": Spelling("sum", "strided", combined("Sum", split)),
    "sum_chained": Spelling("sum", "strided", chained("Add", "Sum", split)),
    "stack_reduce_max": Spelling("max", "strided", stacked("ReduceMax", split, axis=1)),
    "stack_reduce_mean": Spelling("mean", "consecutive", stacked("ReduceMean", slices, axis=2)),
    "max_pool_3d": Spelling("max", "consecutive", pooled_as_depth("MaxPool")),
    "average_pool_3d": Spelling("mean", "consecutive", pooled_as_depth("AveragePool")),
    "max_pool_transposed_1d": Spelling("max", "consecutive", pooled_transposed_1d("MaxPool")),
    "max_pool_transposed_2d": Spelling("max", "consecutive", pooled_transposed_2d("MaxPool")),
    "top_k": Spelling("max", "consecutive", top_k),
    "top_k_min": Spelling("min", "consecutive", partial(top_k, largest=0)),
    "ordinal": Spelling("ordinal", "consecutive", ordinal),
    "ordinal_strided": Spelling("ordinal", "strided", partial(ordinal, strided=True)),
    "several_convolutions": Spelling("max", "separate", combined("Max", separate)),
}
