"""What a compiler must recognise, what it must refuse, and what it must leave alone.

`cases()` yields all of them: every spelling, every stage in every place, every attribute of a
convolution, one thing varied at a time, and then networks that branch, and those
in which nothing may be fused.
"""

from collections.abc import Iterator
from dataclasses import replace

from kit.case import Case, Expected
from kit.layers import Layer, Network, Window
from kit.spellings import ALL_SPELLINGS, PARTS, spatial_ranks
from kit.stages import INSIDE, STAGES
from kit.topologies import topologies

SAME = Window(pads=(1, 1, 1, 1))

# Convolutions, each with the spatial dimensions of its input.
CONVOLUTIONS: dict[str, tuple[Window, tuple[int, ...]]] = {
    "valid": (Window(), (8, 7)),
    "auto_pad_valid": (Window(auto_pad="VALID"), (8, 7)),
    "same_upper": (Window(auto_pad="SAME_UPPER"), (8, 7)),
    "same_upper_even": (Window((4, 2), auto_pad="SAME_UPPER"), (8, 7)),
    "same_lower_even": (Window((4, 2), auto_pad="SAME_LOWER"), (8, 7)),
    "same_upper_strided": (Window((3, 3), (2, 3), auto_pad="SAME_UPPER"), (9, 8)),
    "same_lower_strided": (Window((3, 3), (2, 3), auto_pad="SAME_LOWER"), (9, 8)),
    "not_set": (Window((3, 3), auto_pad="NOTSET", pads=(1, 1, 1, 1)), (8, 7)),
    "kernel_1": (Window((1, 1)), (8, 7)),
    "kernel_1_padded": (Window((1, 1), pads=(1, 0, 2, 1)), (8, 7)),
    "kernel_2": (Window((2, 2)), (8, 7)),
    "kernel_5": (Window((5, 5), pads=(2, 2, 2, 2)), (8, 7)),
    "kernel_7": (Window((7, 7), (2, 2), pads=(3, 3, 3, 3)), (15, 14)),
    "kernel_1x7": (Window((1, 7), pads=(0, 3, 0, 3)), (8, 7)),
    "kernel_of_the_map": (Window((8, 7)), (8, 7)),
    "stride_2": (Window((3, 3), (2, 2), pads=(1, 1, 1, 1)), (8, 7)),
    "stride_beyond_kernel": (Window((2, 2), (3, 3)), (11, 10)),
    "stride_2x1": (Window((3, 3), (2, 1), pads=(1, 1, 1, 1)), (8, 7)),
    "dilation_2": (Window((3, 3), (), (2, 2), (2, 2, 2, 2)), (8, 7)),
    "dilation_1x3_stride_2": (Window((3, 3), (2, 2), (1, 3), (1, 3, 1, 3)), (9, 9)),
    "pads_asymmetric": (Window((3, 3), pads=(0, 1, 2, 0)), (8, 7)),
    "pads_at_the_end": (Window((3, 3), (2, 2), pads=(0, 0, 1, 1)), (8, 8)),
    "pads_beyond_kernel": (Window((2, 2), pads=(3, 2, 4, 3)), (5, 5)),
    "1d": (Window((3,), pads=(1, 1)), (11,)),
    "1d_strided_dilated": (Window((3,), (2,), (2,), (0, 3)), (13,)),
    "1d_same_lower": (Window((4,), auto_pad="SAME_LOWER"), (11,)),
    "3d": (Window((3, 3, 3), pads=(1,) * 6), (4, 5, 6)),
    "3d_strided": (Window((2, 3, 1), (1, 2, 2), pads=(0, 1, 0, 1, 1, 0)), (4, 5, 6)),
    "one_pixel": (Window((3, 3), pads=(1, 1, 1, 1)), (1, 1)),
}

# Spatial max-poolings behind the cross-channel pooling.
MAX_POOLS: dict[str, Window] = {
    "2x2": Window((2, 2), (2, 2)),
    "2x2_stride_1": Window((2, 2)),
    "3x3_stride_2_padded": Window((3, 3), (2, 2), pads=(1, 1, 1, 1)),
    "ceil": Window((2, 2), (2, 2), ceil_mode=True),
    "ceil_padded": Window((3, 3), (2, 2), pads=(1, 0, 1, 1), ceil_mode=True),
    "ceil_stride_beyond_kernel": Window((2, 2), (3, 3), ceil_mode=True),
    "dilated": Window((2, 2), (1, 1), (2, 3)),
    "same_upper": Window((2, 2), (2, 2), auto_pad="SAME_UPPER"),
    "same_lower": Window((3, 3), (2, 2), auto_pad="SAME_LOWER"),
    "rows": Window((3, 1), (2, 1), pads=(1, 0, 0, 0)),
    "global": Window((8, 7)),
}

# Groups of the convolution: input channels, group, channels behind the pooling, window.
GROUPS: dict[str, tuple[int, int, int, int]] = {
    "two": (4, 2, 4, 2),
    "depthwise": (4, 4, 4, 2),
    "depthwise_multiplier": (3, 3, 6, 4),
    "depthwise_across": (6, 6, 3, 2),
    "pooled_across": (4, 4, 2, 4),
}

# One spelling of each kind, for what need not be tried with all.
SOME_SPELLINGS = (
    "reduce_max",
    "reduce_max_strided",
    "split_max",
    "slice_max_chained",
    "max_pool_3d",
    "reduce_mean",
    "sum_n_ary",
    "reduce_l2",
    "top_k",
    "ordinal",
    "several_convolutions",
)
FEW_SPELLINGS = ("reduce_max", "split_max", "reduce_mean")
RANKS: dict[int, tuple[Window, tuple[int, ...]]] = {
    1: (Window((3,), pads=(1, 1)), (9,)),
    2: (SAME, (8, 7)),
    3: (Window((3, 2, 3), pads=(1, 0, 1, 1, 1, 1)), (3, 5, 4)),
}
OPSETS = (11, 12, 13, 15, 18, 20, 21, 23)


def _case(name: str, network: Network, expected: Expected | None = None) -> Case:
    return Case(name, network.build, expected or Expected(len(network.layers)))


def _spellings() -> Iterator[Case]:
    """Every spelling: windows, opsets, batches, numbers of dimensions."""
    for spelling in ALL_SPELLINGS:
        for window in (1, 2, 3, 4):
            layer = Layer(spelling, 3, window, before=("leaky_relu",))
            yield _case(f"{spelling}-window_{window}", Network((layer,)))
        plain = Layer(spelling, 3, 2)
        yield _case(f"{spelling}-plain", Network((plain,)))
        yield _case(f"{spelling}-one_group", Network((replace(plain, groups=1, window=4),)))
        for opset in OPSETS:
            nodes = opset % 2 == 1
            network = Network((plain,), opset=opset, constant_nodes=nodes)
            yield _case(f"{spelling}-opset_{opset}", network)
        for name, batch in {"3": 3, "copied": 0, "inferred": -1}.items():
            yield _case(f"{spelling}-batch_{name}", Network((plain,), batch=batch))
        for rank in spatial_ranks(spelling):
            convolution, spatial = RANKS[rank]
            layer = replace(plain, convolution=convolution, before=("batch_norm", "relu"))
            yield _case(f"{spelling}-{rank}d", Network((layer,), spatial=spatial))


def _stages() -> Iterator[Case]:
    """Every stage before, inside and behind."""
    for name, stage in STAGES.items():
        opset = max(18, stage.opset)
        for spelling in SOME_SPELLINGS:
            layer = Layer(spelling, 3, 3, before=(name,))
            yield _case(f"{spelling}-before_{name}", Network((layer,), opset=opset))
        for spelling in FEW_SPELLINGS:
            layer = Layer(spelling, 3, 3, after=(name,))
            yield _case(f"{spelling}-after_{name}", Network((layer,), opset=opset))
    for name in INSIDE:
        opset = max(18, STAGES[name].opset)
        for spelling in ("reduce_max", "split_max", "reduce_mean_flat", "max_pool_transposed_1d"):
            layer = Layer(spelling, 3, 3, inside=(name,))
            yield _case(f"{spelling}-inside_{name}", Network((layer,), opset=opset))
    for spelling in sorted(PARTS):
        layer = Layer(spelling, 3, 2, inside=("leaky_relu",))
        yield _case(f"{spelling}-inside_each", Network((layer,)))
        for name in ("batch_norm", "add", "prelu"):  # each part with values of its own
            layer = Layer(spelling, 3, 2, inside=(name,))
            yield _case(f"{spelling}-inside_own_{name}", Network((layer,)), Expected(None))


CHAINS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "norm_relu": (("batch_norm", "relu"), ()),
    "norm_silu": (("batch_norm", "silu"), ()),
    "relu_norm": (("relu", "batch_norm"), ()),
    "relu_mixed_norm": (("relu", "batch_norm_mixed"), ()),
    "mixed_norm_leaky": (("batch_norm_mixed", "leaky_relu"), ()),
    "norm_behind": ((), ("batch_norm", "leaky_relu")),
    "mixed_norm_behind": (("relu",), ("batch_norm_mixed", "relu")),
    "both_sides": (("batch_norm", "leaky_relu"), ("mul", "add", "tanh")),
    "affine": (("mul", "add_4d", "prelu"), ("mul_4d",)),
    "decreasing_twice": (("neg", "mul_negative_scalar"), ("scalar_minus",)),
    "two_gates": (("hard_swish", "silu"), ("mish",)),
    "clip_then_norm": (("clip", "batch_norm"), ("clip_low",)),
}


def _combinations() -> Iterator[Case]:
    """Chains of stages, attributes of the convolution, poolings behind, several layers."""
    for spelling in SOME_SPELLINGS:
        for name, (before, after) in CHAINS.items():
            layer = Layer(spelling, 4, 2, before=before, after=after)
            yield _case(f"{spelling}-chain_{name}", Network((layer,)))
        for name, (window, spatial) in CONVOLUTIONS.items():
            if len(spatial) in spatial_ranks(spelling):
                layer = Layer(spelling, 3, 2, window, before=("relu",))
                yield _case(f"{spelling}-conv_{name}", Network((layer,), spatial=spatial))
        for name, (channels, group, groups, size) in GROUPS.items():
            if ALL_SPELLINGS[spelling].grouping == "separate" and groups % group:
                continue
            layer = Layer(spelling, groups, size, group=group)
            yield _case(f"{spelling}-group_{name}", Network((layer,), channels))
        for name, pool in MAX_POOLS.items():
            for after in ((), ("leaky_relu",)):
                layer = Layer(spelling, 3, 2, before=("relu",), after=after, max_pool=pool)
                suffix = "_after_activation" if after else ""
                yield _case(f"{spelling}-max_pool_{name}{suffix}", Network((layer,)))
        layer = Layer(spelling, 4, 2, bias=False, before=("batch_norm", "leaky_relu"))
        yield _case(f"{spelling}-without_bias", Network((layer,)))
        pooled = replace(layer, max_pool=MAX_POOLS["2x2"])
        yield _case(f"{spelling}-two_layers", Network((pooled, replace(layer, window=3))))
    mixed = tuple(Layer(name, 4, 2, before=("relu",)) for name in ALL_SPELLINGS)
    yield _case("every_spelling_in_one_network", Network(mixed))


def cases() -> Iterator[Case]:
    """Yield every case; ids are unique."""
    yield from _spellings()
    yield from _stages()
    yield from _combinations()
    yield from topologies()


def quick_cases() -> Iterator[Case]:
    """Yield about a sixth of the cases, in which everything occurs.

    That is every spelling with windows of one and three and in each number of dimensions, every
    network that branches or must not be fused, and every other variation with one spelling, the
    spellings taking turns.
    """
    with_every_spelling = ("window_1", "window_3", "1d", "2d", "3d")
    taken: dict[str, list[Case]] = {}
    for case in cases():
        prefix, _, variation = case.id.partition("-")
        if prefix not in ALL_SPELLINGS or variation in with_every_spelling:
            yield case
        else:
            taken.setdefault(variation, []).append(case)
    for turn, candidates in enumerate(taken.values()):
        yield candidates[turn % len(candidates)]
