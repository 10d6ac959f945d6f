"""Spellings of exporters and authors that are no variants of those in `kit.spellings`."""

from collections.abc import Sequence

import numpy as np

from kit.topology_writer import (
    CHANNELS,
    GROUPS,
    SPATIAL,
    WIDE,
    WINDOW,
    TopologyWriter,
    Write,
    reduced,
)

HEIGHT, WIDTH = SPATIAL
OUTPUT = (1, GROUPS, *SPATIAL)


def stacked_in_front(graph: TopologyWriter) -> Sequence[str]:
    """torch.stack(torch.chunk(x, 2, 1)).max(0)."""
    parts = graph.split(graph.wide(), [GROUPS] * WINDOW)
    stack = graph.write("Concat", *(graph.along("Unsqueeze", p, [0]) for p in parts), axis=0)
    return [reduced(graph, stack, axis=0)]


def unfolded(graph: TopologyWriter) -> Sequence[str]:
    """x.unfold(1, 2, 2).max(-1): a slice for each group, its channels last, stacked."""
    wide = graph.wide()
    slices = [graph.slice(wide, at, at + WINDOW) for at in range(0, WIDE, WINDOW)]
    last = [graph.write("Transpose", part, perm=[0, 2, 3, 1]) for part in slices]
    stack = graph.write("Concat", *(graph.along("Unsqueeze", p, [1]) for p in last), axis=1)
    return [reduced(graph, stack, axis=4)]


def gathered_in_two_dimensions(graph: TopologyWriter) -> Sequence[str]:
    """x[:, table].max(2)."""
    table = graph.random.permutation(WIDE).reshape(GROUPS, WINDOW)
    return [reduced(graph, graph.write("Gather", graph.wide(), graph.constant(table), axis=1))]


def gathered_by_coordinates(graph: TopologyWriter) -> Sequence[str]:
    """x[:, table].max(2), as the dynamo exporter writes it: channels first, one coordinate each."""
    table = graph.random.permutation(WIDE).reshape(GROUPS, WINDOW, 1)
    tensor = graph.write("Transpose", graph.wide(), perm=[1, 0, 2, 3])
    tensor = graph.write("GatherND", tensor, graph.constant(table))
    return [reduced(graph, graph.write("Transpose", tensor, perm=[2, 0, 1, 3, 4]))]


def one_by_coordinates(graph: TopologyWriter) -> Sequence[str]:
    """torch.maximum(x[:, i], x[:, j]) of single channels."""
    tensor = graph.write("Transpose", graph.wide(filters=2), perm=[1, 0, 2, 3])
    parts = [graph.write("GatherND", tensor, graph.constant([place])) for place in (1, -2)]
    return [graph.along("Unsqueeze", graph.write("Max", *parts), [1])]


def largest_and_its_place(graph: TopologyWriter) -> Sequence[str]:
    """torch.max(x, dim), whose indices nobody reads."""
    grouped = graph.grouped(graph.wide())
    graph.write("ArgMax", grouped, axis=2, keepdims=0)
    return [reduced(graph, grouped)]


def pool_with_places(graph: TopologyWriter) -> Sequence[str]:
    """F.max_pool3d(x.unsqueeze(1), ..., return_indices=True)[0]."""
    depth = {"kernel_shape": [WINDOW, 1, 1], "strides": [WINDOW, 1, 1]}
    values, _ = graph.write_many(
        "MaxPool", graph.along("Unsqueeze", graph.wide(), [1]), outputs=2, **depth
    )
    return [graph.along("Squeeze", values, [1])]


def two_axes_at_once(graph: TopologyWriter) -> Sequence[str]:
    """x.view(n, 2, 2, 2, h, w).amax((1, 3))."""
    tensor = graph.reshape(graph.wide(), (1, 2, 2, 2, *SPATIAL))
    return [graph.along("ReduceMax", tensor, [1, 3], keepdims=0)]


def nested(op: str) -> Write:
    def write(graph: TopologyWriter) -> Sequence[str]:
        """One axis of x.view(n, 4, 2, 2, h, w) reduced, then the next."""
        tensor = graph.reshape(graph.wide(filters=16), (1, 4, 2, 2, *SPATIAL))
        return [reduced(graph, reduced(graph, tensor, 3, op), 2, op)]

    return write


def pooled_in_front(graph: TopologyWriter) -> Sequence[str]:
    """A spatial max-pooling in front changes places with the maximum of channels."""
    tensor = graph.write("MaxPool", graph.wide(), kernel_shape=[2, 2], strides=[2, 2])
    return [reduced(graph, graph.reshape(tensor, (1, GROUPS, WINDOW, HEIGHT // 2, WIDTH // 2)))]


def parts_pooled_in_front(graph: TopologyWriter) -> Sequence[str]:
    """torch.maximum(*[F.max_pool2d(p, 3, 2) for p in x.chunk(2, 1)])."""
    parts = graph.split(graph.write("Relu", graph.wide()), [GROUPS] * WINDOW)
    pooled = [graph.write("MaxPool", part, kernel_shape=[3, 3], strides=[2, 2]) for part in parts]
    return [graph.write("Max", *pooled)]


def bias_added(graph: TopologyWriter) -> Sequence[str]:
    """A bias as an addition of its own."""
    filters = graph.random_constant(WIDE, CHANNELS, 3, 3)
    wide = graph.write("Conv", "input", filters, pads=[1] * 4)
    wide = graph.write("Add", wide, graph.random_constant(1, WIDE, 1, 1))
    return [graph.pooled(graph.write("Relu", wide))]


def keras_prelu(graph: TopologyWriter) -> Sequence[str]:
    """relu(x) + -slope * relu(-x)."""
    wide = graph.wide()
    slopes = graph.constant(graph.random.uniform(0.1, 0.4, (WIDE, 1, 1)))
    falling = graph.write("Relu", graph.write("Neg", wide))
    falling = graph.write("Mul", graph.write("Neg", slopes), falling)
    return [graph.pooled(graph.write("Add", graph.write("Relu", wide), falling))]


def slope_of_its_own(graph: TopologyWriter) -> Sequence[str]:
    """Convolutions that meet in a maximum, each behind an nn.PReLU() with one slope."""
    maps = [graph.wide(filters=GROUPS) for _ in range(3)]
    slopes = [graph.constant([[[slope]]]) for slope in (0.1, 0.25, 0.4)]
    return [graph.write("Max", *map(lambda *pair: graph.write("PRelu", *pair), maps, slopes))]


def slopes_some_equal(graph: TopologyWriter) -> Sequence[str]:
    """As trained: one PReLU still has equal slopes, the other has not."""
    maps = [graph.wide(filters=GROUPS) for _ in range(2)]
    values = np.full((GROUPS, 1, 1), 0.25), graph.random.uniform(0.1, 0.4, (GROUPS, 1, 1))
    parts = [
        graph.write("PRelu", part, graph.constant(slopes))
        for part, slopes in zip(maps, values, strict=True)
    ]
    return [graph.write("Max", *parts)]


def channels_last_network(graph: TopologyWriter) -> Sequence[str]:
    """As tf2onnx writes it: channels last in front of and behind each convolution."""
    graph.inputs["input"] = (1, *SPATIAL, CHANNELS)
    tensor = graph.wide(graph.write("Transpose", "input", perm=[0, 3, 1, 2]))
    tensor = graph.write("Transpose", tensor, perm=[0, 2, 3, 1])
    tensor = reduced(graph, graph.reshape(tensor, (-1, *SPATIAL, GROUPS, WINDOW)), axis=4)
    tensor = graph.write("Transpose", graph.write("Relu", tensor), perm=[0, 3, 1, 2])
    return [graph.write("Transpose", graph.convolution(tensor, GROUPS, 5), perm=[0, 2, 3, 1])]


def sorted_groups(graph: TopologyWriter, axis: int = 2) -> str:
    grouped = graph.grouped(graph.wide())
    if axis == -1:
        grouped = graph.write("Transpose", grouped, perm=[0, 1, 3, 4, 2])
    return graph.write_many("TopK", grouped, graph.constant([WINDOW]), outputs=2, axis=axis)[0]


def ordinal_by_einsum(graph: TopologyWriter) -> Sequence[str]:
    """torch.einsum("ngkhw,k->nghw", ranked, weight)."""
    weights = graph.constant([0.7, 0.2])
    return [graph.write("Einsum", sorted_groups(graph), weights, equation="ngkhw,k->nghw")]


def ordinal_by_product(graph: TopologyWriter) -> Sequence[str]:
    """A product with the weights: `ranked @ weight`, ranks last."""
    return [graph.write("MatMul", sorted_groups(graph, -1), graph.constant([0.7, 0.2]))]


def ordinal_by_tensordot(graph: TopologyWriter) -> Sequence[str]:
    """torch.tensordot(ranked, weight, 1), ranks last."""
    rows = graph.reshape(sorted_groups(graph, -1), (-1, WINDOW))
    return [graph.reshape(graph.write("MatMul", rows, graph.constant([[0.7], [0.2]])), OUTPUT)]


def ordinal_by_division(graph: TopologyWriter) -> Sequence[str]:
    """(ranked / divisors).sum(2)."""
    divided = graph.write("Div", sorted_groups(graph), graph.constant([[[1.5]], [[4.0]]]))
    return [reduced(graph, divided, op="ReduceSum")]


def mean_of_the_two_largest(graph: TopologyWriter) -> Sequence[str]:
    """x.view(n, g, 4, h, w).topk(2, 2).values.mean(2)."""
    grouped = graph.reshape(graph.wide(), (1, 2, 4, *SPATIAL))
    values, _ = graph.write_many("TopK", grouped, graph.constant([2]), outputs=2, axis=2)
    return [reduced(graph, values, op="ReduceMean")]


def median(graph: TopologyWriter) -> Sequence[str]:
    """x.view(n, g, 3, h, w).topk(3, 2).values[:, :, 1]."""
    grouped = graph.reshape(graph.wide(filters=12), (1, 4, 3, *SPATIAL))
    values, _ = graph.write_many("TopK", grouped, graph.constant([3]), outputs=2, axis=2)
    return [graph.write("Gather", values, graph.constant(1), axis=2)]


def gelu(approximate: str) -> Write:
    def write(graph: TopologyWriter) -> Sequence[str]:
        """nn.GELU() as the dynamo exporter writes it, which always says which kind."""
        graph.opset = 20
        return [graph.pooled(graph.write("Gelu", graph.wide(), approximate=approximate))]

    return write


def root_with_epsilon(graph: TopologyWriter) -> Sequence[str]:
    """((x * x).sum(2) + 1e-6).sqrt()."""
    grouped = graph.grouped(graph.wide())
    squares = reduced(graph, graph.write("Mul", grouped, grouped), op="ReduceSum")
    return [graph.write("Sqrt", graph.write("Add", squares, graph.constant(1e-6)))]


def halves_joined_again(graph: TopologyWriter) -> Sequence[str]:
    """torch.cat of the groups of either half, pooled apart."""
    halves = graph.split(graph.wide(filters=16), [8, 8])
    shape = (1, GROUPS, WINDOW, *SPATIAL)
    pooled = [reduced(graph, graph.reshape(half, shape)) for half in halves]
    return [graph.write("Concat", *pooled, axis=1)]


def weighted_parts(graph: TopologyWriter) -> Sequence[str]:
    """0.3 * one + 0.6 * other."""
    one, other = graph.split(graph.wide(), [GROUPS] * WINDOW)
    one = graph.write("Mul", one, graph.constant(0.3))
    return [graph.write("Add", one, graph.write("Mul", other, graph.constant(0.6)))]


def not_a_number(graph: TopologyWriter) -> Sequence[str]:
    """A bound that is no number in front of the pooling."""
    return [graph.pooled(graph.write("Max", graph.wide(), graph.constant(float("nan"))))]


def no_bound(graph: TopologyWriter) -> Sequence[str]:
    """A bound at infinity in front of the pooling."""
    return [graph.pooled(graph.write("Min", graph.wide(), graph.constant(float("inf"))))]


EXPORTED: dict[str, Write] = {
    function.__name__: function
    for function in (
        stacked_in_front,
        unfolded,
        gathered_in_two_dimensions,
        gathered_by_coordinates,
        one_by_coordinates,
        largest_and_its_place,
        pool_with_places,
        two_axes_at_once,
        pooled_in_front,
        parts_pooled_in_front,
        bias_added,
        keras_prelu,
        slope_of_its_own,
        slopes_some_equal,
        channels_last_network,
        ordinal_by_einsum,
        ordinal_by_product,
        ordinal_by_tensordot,
        ordinal_by_division,
        mean_of_the_two_largest,
        median,
        root_with_epsilon,
        halves_joined_again,
        weighted_parts,
        not_a_number,
        no_bound,
    )
} | {f"nested_{op}": nested(op) for op in ("ReduceMax", "ReduceMin", "ReduceMean", "ReduceL2")}
EXPORTED |= {f"gelu_{kind}": gelu(kind) for kind in ("none", "tanh")}
