"""Hypothesis strategies that draw networks of one or two pooled layers.

Every network that they draw is valid: convolutions and poolings fit their maps, groups divide the
channels, and the opset knows every operator.
"""

from dataclasses import replace
from math import gcd

from hypothesis import strategies as st

from kit.layers import Layer, Network, Sizes, Window
from kit.spellings import ALL_SPELLINGS, spatial_ranks
from kit.stages import INSIDE, STAGES

OPSETS = (11, 12, 13, 14, 16, 18, 20, 21, 23)
LARGEST_KERNEL = 7


def networks(max_layers: int = 2) -> st.SearchStrategy[Network]:
    """Draw a network; all its layers can be fused."""
    return _networks(max_layers)


@st.composite
def _networks(draw: st.DrawFn, max_layers: int) -> Network:
    opset = draw(st.sampled_from(OPSETS))
    rank = draw(st.sampled_from((2, 2, 1, 3)))
    spatial = tuple(draw(st.integers(3, 6 if rank == 3 else 10)) for _ in range(rank))
    channels = first_channels = draw(st.sampled_from((3, 1, 2, 4, 6)))
    layers: list[Layer] = []
    pixels = spatial
    for _ in range(draw(st.integers(1, max_layers))):
        layer = draw(layers_for(channels, pixels, opset))
        layers.append(layer)
        channels, pixels = layer.groups, layer.spatial(pixels)
    return Network(
        layers=tuple(layers),
        channels=first_channels,
        spatial=spatial,
        batch=draw(st.sampled_from((1, 2, 0, -1))),
        opset=opset,
        seed=draw(st.integers(0, 2**16)),
        constant_nodes=draw(st.booleans()),
    )


@st.composite
def layers_for(draw: st.DrawFn, channels: int, spatial: Sizes, opset: int) -> Layer:
    """Draw a layer that can read a map of the given channels and spatial dimensions."""
    rank = len(spatial)
    spellings = [name for name in ALL_SPELLINGS if rank in spatial_ranks(name)]
    spelling = draw(st.sampled_from(spellings))
    groups, window = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    separate = ALL_SPELLINGS[spelling].grouping == "separate"
    common = gcd(channels, groups if separate else groups * window)
    convolution = draw(convolutions(spatial))
    pixels = convolution.positions(spatial)
    return Layer(
        spelling=spelling,
        groups=groups,
        window=window,
        convolution=convolution,
        group=draw(st.sampled_from([part for part in range(1, common + 1) if common % part == 0])),
        bias=draw(st.booleans()),
        before=draw(stage_names(tuple(STAGES), opset, 2)),
        inside=draw(stage_names(INSIDE, opset, 1)),
        after=draw(stage_names(tuple(STAGES), opset, 2)),
        max_pool=draw(st.none() | max_poolings(pixels)),
    )


def stage_names(
    names: tuple[str, ...], opset: int, most: int
) -> st.SearchStrategy[tuple[str, ...]]:
    """Draw a few stages that the opset knows."""
    known = [name for name in names if STAGES[name].opset <= opset]
    return st.lists(st.sampled_from(known), max_size=most).map(tuple)


@st.composite
def convolutions(draw: st.DrawFn, spatial: Sizes) -> Window:
    """Draw a convolution that gives at least one pixel."""
    auto_pad = draw(st.sampled_from(("", "", "", "VALID", "SAME_UPPER", "SAME_LOWER")))
    kernel = tuple(draw(st.integers(1, min(size, LARGEST_KERNEL))) for size in spatial)
    strides = draw(_omitted_or(st.integers(1, 3), len(spatial)))
    if auto_pad.startswith("SAME"):  # refused: ONNX Runtime pads by less than nothing here
        strides = tuple(map(min, strides, kernel))
    return Window(
        kernel=kernel,
        strides=strides,
        dilations=() if auto_pad.startswith("SAME") else draw(_dilations(kernel, spatial)),
        pads=() if auto_pad else draw(_omitted_or(st.integers(0, 3), 2 * len(spatial))),
        auto_pad=auto_pad,
    )


@st.composite
def max_poolings(draw: st.DrawFn, spatial: Sizes) -> Window:
    """Draw a max-pooling that gives at least one pixel, with at least one pixel in each window."""
    auto_pad = draw(st.sampled_from(("", "", "VALID", "SAME_UPPER", "SAME_LOWER")))
    kernel = tuple(draw(st.integers(1, min(size, 3))) for size in spatial)
    pads = tuple(draw(st.integers(0, size - 1)) for size in kernel * 2)
    padded = not auto_pad and draw(st.booleans())
    strides = draw(_omitted_or(st.integers(1, 3), len(spatial)))
    if auto_pad.startswith("SAME"):  # ONNX Runtime refuses strides beyond the kernel here
        strides = tuple(map(min, strides, kernel))
    window = Window(
        kernel=kernel,
        strides=strides,
        dilations=() if auto_pad or padded else draw(_dilations(kernel, spatial)),
        pads=pads if padded else (),
        auto_pad=auto_pad,
        ceil_mode=not auto_pad and draw(st.booleans()),
    )
    return replace(window, ceil_mode=False) if window.starts_in_end_padding(spatial) else window


def _omitted_or(values: st.SearchStrategy[int], count: int) -> st.SearchStrategy[Sizes]:
    return st.just(()) | st.lists(values, min_size=count, max_size=count).map(tuple)


@st.composite
def _dilations(draw: st.DrawFn, kernel: Sizes, spatial: Sizes) -> Sizes:
    """Draw dilations with which the kernel still fits the unpadded map."""
    if draw(st.booleans()):
        return ()
    reach = [
        (size - 1) // (taps - 1) if taps > 1 else 3
        for taps, size in zip(kernel, spatial, strict=True)
    ]
    return tuple(draw(st.integers(1, max(1, most))) for most in reach)
