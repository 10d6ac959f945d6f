"""Recipes for convolutions, matrix products and poolings, also across channels."""

from typing import Any

import numpy as np
from kit.layers import Layer, Window
from kit.spellings import ALL_SPELLINGS, PARTS, spatial_ranks
from kit.stages import STAGES

from fuzz.draft import Draft, UnfitError
from fuzz.writing import written


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]


def window(draft: Draft, pixels: tuple[int, ...], *, pooling: bool) -> dict[str, Any]:
    """Return attributes of a window that fits a map."""
    kernel = [draft.number(1, min(4, size)) for size in pixels]
    attributes: dict[str, Any] = {"kernel_shape": kernel}
    if draft.chance(0.4):
        attributes["strides"] = [draft.number(1, 3) for _ in pixels]
    if draft.chance(0.2) and (not pooling or draft.opset >= 19):
        attributes["dilations"] = [draft.number(1, 2) for _ in pixels]
    way = draft.number(0, 3)
    if way == 0:
        attributes["auto_pad"] = draft.choose(("SAME_UPPER", "SAME_LOWER", "VALID"))
    elif way < 3:
        limits = [size - 1 if pooling else size for size in kernel]
        attributes["pads"] = [draft.number(0, limit) for limit in (*limits, *limits)]
    return attributes


def convolution(draft: Draft) -> None:
    """Add a convolution of any kind, of one to three spatial axes."""
    x = draft.map(ranks=(3, 4, 4, 5))
    channels, *pixels = draft.shape(x)[1:]
    group = draft.choose([1, 1, *_divisors(channels)])
    filters = group * draft.number(1, max(1, 6 // group))
    attributes = window(draft, tuple(pixels), pooling=False)
    shape = (filters, channels // group, *attributes["kernel_shape"])
    names = [x, draft.weights(shape, float(np.prod(shape[1:])) ** -0.5)]
    names += [draft.weights((filters,), 0.3)] if draft.chance(0.6) else []
    if draft.chance(0.3):
        attributes.pop("kernel_shape")
    draft.add("Conv", names, group=group, **attributes)


def transposed_convolution(draft: Draft) -> None:
    """Add a ConvTranspose."""
    x = draft.map(ranks=(3, 4))
    channels, *pixels = draft.shape(x)[1:]
    group = draft.choose([1, 1, *_divisors(channels)])
    each, kernel = draft.number(1, 3), [draft.number(1, 3) for _ in pixels]
    strides = [draft.number(1, 3) for _ in pixels]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides}
    if draft.chance(0.4):
        attributes["output_padding"] = [draft.number(0, stride - 1) for stride in strides]
    if draft.chance(0.5):
        attributes["pads"] = [draft.number(0, size - 1) for size in (*kernel, *kernel)]
    names = [x, draft.weights((channels, each, *kernel), 0.4)]
    names += [draft.weights((group * each,), 0.3)] if draft.chance(0.5) else []
    draft.add("ConvTranspose", names, group=group, **attributes)


def padded_convolution(draft: Draft) -> None:
    """Add a Pad in front of a convolution or pooling."""
    x = draft.map(ranks=(4,))
    channels = draft.shape(x)[1]
    pads = [0, 0, draft.number(0, 2), draft.number(0, 2)] * 2
    [padded] = draft.add("Pad", [x, draft.constant(np.array(pads))])
    if draft.chance(0.5):
        weights = draft.weights((draft.number(1, 4), channels, 3, 3), 0.3)
        draft.add("Conv", [padded, weights], strides=draft.choose([[1, 1], [2, 2]]))
    else:
        op = draft.choose(("AveragePool", "MaxPool"))
        draft.add(op, [padded], kernel_shape=[3, 3], strides=draft.choose([[1, 1], [2, 2]]))


def normalised_convolution(draft: Draft) -> None:
    """Add a convolution, a batch normalisation and an activation."""
    x = draft.map(ranks=(4,))
    channels, filters = draft.shape(x)[1], draft.number(1, 6)
    wide = draft.add("Conv", [x, draft.weights((filters, channels, 3, 3), 0.3)], pads=[1] * 4)
    spread = draft.constant(draft.random.uniform(0.5, 1.5, filters))
    parameters = [draft.weights((filters,), 0.5) for _ in range(3)]
    wide = draft.add("BatchNormalization", [*wide, *parameters, spread])
    draft.add(draft.choose(("Relu", "Sigmoid", "LeakyRelu", "HardSigmoid")), wide)


def pooling(draft: Draft) -> None:
    """Add a spatial pooling."""
    x = draft.map(ranks=(3, 4, 4, 5))
    op = draft.choose(("AveragePool", "LpPool", "MaxPool", "MaxPool"))
    attributes = window(draft, draft.shape(x)[2:], pooling=op != "MaxPool")
    if attributes.get("auto_pad", "").startswith("SAME"):
        attributes.pop("dilations", None)  # ONNX Runtime takes them otherwise than ONNX
    if op == "LpPool":
        attributes["p"] = draft.choose([1, 2, 3])
    elif draft.chance(0.3):
        attributes["ceil_mode"] = 1
    if op == "AveragePool" and draft.chance(0.5):
        attributes["count_include_pad"] = 1
    draft.add(op, [x], **attributes)


def global_pooling(draft: Draft) -> None:
    """Add a pooling of whole maps."""
    ops = ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
    draft.add(draft.choose(ops), [draft.map(ranks=(3, 4, 5))])


def product(draft: Draft) -> None:
    """Add a Gemm or MatMul with weights, or of two maps."""
    x = draft.map(ranks=(2, 3, 4))
    shape = draft.shape(x)
    if len(shape) == 2 and draft.chance(0.6):
        width, turned = draft.number(1, 6), draft.number(0, 1)
        weights = draft.weights((width, shape[1]) if turned else (shape[1], width), 0.4)
        bias = (
            [draft.weights(draft.choose([(width,), (1, width), ()]))] if draft.chance(0.6) else []
        )
        alpha = {"alpha": 0.5} if draft.chance(0.3) else {}
        draft.add("Gemm", [x, weights, *bias], transB=turned, **alpha)
    elif draft.chance(0.5):
        draft.add("MatMul", [x, draft.weights((shape[-1], draft.number(1, 5)), 0.4)])
    else:
        turned_axes = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
        [turned_map] = draft.add("Transpose", [x], perm=turned_axes)
        draft.add("MatMul", [x, turned_map])


def classifier(draft: Draft) -> None:
    """Add what ends a network: global pooling, Flatten, Gemm."""
    x = draft.map(ranks=(4,))
    [means] = draft.add("GlobalAveragePool", [x])
    [flat] = draft.add("Flatten", [means])
    draft.add("Gemm", [flat, draft.weights((5, draft.shape(x)[1]), 0.4)], transB=1)


def reduction(draft: Draft) -> None:
    """Add a reduction along some axes."""
    x = draft.map()
    rank = draft.values[x].ndim
    axes = sorted({draft.number(-rank, rank - 1) % rank for _ in range(draft.number(1, 2))})
    ops = ("ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin")
    op = draft.choose((*ops, "ReduceProd", "ReduceSum", "ReduceSumSquare"))
    draft.along(op, x, axes, keepdims=draft.number(0, 1))


def pooled_layer(draft: Draft) -> None:
    """Add a convolution whose maps are pooled across channels, in any spelling."""
    x = draft.map(ranks=(3, 4, 4, 5))
    batch, channels, *pixels = draft.shape(x)
    spelling = draft.choose(n for n in ALL_SPELLINGS if len(pixels) in spatial_ranks(n))
    groups, members = draft.number(1, 4), draft.number(1, 4)
    names = [name for name, each in STAGES.items() if each.opset <= draft.opset]
    kernel = tuple(draft.number(1, min(3, size)) for size in pixels)
    layer = Layer(
        spelling,
        groups,
        members,
        Window(kernel, pads=tuple(draft.number(0, size - 1) for size in kernel * 2)),
        bias=draft.chance(0.6),
        before=tuple(draft.choose(names) for _ in range(draft.number(0, 2))),
        after=tuple(draft.choose(names) for _ in range(draft.number(0, 2))),
        max_pool=Window(tuple(min(2, n) for n in pixels)) if draft.chance(0.3) else None,
    )
    if spelling in PARTS and members == 1 and draft.chance(0.5):
        raise UnfitError
    written(draft, lambda w: w.layer(x, channels, tuple(pixels), layer, batch))


RECIPES = (
    *(convolution, convolution, convolution, transposed_convolution, padded_convolution),
    *(normalised_convolution, normalised_convolution, pooling, pooling, global_pooling),
    *(product, classifier, reduction, reduction, pooled_layer, pooled_layer, pooled_layer),
)
