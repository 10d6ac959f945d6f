"""All spellings of cross-channel pooling: the example network's and those it leaves out."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
from graph_writer import GraphWriter
from spellings import (
    SPELLINGS,
    Maps,
    Spelling,
    chained,
    combined,
    pooled_transposed_1d,
    pooled_transposed_2d,
    reduced,
    separate,
    slices,
    split,
    stacked,
    top_k,
)

from kit import pooled, reshaped


def max_tree(graph: GraphWriter, maps: Maps) -> str:
    """Parts met in pairs, the pairs in pairs, and so on."""
    level = split(graph, maps)
    if len(level) == 1:
        return graph.write("Max", *level)
    while len(level) > 1:
        pairs = [level[at : at + 2] for at in range(0, len(level), 2)]
        level = [graph.write("Max", *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]


def negated(graph: GraphWriter, maps: Maps) -> str:
    """The smallest, as the negative of the largest of the negatives."""
    window = [maps.window] + [1] * len(maps.spatial)
    tensor = graph.write("Neg", graph.along("Unsqueeze", maps.wide, [1]))
    tensor = graph.write("MaxPool", graph.inside(tensor), kernel_shape=window, strides=window)
    return graph.along("Squeeze", graph.write("Neg", tensor), [1])


MORE_SPELLINGS: dict[str, Spelling] = {
    "reduce_max_computed_shape": Spelling("max", "consecutive", reshaped.computed_shape),
    "reduce_max_computed_channels": Spelling("max", "consecutive", reshaped.computed_channels),
    "reduce_max_negative_axis": Spelling("max", "consecutive", reshaped.negative_axis),
    "reduce_max_squeeze": Spelling(
        "max", "consecutive", partial(reshaped.kept_dimension, drop="Squeeze")
    ),
    "reduce_max_reshape": Spelling(
        "max", "consecutive", partial(reshaped.kept_dimension, drop="Reshape")
    ),
    "reduce_max_strided_squeeze": Spelling(
        "max", "strided", partial(reshaped.kept_dimension, drop="Squeeze", strided=True)
    ),
    "reduce_max_inferred": Spelling("max", "consecutive", reshaped.inferred_dimension),
    "reduce_max_flat": Spelling("max", "consecutive", reshaped.flattened("ReduceMax")),
    "reduce_max_flat_strided": Spelling(
        "max", "strided", reshaped.flattened("ReduceMax", strided=True)
    ),
    "reduce_mean_flat": Spelling("mean", "consecutive", reshaped.flattened("ReduceMean")),
    "reduce_max_channels_last": Spelling("max", "consecutive", reshaped.channels_last("ReduceMax")),
    "reduce_max_channels_last_strided": Spelling(
        "max", "strided", reshaped.channels_last("ReduceMax", strided=True)
    ),
    "reduce_mean_channels_last": Spelling(
        "mean", "consecutive", reshaped.channels_last("ReduceMean")
    ),
    "reduce_max_transposed": Spelling("max", "strided", reshaped.groups_transposed),
    "reduce_max_shuffled": Spelling("max", "strided", reshaped.channels_shuffled),
    "reduce_max_gathered": Spelling("max", "gathered", reshaped.channels_gathered),
    "reduce_min_strided": Spelling("min", "strided", reduced("ReduceMin", strided=True)),
    "reduce_sum_strided": Spelling("sum", "strided", reduced("ReduceSum", strided=True)),
    "reduce_l2_strided": Spelling("l2", "strided", reduced("ReduceL2", strided=True)),
    "halves_max": Spelling("max", "strided", combined("Max", reshaped.halves)),
    "halves_from_the_end_max": Spelling(
        "max", "strided", combined("Max", reshaped.slices_from_the_end)
    ),
    "gather_max": Spelling(
        "max", "consecutive", combined("Max", partial(reshaped.gathers, order=np.arange))
    ),
    "gather_shuffled_max": Spelling(
        "max", "gathered", combined("Max", partial(reshaped.gathers, order=reshaped.shuffled))
    ),
    "split_max_tree": Spelling("max", "strided", max_tree),
    "split_min_chained": Spelling("min", "strided", chained("Min", "Min", split)),
    "slice_mean": Spelling("mean", "consecutive", combined("Mean", slices)),
    "slice_sum_chained": Spelling("sum", "consecutive", chained("Add", "Sum", slices)),
    "sum_chained_mul": Spelling(
        "mean", "strided", pooled.then_scaled(chained("Add", "Sum", split), "Mul")
    ),
    "sum_n_ary_div": Spelling("mean", "strided", pooled.then_scaled(combined("Sum", split), "Div")),
    "reduce_sum_mul": Spelling(
        "mean", "consecutive", pooled.then_scaled(reduced("ReduceSum"), "Mul")
    ),
    "stack_last_reduce_max": Spelling("max", "strided", stacked("ReduceMax", split, axis=2)),
    "stack_slices_reduce_max": Spelling("max", "consecutive", stacked("ReduceMax", slices, axis=2)),
    "stack_reduce_l2": Spelling("l2", "strided", stacked("ReduceL2", split, axis=1)),
    "several_convolutions_chained": Spelling("max", "separate", chained("Max", "Max", separate)),
    "several_convolutions_stacked": Spelling(
        "max", "separate", stacked("ReduceMax", separate, axis=1)
    ),
    "several_convolutions_joined": Spelling("max", "separate", combined("Max", reshaped.joined)),
    "several_convolutions_joined_reduced": Spelling("max", "separate", reshaped.joined_and_reduced),
    "several_convolutions_min": Spelling("min", "separate", combined("Min", separate)),
    "sum_square_root": Spelling("l2", "consecutive", pooled.root_of_squares("ReduceSumSquare")),
    "power_sum_root": Spelling("l2", "consecutive", pooled.root_of_squares("Pow")),
    "product_sum_root": Spelling("l2", "strided", pooled.root_of_squares("Mul", strided=True)),
    "lp_pool_3d": Spelling("l2", "consecutive", pooled.root_of_powers_pooled),
    "max_pool_dilated": Spelling("max", "strided", pooled.pooled_by_dilation),
    "max_pool_rows": Spelling("max", "consecutive", pooled.pooled_in_rows("MaxPool")),
    "average_pool_rows": Spelling("mean", "consecutive", pooled.pooled_in_rows("AveragePool")),
    "max_pool_per_group": Spelling("max", "consecutive", pooled.pooled_per_group("MaxPool")),
    "average_pool_per_group": Spelling(
        "mean", "consecutive", pooled.pooled_per_group("AveragePool")
    ),
    "average_pool_transposed_1d": Spelling(
        "mean", "consecutive", pooled_transposed_1d("AveragePool")
    ),
    "average_pool_transposed_2d": Spelling(
        "mean", "consecutive", pooled_transposed_2d("AveragePool")
    ),
    "global_max_pool": Spelling("max", "consecutive", pooled.pooled_globally("GlobalMaxPool")),
    "global_average_pool": Spelling(
        "mean", "consecutive", pooled.pooled_globally("GlobalAveragePool")
    ),
    "max_pool_negated": Spelling("min", "consecutive", negated),
    "top_k_strided": Spelling("max", "strided", partial(top_k, strided=True)),
    "top_k_unsorted": Spelling("max", "consecutive", pooled.top_k_unsorted),
    "top_k_gather": Spelling("max", "consecutive", partial(pooled.first_rank, op_type="Gather")),
    "top_k_slice": Spelling("max", "consecutive", partial(pooled.first_rank, op_type="Slice")),
    "ordinal_ascending": Spelling("ordinal", "consecutive", pooled.ordinal_ascending),
    "ordinal_channels_last": Spelling("ordinal", "consecutive", pooled.ordinal_channels_last),
}

ALL_SPELLINGS: Mapping[str, Spelling] = SPELLINGS | MORE_SPELLINGS

# Spellings that bring the members of a group together as separate tensors.
PARTS: frozenset[str] = frozenset(
    name
    for name in ALL_SPELLINGS
    if name.startswith(("split_", "slice_", "halves_", "gather_", "stack_", "several_convolutions"))
    or name.startswith(("sum_chained", "sum_n_ary", "mean_n_ary"))
) - {"several_convolutions_joined_reduced"}

# Where a spelling holds only for some numbers of spatial dimensions: pooling operators run with at
# most three.
SPATIAL_RANKS: Mapping[str, tuple[int, ...]] = dict.fromkeys(
    (
        "max_pool_3d",
        "average_pool_3d",
        "lp_pool_3d",
        "max_pool_dilated",
        "max_pool_negated",
    ),
    (1, 2),
)
ANY_RANK = (1, 2, 3)


def spatial_ranks(name: str) -> tuple[int, ...]:
    """Return the numbers of spatial dimensions with which a spelling can be written."""
    return SPATIAL_RANKS.get(name, ANY_RANK)


def members(grouping: str, groups: int, window: int) -> npt.NDArray[np.int64]:
    """Return the channels of each group, as a table of groups x window."""
    channels = np.arange(groups * window)
    if grouping == "consecutive":
        return channels.reshape(groups, window)
    if grouping == "gathered":
        return reshaped.shuffled(channels.size).reshape(groups, window)
    return channels.reshape(window, groups).T
