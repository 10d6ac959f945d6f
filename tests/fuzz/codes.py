"""Recipes for 8-bit codes: quantisation, operators that move codes, operators on codes."""

import numpy as np

from fuzz.draft import Draft, UnfitError

CODES = (np.uint8, np.int8)


def quantise(draft: Draft, x: str) -> str:
    """Add QuantizeLinear with a scale that fits the values; return the codes."""
    values = draft.values[x].astype(np.float64)
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    dtype = draft.choose(CODES)
    limits = np.iinfo(dtype)
    symmetric = draft.chance(0.3)
    reach = max(-low, high)
    scale = np.float32(max(2 * reach if symmetric else high - low, 1e-3) / 255)
    zero = (limits.min + 128) if symmetric else round(limits.min - low / scale)
    scale_name = draft.constant(np.array(scale), np.float32)
    zero_name = draft.constant(np.clip(zero, limits.min, limits.max), dtype)
    [codes] = draft.add("QuantizeLinear", [x, scale_name, zero_name])
    draft.grids[codes] = scale_name, zero_name
    return codes


def dequantise(draft: Draft, codes: str) -> str:
    """Add DequantizeLinear."""
    return draft.add("DequantizeLinear", [codes, *draft.grids[codes]])[0]


def any_codes(draft: Draft, ranks: tuple[int, ...] = (1, 2, 3, 4, 5)) -> str:
    """Return a map of codes."""
    return draft.choose(n for n in draft.grids if draft.values[n].ndim in ranks)


def through_codes(draft: Draft) -> None:
    """Round a map to codes and read it back."""
    if draft.dtype != np.float32:
        raise UnfitError
    dequantise(draft, quantise(draft, draft.map()))


def read_again(draft: Draft) -> None:
    """Dequantise codes once more."""
    dequantise(draft, any_codes(draft))


def moved_codes(draft: Draft) -> None:
    """Move codes without reading them."""
    codes = any_codes(draft, (4,))
    op = draft.choose(("Transpose", "MaxPool", "Concat", "Flatten", "Reshape"))
    if op == "Concat":
        [moved] = draft.add(op, [codes, codes], axis=1)
    elif op == "MaxPool":
        [moved] = draft.add(op, [codes], kernel_shape=[2, 2])
    elif op == "Reshape":
        [moved] = draft.add(op, [codes, draft.constant(np.array([draft.shape(codes)[0], -1]))])
    else:
        [moved] = draft.add(op, [codes])
    draft.grids[moved] = draft.grids[codes]
    dequantise(draft, moved)


def convolution_of_codes(draft: Draft) -> None:
    """Add a QLinearConv."""
    codes = any_codes(draft, (4,))
    channels, filters = draft.shape(codes)[1], draft.number(1, 5)
    weights = draft.random.integers(-40, 41, (filters, channels, 3, 3))
    scales = draft.random.uniform(0.002, 0.01, filters if draft.chance(0.5) else 1)
    scales = scales if scales.size > 1 else scales.reshape(())
    scale, zero = draft.grids[codes]
    names = [
        codes,
        scale,
        zero,
        draft.constant(weights, np.int8),
        draft.constant(scales, np.float32),
        draft.constant(np.zeros(scales.shape), np.int8),
        draft.constant(np.array(draft.random.uniform(0.01, 0.05)), np.float32),
        draft.constant(np.array(3), draft.values[codes].dtype),
    ]
    if draft.chance(0.5):
        names.append(draft.constant(draft.random.integers(-300, 300, filters), np.int32))
    [result] = draft.add("QLinearConv", names, pads=[1] * 4)
    draft.grids[result] = names[6], names[7]
    dequantise(draft, result)


RECIPES = (through_codes, through_codes, read_again, moved_codes, convolution_of_codes)
