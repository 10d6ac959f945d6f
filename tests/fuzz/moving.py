"""Recipes for operators that move values: concatenations, parts, other shapes."""

import math
from typing import Any

import numpy as np

from fuzz.draft import Draft, UnfitError


def concatenation(draft: Draft) -> None:
    """Put maps one behind the other along any axis, the same one twice perhaps."""
    first = draft.map()
    shape = draft.shape(first)
    axis = draft.choose([1, 1, 1, *range(len(shape))]) % len(shape)

    def rest(other: tuple[int, ...]) -> tuple[int, ...]:
        return (len(other), *other[:axis], *other[axis + 1 :])

    fitting = [
        name
        for name, value in draft.values.items()
        if value.dtype == draft.dtype and rest(value.shape) == rest(shape)
    ]
    parts = [first, *(draft.choose(fitting) for _ in range(draft.number(0, 3)))]
    draft.add("Concat", parts, axis=draft.choose([axis, axis - len(shape)]))


def split(draft: Draft) -> None:
    """Split a map; not all parts need be read."""
    x = draft.map()
    shape = draft.shape(x)
    axis = draft.choose([1, 1, *range(len(shape))]) % len(shape)
    if shape[axis] < 2:
        raise UnfitError
    at = draft.number(1, shape[axis] - 1)
    sizes = [at, shape[axis] - at]
    if draft.opset < 13:
        draft.add("Split", [x], 2, axis=axis, split=sizes)
    elif draft.opset >= 18 and draft.chance(0.4):
        draft.add("Split", [x], 2, axis=axis, num_outputs=2)
    else:
        draft.add("Split", [x, draft.constant(np.array(sizes))], 2, axis=axis)


def slice_(draft: Draft) -> None:
    """Take a part, from the end or in steps perhaps."""
    x = draft.map()
    shape = draft.shape(x)
    axis = draft.number(0, len(shape) - 1)
    size = shape[axis]
    start = draft.number(-size, size - 1)
    end, step = draft.choose([(size, 1), (2**31, 1), (size, 2), (-(2**31), -1), (-1, 1)])
    draft.add("Slice", [x, *(draft.constant(np.array([n])) for n in (start, end, axis, step))])


def gather(draft: Draft) -> None:
    """Choose indices along an axis."""
    x = draft.map()
    shape = draft.shape(x)
    axis = draft.number(0, len(shape) - 1)
    count = draft.choose([(), (1,), (draft.number(1, 4),)])
    indices = draft.random.integers(-shape[axis], shape[axis], count)
    draft.add("Gather", [x, draft.constant(np.asarray(indices, np.int64))], axis=axis)


def reshape(draft: Draft) -> None:
    """Give a map another shape."""
    x = draft.map()
    shape = draft.shape(x)
    elements = math.prod(shape[1:])
    if draft.chance(0.3):
        draft.add("Flatten", [x], axis=draft.number(0, len(shape)))
        return
    sizes: list[int] = []
    for _ in range(draft.number(0, 3)):
        sizes.append(draft.choose(n for n in range(1, elements + 1) if elements % n == 0))
        elements //= sizes[-1]
    target = [shape[0], *sizes, elements]
    if draft.chance(0.3):
        target[draft.number(0, len(target) - 1)] = -1
    if draft.chance(0.2):
        target[0] = 0
    draft.add("Reshape", [x, draft.constant(np.array(target))])


def back_to_map(draft: Draft) -> None:
    """Make a map of four axes of whatever there is."""
    x = draft.map()
    shape = draft.shape(x)
    elements = math.prod(shape[1:])
    channels = draft.choose(n for n in range(1, min(elements, 8) + 1) if elements % n == 0)
    left = elements // channels
    height = draft.choose(n for n in range(1, left + 1) if left % n == 0)
    target = np.array([shape[0], channels, height, left // height])
    draft.add("Reshape", [x, draft.constant(target)])


def transpose(draft: Draft) -> None:
    """Change the order of the axes."""
    x = draft.map()
    order = draft.random.permutation(draft.values[x].ndim).tolist()
    draft.add("Transpose", [x], **({"perm": order} if draft.chance(0.9) else {}))


def shuffle(draft: Draft) -> None:
    """Shuffle channels, as ShuffleNet does."""
    x = draft.map(ranks=(4,))
    batch, channels, *pixels = draft.shape(x)
    groups = draft.choose(n for n in range(2, channels) if channels % n == 0)
    wide = draft.constant(np.array([batch, groups, channels // groups, *pixels]))
    [x] = draft.add("Reshape", [x, wide])
    [x] = draft.add("Transpose", [x], perm=[0, 2, 1, 3, 4])
    draft.add("Reshape", [x, draft.constant(np.array([batch, channels, *pixels]))])


def axes_of_one(draft: Draft) -> None:
    """Add an axis, or drop one."""
    x = draft.map()
    shape = draft.shape(x)
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    if len(shape) > 2 and ones and draft.chance(0.5):
        draft.along("Squeeze", x, [draft.choose(ones)])
    elif len(shape) < 5:
        draft.along("Unsqueeze", x, [draft.number(0, len(shape))])


def pad(draft: Draft) -> None:
    """Put something around a map, along any axis."""
    x = draft.map()
    rank = draft.values[x].ndim
    pads = [draft.choose([0, 0, 1, 2]) for _ in range(2 * rank)]
    if draft.chance(0.2):
        pads[draft.number(0, 2 * rank - 1)] = -1
    mode = draft.choose(["constant", "constant", "edge", "reflect"])
    value = [draft.constant(np.array(0.5))] if mode == "constant" and draft.chance(0.5) else []
    draft.add("Pad", [x, draft.constant(np.array(pads)), *value], mode=mode)


def resize(draft: Draft) -> None:
    """Make a map larger or smaller."""
    x = draft.map(ranks=(4,))
    mode = draft.choose(("nearest", "nearest", "linear", "cubic"))
    ways = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
    attributes: dict[str, Any] = {
        "mode": mode,
        "coordinate_transformation_mode": draft.choose(ways),
    }
    if mode == "nearest":
        roundings = ("floor", "round_prefer_floor", "ceil", "round_prefer_ceil")
        attributes["nearest_mode"] = draft.choose(roundings)
    roi = draft.constant(np.zeros(0, np.float32), np.float32) if draft.opset < 13 else ""
    if draft.chance(0.5):
        factors = [1, 1, *(draft.choose([0.5, 1.0, 1.3, 2.0, 3.0]) for _ in range(2))]
        draft.add("Resize", [x, roi, draft.constant(np.array(factors), np.float32)], **attributes)
    else:
        sizes = [*draft.shape(x)[:2], draft.number(1, 9), draft.number(1, 9)]
        none = draft.constant(np.zeros(0, np.float32), np.float32) if draft.opset < 13 else ""
        draft.add("Resize", [x, roi, none, draft.constant(np.array(sizes))], **attributes)


def depth_and_space(draft: Draft) -> None:
    """Move channels to pixels, or back."""
    x = draft.map(ranks=(4,))
    if draft.chance(0.5):
        draft.add("DepthToSpace", [x], blocksize=2, mode=draft.choose(("DCR", "CRD")))
    else:
        draft.add("SpaceToDepth", [x], blocksize=2)


def repeated(draft: Draft) -> None:
    """Repeat a map."""
    x = draft.map()
    shape = draft.shape(x)
    if draft.chance(0.5):
        repeats = [draft.choose([1, 1, 2]) for _ in shape]
        draft.add("Tile", [x, draft.constant(np.array(repeats))])
    else:
        target = [draft.number(1, 3) if size == 1 else size for size in shape]
        draft.add("Expand", [x, draft.constant(np.array(target))])


def top_k(draft: Draft) -> None:
    """Return the largest values along an axis, and perhaps where they stand."""
    x = draft.map()
    shape = draft.shape(x)
    axis = draft.number(0, len(shape) - 1)
    count = draft.constant(np.array([draft.number(1, min(3, shape[axis]))]))
    draft.add("TopK", [x, count], 2, axis=axis, largest=draft.number(0, 1))


def dense_block(draft: Draft) -> None:
    """Concatenate a map with convolutions of all before, again and again, as DenseNet does."""
    x = draft.map(ranks=(4,))
    for _ in range(draft.number(1, 3)):
        weights = draft.weights((2, draft.shape(x)[1], 3, 3), 0.3)
        [new] = draft.add("Conv", [x, weights], pads=[1] * 4)
        [x] = draft.add("Concat", draft.choose([[x, new], [new, x]]), axis=1)


def reversed_parts(draft: Draft) -> None:
    """Turn the first elements of each sequence around."""
    x = draft.map(ranks=(3, 4))
    first, second = draft.shape(x)[:2]
    lengths = draft.random.integers(1, second + 1, first)
    draft.add("ReverseSequence", [x, draft.constant(lengths)], batch_axis=0, time_axis=1)


def gather_nd(draft: Draft) -> None:
    """Choose parts by the indices of their first axes."""
    x = draft.map()
    shape = draft.shape(x)
    depth = draft.number(1, min(2, len(shape)))
    places = [draft.random.integers(0, size, (draft.number(1, 3), 1)) for size in shape[:depth]]
    indices = np.concatenate([place[: min(map(len, places))] for place in places], axis=1)
    draft.add("GatherND", [x, draft.constant(indices)])


RECIPES = (
    *(concatenation, concatenation, concatenation, split, split, slice_, slice_, gather, reshape),
    *(back_to_map, back_to_map, transpose, shuffle, axes_of_one, pad, resize, depth_and_space),
    *(repeated, top_k, dense_block, reversed_parts, gather_nd),
)
