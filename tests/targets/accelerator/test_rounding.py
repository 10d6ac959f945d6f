"""What the units compute in 32-bit floating point, against the same in whole numbers."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.integer.arithmetic import scale_sums, significand
from condense_compiler.targets.accelerator.integer.compute import pool_channels
from condense_compiler.targets.accelerator.integer.network import ChannelPooling
from condense_compiler.targets.accelerator.integer.pixels import average_pixels
from condense_compiler.targets.accelerator.isa.records import Averaging

LARGEST_SUM = 2**31 - 1
SCALES = st.floats(2.0**-38, 2.0**3, width=32)
# Sums that 24 bits do not hold, around where rounding begins, and small ones.
SUMS = st.one_of(
    st.integers(-LARGEST_SUM, LARGEST_SUM),
    st.integers(2**24 - 9, 2**24 + 9),
    st.integers(-(2**25) - 9, -(2**25) + 9),
    st.integers(-300, 300),
)


def to_24_bits(value: Fraction) -> Fraction:
    """Round to 24 significant bits, halves to even."""
    if value == 0:
        return value
    exponent = 0
    while abs(value) * Fraction(2) ** exponent < 2**23:
        exponent += 1
    while abs(value) * Fraction(2) ** exponent >= 2**24:
        exponent -= 1
    return Fraction(round(value * Fraction(2) ** exponent)) / Fraction(2) ** exponent


def scaled(total: int, scale: float) -> int:
    """Scale a sum by whole numbers alone."""
    point = significand(scale)
    product = to_24_bits(to_24_bits(Fraction(total)) * point.multiplier)
    return round(product / 2**point.shift)


@given(st.lists(SUMS, min_size=1, max_size=20), SCALES)
def test_scaled_sums(sums: list[int], scale: float) -> None:
    point = significand(scale)
    found = scale_sums(np.array(sums, np.int32), np.array(point.multiplier), np.array(point.shift))
    expected = np.array([scaled(total, scale) for total in sums])
    codes = np.clip(expected, -1000, 1000)  # larger ones are no codes; floats may be inexact
    assert np.array_equal(np.clip(found, -1000, 1000), codes)


@given(st.integers(0, 2**24 - 1), st.integers(1, 40))
def test_products_half_way_between_two_codes(steps: int, shift: int) -> None:
    """A scale that is a power of two leaves many sums exactly half way."""
    point = significand(2.0**-shift)
    sums = np.array([steps, -steps], np.int32)
    found = scale_sums(sums, np.array(point.multiplier), np.array(point.shift))
    assert found.tolist() == [round(Fraction(int(s), 2**shift)) for s in sums]


@given(SCALES)
def test_a_scale_is_its_significand_and_a_shift(scale: float) -> None:
    point = significand(scale)
    assert Fraction(point.multiplier, 2**point.shift) == Fraction(scale)


@given(st.floats(2.0**24, 2.0**100, width=32), st.integers(1, LARGEST_SUM))
def test_scales_that_saturate(scale: float, total: int) -> None:
    point = significand(scale)
    found = scale_sums(np.array([total]), np.array(point.multiplier), np.array(point.shift))
    assert found[0] > 255


@given(st.floats(2.0**-100, 2.0**-40, width=32), st.integers(-LARGEST_SUM, LARGEST_SUM))
def test_scales_that_leave_nothing(scale: float, total: int) -> None:
    assert round(Fraction(scale) * total) == 0
    assert significand(scale).multiplier == 0


def averaged(codes: list[int], zero: int, by: Averaging, count: int) -> int:
    """Average by whole numbers alone."""
    total = Fraction(0)
    for code in codes:
        total = to_24_bits(total + to_24_bits((code - zero) * Fraction(by.input_scale)))
    steps = to_24_bits(to_24_bits(total / count) / Fraction(by.output_scale))
    code = round(to_24_bits(steps + by.zero - by.least)) + by.least
    return min(max(code, by.lower), by.upper)


@given(
    st.integers(0, 2**32),
    st.sampled_from([(2, 2), (3, 3), (1, 4), (3, 2)]),
    st.sampled_from(["present", "window", "one"]),
    st.sampled_from([-128, 0]),
)
def test_averages_of_pixels(seed: int, kernel: tuple[int, int], divisor: str, least: int) -> None:
    generator = np.random.default_rng(seed)
    codes = generator.integers(-128, 128, (2, 5, 6)).astype(np.int8)
    zero, same_scale = int(generator.integers(-128, 128)), float(np.float32(0.0173))
    scales = (same_scale, same_scale if seed % 2 else float(np.float32(0.021)))
    by = Averaging(*scales, 11, least, -120, 127, divisor)
    pads = (1, 0, 0, 1) if min(kernel) > 1 else (0, 0, 0, 0)
    window = Window(kernel, (2, 1), pads, (1, 1))
    found = average_pixels(codes, zero, window, by)
    for (channel, y, x), code in np.ndenumerate(found):
        rows = [2 * y - pads[0] + i for i in range(kernel[0])]
        columns = [x - pads[1] + i for i in range(kernel[1])]
        members = [
            int(codes[channel, row, column])
            for row in rows
            for column in columns
            if 0 <= row < 5 and 0 <= column < 6
        ]
        count = {"present": len(members), "window": kernel[0] * kernel[1], "one": 1}[divisor]
        assert code == averaged(members, zero, by, count)


@given(st.integers(0, 2**32), st.integers(2, 5), st.sampled_from(["window", "one"]))
def test_averages_of_channels(seed: int, group: int, divisor: str) -> None:
    generator = np.random.default_rng(seed)
    codes = generator.integers(-128, 128, (2 * group, 3, 2)).astype(np.int8)
    by = Averaging(float(np.float32(0.02)), float(np.float32(0.02)), -5, -128, -128, 127, divisor)
    found = pool_channels(codes, ChannelPooling("average", group, 7, averaging=by))
    for (channel, y, x), code in np.ndenumerate(found):
        members = codes[channel * group : (channel + 1) * group, y, x].tolist()
        assert code == averaged(members, 7, by, group if divisor == "window" else 1)
