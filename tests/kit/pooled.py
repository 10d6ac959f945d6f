"""Spellings that use pooling operators, sorting or arithmetic."""

from graph_writer import GraphWriter
from spellings import Maps, Write, grouped


def then_scaled(write: Write, op_type: str) -> Write:
    """A sum turned into a mean: times 1/k, or divided by k."""

    def scaled(graph: GraphWriter, maps: Maps) -> str:
        factor = 1.0 / maps.window if op_type == "Mul" else float(maps.window)
        total = write(graph, maps)
        return graph.write(op_type, total, graph.constant(factor, "factor"))

    return scaled


def root_of_squares(square: str, strided: bool = False) -> Write:
    """The l2 norm step by step; `square` is ReduceSumSquare, Pow or Mul."""

    def write(graph: GraphWriter, maps: Maps) -> str:
        tensor, axis = grouped(graph, maps, strided)
        if square == "ReduceSumSquare":
            return graph.write("Sqrt", graph.along(square, tensor, [axis], keepdims=0))
        other = graph.constant(2.0, "exponent") if square == "Pow" else tensor
        squares = graph.write(square, tensor, other)
        return graph.write("Sqrt", graph.along("ReduceSum", squares, [axis], keepdims=0))

    return write


def pooled_by_dilation(graph: GraphWriter, maps: Maps) -> str:
    """A dilated max-pooling whose taps are the members of a strided group."""
    ones = [1] * len(maps.spatial)
    tensor = graph.inside(graph.along("Unsqueeze", maps.wide, [1]))
    tensor = graph.write(
        "MaxPool",
        tensor,
        kernel_shape=[maps.window, *ones],
        strides=[1, *ones],
        dilations=[maps.groups, *ones],
    )
    return graph.along("Squeeze", tensor, [1])


def pooled_in_rows(op_type: str) -> Write:
    """Channels as rows and pixels as columns of one plane, 2-D pooling, and back."""

    def write(graph: GraphWriter, maps: Maps) -> str:
        tensor = graph.inside(graph.reshape(maps.wide, (maps.batch, 1, maps.channels, maps.pixels)))
        window = [maps.window, 1]
        tensor = graph.write(op_type, tensor, kernel_shape=window, strides=window)
        return graph.reshape(tensor, maps.pooled_shape)

    return write


def pooled_per_group(op_type: str) -> Write:
    """Each group a plane of `window` rows, 2-D pooling over all rows, and back."""

    def write(graph: GraphWriter, maps: Maps) -> str:
        tensor = graph.reshape(maps.wide, (maps.batch, maps.groups, maps.window, maps.pixels))
        tensor = graph.write(op_type, graph.inside(tensor), kernel_shape=[maps.window, 1])
        return graph.reshape(tensor, maps.pooled_shape)

    return write


def pooled_globally(op_type: str) -> Write:
    """The members of a group moved last, where global pooling takes them for pixels."""

    def write(graph: GraphWriter, maps: Maps) -> str:
        tensor = graph.reshape(maps.wide, (maps.batch, maps.groups, maps.window, maps.pixels))
        tensor = graph.inside(graph.write("Transpose", tensor, perm=[0, 1, 3, 2]))
        tensor = graph.write(op_type, graph.reshape(tensor, (-1, maps.pixels, maps.window)))
        batch = maps.batch or -1  # the batch cannot be copied: it was merged with the groups
        return graph.reshape(tensor, (batch, maps.groups, *maps.spatial))

    return write


def root_of_powers_pooled(graph: GraphWriter, maps: Maps) -> str:
    """Lp pooling over the channels."""
    window = [maps.window] + [1] * len(maps.spatial)
    tensor = graph.inside(graph.along("Unsqueeze", maps.wide, [1]))
    tensor = graph.write("LpPool", tensor, kernel_shape=window, strides=window, p=2)
    return graph.along("Squeeze", tensor, [1])


def first_rank(graph: GraphWriter, maps: Maps, op_type: str) -> str:
    """The whole group sorted, of which the first is taken."""
    tensor, axis = grouped(graph, maps)
    count = graph.constant([maps.window], "count")
    values, _ = graph.write_many("TopK", tensor, count, outputs=2, axis=axis)
    if op_type == "Gather":
        return graph.write("Gather", values, graph.constant(0, "rank"), axis=axis)
    return graph.along("Squeeze", graph.slice(values, 0, 1, axis=axis), [axis])


def top_k_unsorted(graph: GraphWriter, maps: Maps) -> str:
    """TopK along a negative axis, its one value unsorted, dropped by a Reshape."""
    tensor, axis = grouped(graph, maps)
    axis -= 3 + len(maps.spatial)
    count = graph.constant([1], "count")
    values, _ = graph.write_many("TopK", tensor, count, outputs=2, axis=axis, sorted=0)
    return graph.reshape(values, maps.pooled_shape)


def ordinal_ascending(graph: GraphWriter, maps: Maps) -> str:
    """Sorted from the smallest, times one weight per rank, summed."""
    tensor, axis = grouped(graph, maps)
    count = graph.constant([maps.window], "count")
    values, _ = graph.write_many("TopK", tensor, count, outputs=2, axis=axis, largest=0)
    weights = graph.random.dirichlet([1.0] * maps.window)
    per_rank = graph.constant(weights.reshape(-1, *[1] * len(maps.spatial)), "weight_per_rank")
    return graph.along("ReduceSum", graph.write("Mul", per_rank, values), [axis], keepdims=0)


def ordinal_channels_last(graph: GraphWriter, maps: Maps) -> str:
    """Channels last, sorted there, times one weight per rank, summed, and back."""
    rank = 2 + len(maps.spatial)
    tensor = graph.write("Transpose", maps.wide, perm=[0, *range(2, rank), 1])
    tensor = graph.reshape(tensor, (maps.batch, *maps.spatial, maps.groups, maps.window))
    count = graph.constant([maps.window], "count")
    values, _ = graph.write_many("TopK", graph.inside(tensor), count, outputs=2)
    weights = graph.constant(graph.random.dirichlet([1.0] * maps.window), "weight_per_rank")
    tensor = graph.along("ReduceSum", graph.write("Mul", values, weights), [-1], keepdims=0)
    return graph.write("Transpose", tensor, perm=[0, rank - 1, *range(1, rank - 1)])
