"""The integer arithmetic against exact rational arithmetic, and against ONNX Runtime."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.integer.arithmetic import (
    fixed_point,
    integer_root,
    shift_to_even,
)
from condense_compiler.targets.accelerator.integer.compute import accumulate, pool_channels
from condense_compiler.targets.accelerator.integer.network import ChannelPooling, Scaling
from condense_compiler.targets.accelerator.integer.weights import bits_needed, split_scales
from condense_compiler.targets.accelerator.isa.buffers import pack_bits, unpack_bits


@given(st.integers(-(2**62), 2**62), st.integers(0, 62))
def test_shifting_rounds_halves_to_even(value: int, shift: int) -> None:
    assert shift_to_even(np.array([value]), shift)[0] == round(Fraction(value, 2**shift))


@given(st.floats(2.0**-30, 2.0**30))
def test_a_factor_has_31_significant_bits(factor: float) -> None:
    point = fixed_point(factor)
    assert abs(point.multiplier) < 2**31
    assert abs(Fraction(point.multiplier, 2**point.shift) / Fraction(factor) - 1) <= 2.0**-30


@given(st.integers(0, 2**50))
def test_roots_are_exact(value: int) -> None:
    root = int(integer_root(np.array([value]))[0])
    assert root * root <= value < (root + 1) ** 2


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@given(data=st.data())
def test_packed_weights_come_back(bits: int, data: st.DataObject) -> None:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    one = st.sampled_from([-1, 1]) if bits == 1 else st.integers(low, high)
    weights = np.array(data.draw(st.lists(one, min_size=1, max_size=40)), np.int8)
    packed = np.frombuffer(pack_bits(weights, bits), np.uint8)
    assert len(packed) == -(-len(weights) * bits // 8)
    assert np.array_equal(unpack_bits(packed, len(weights), bits), weights)


@given(st.integers(0, 2**32), st.sampled_from([1, 7, 127]), st.floats(1e-6, 1e3), st.integers(1, 9))
def test_integers_behind_scaled_weights_are_found(
    seed: int, largest: int, scale: float, filters: int
) -> None:
    generator = np.random.default_rng(seed)
    weights = generator.integers(-largest, largest + 1, (filters, 3, 3, 3))
    weights[:, 0, 0, :2] = (1, largest)
    scales = scale * generator.uniform(0.5, 2, filters).astype(np.float32)
    scaled = (weights * scales[:, None, None, None]).astype(np.float32)
    integers, found = split_scales(scaled, "conv")
    assert np.array_equal(integers, weights)
    assert np.allclose(found, scales, rtol=1e-6)
    assert bits_needed(integers) <= {1: 2, 7: 4, 127: 8}[largest]


@given(
    st.integers(1, 5), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.integers(0, 99)
)
def test_sums_are_those_of_loops(
    channels: int, kernel: int, stride: int, dilation: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    codes = generator.integers(-128, 128, (channels, 7, 6)).astype(np.int8)
    weights = generator.integers(-128, 128, (4, channels, kernel, kernel)).astype(np.int8)
    window = Window(
        (kernel,) * 2, (stride,) * 2, (1, 0, 0, 1) if kernel > 1 else (0,) * 4, (dilation,) * 2
    )
    sums = accumulate(codes, 3, weights, window, 1)
    padded = np.pad(
        codes.astype(int) - 3, ((0, 0), *zip(window.pads[:2], window.pads[2:], strict=True))
    )
    for (filter_, y, x), value in np.ndenumerate(sums):
        top, left, reach = y * stride, x * stride, dilation * (kernel - 1) + 1
        part = padded[:, top : top + reach : dilation, left : left + reach : dilation]
        assert value == (part * weights[filter_]).sum()


@pytest.mark.parametrize("reduction", ["max", "min", "ranked", "l2"])
def test_channels_are_pooled_in_integers(reduction: str) -> None:
    codes = np.random.default_rng(3).integers(-128, 128, (6, 4, 4)).astype(np.int8)
    scaling = Scaling((1 << 20,) * (3 if reduction == "ranked" else 1), (30,), 5, -128, 127)
    pooled = pool_channels(codes, ChannelPooling(reduction, 3, -2, scaling=scaling))
    groups = codes.reshape(2, 3, 4, 4).astype(np.float64)
    exact = {
        "max": groups.max(axis=1),
        "min": groups.min(axis=1),
        "ranked": np.rint((groups + 2).sum(axis=1) / 1024) + 5,
        "l2": np.rint(np.sqrt(((groups + 2) ** 2).sum(axis=1)) * 256 / 1024) + 5,
    }[reduction]
    assert np.abs(pooled - np.clip(exact, -128, 127)).max() <= (1 if reduction == "l2" else 0)
