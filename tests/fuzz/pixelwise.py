"""Recipes for operators whose results have the shape of what they read."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from kit.stages import STAGES

from fuzz.draft import Draft, UnfitError
from fuzz.writing import written

Attributes = Callable[[Draft], dict[str, Any]]


def _none(_draft: Draft) -> dict[str, Any]:
    return {}


def _some(**ranges: tuple[float, float]) -> Attributes:
    """Return a function that draws attributes, or leaves them at their defaults."""

    def draw(draft: Draft) -> dict[str, Any]:
        return {
            name: float(np.float32(draft.random.uniform(*limits)))
            for name, limits in ranges.items()
            if draft.chance(0.7)
        }

    return draw


# Operator -> its attributes, and the first opset that has it.
UNARY: Mapping[str, tuple[Attributes, int]] = {
    "Abs": (_none, 11),
    "Ceil": (_none, 11),
    "Celu": (_some(alpha=(0.5, 2)), 12),
    "Cos": (_none, 11),
    "Elu": (_some(alpha=(0.3, 2)), 11),
    "Erf": (_none, 11),
    "Exp": (_none, 11),
    "Floor": (_none, 11),
    "Gelu": (lambda d: {"approximate": d.choose(["none", "tanh"])}, 20),
    "HardSigmoid": (_some(alpha=(0.1, 0.4), beta=(0.2, 0.7)), 11),
    "HardSwish": (_none, 14),
    "Identity": (_none, 11),
    "LeakyRelu": (_some(alpha=(-0.5, 0.5)), 11),
    "Log": (_none, 11),
    "Mish": (_none, 18),
    "Neg": (_none, 11),
    "Reciprocal": (_none, 11),
    "Relu": (_none, 11),
    "Round": (_none, 11),
    "Selu": (_some(alpha=(1, 2), gamma=(0.5, 1.5)), 11),
    "Sigmoid": (_none, 11),
    "Sign": (_none, 11),
    "Sin": (_none, 11),
    "Softplus": (_none, 11),
    "Softsign": (_none, 11),
    "Sqrt": (_none, 11),
    "Swish": (_some(alpha=(0.5, 1.5)), 24),
    "Tanh": (_none, 11),
    "ThresholdedRelu": (_some(alpha=(0.1, 0.9)), 11),
}
ARITHMETIC = ("Add", "Add", "Add", "Div", "Max", "Min", "Mul", "Mul", "Sub")
NORMALISATIONS = (
    *("GroupNormalization", "InstanceNormalization", "LRN", "LayerNormalization"),
    *("LpNormalization", "MeanVarianceNormalization"),
)
NEW_NORMALISATIONS = ("RMSNormalization",)  # from opset 23 on
OF_SEVERAL = ("Max", "Mean", "Min", "Sum")


def unary(draft: Draft) -> None:
    """Add an operator of one map."""
    known = [op for op, (_, first) in UNARY.items() if first <= draft.opset]
    newest = [op for op in known if UNARY[op][1] == draft.opset]  # which few networks can have
    op = draft.choose(newest if newest and draft.chance(0.3) else known)
    x = draft.map()
    if op in ("Log", "Sqrt"):  # of what is not negative
        [x] = draft.add("Abs", [x])
    draft.add(op, [x], **UNARY[op][0](draft))


def stage(draft: Draft) -> None:
    """Add an activation in one of the spellings of the kit."""
    x = draft.map(ranks=(3, 4, 5))
    name = draft.choose(name for name, each in STAGES.items() if each.opset <= draft.opset)
    channels, rank = draft.shape(x)[1], draft.values[x].ndim - 2
    written(draft, lambda writer: STAGES[name].write(writer, x, channels, rank))


def with_constant(draft: Draft) -> None:
    """Combine a map with one number, one for each channel, or any that broadcast."""
    x = draft.map()
    shape = draft.shape(x)
    options: list[tuple[int, ...]] = [(), (1,), shape[-1:], shape]
    if len(shape) > 1:
        options += [(1, shape[1], *[1] * (len(shape) - 2)), (shape[1], *[1] * (len(shape) - 2))]
    constant = draft.weights(draft.choose(options))
    op = draft.choose(ARITHMETIC)
    draft.add(op, draft.choose([[x, constant], [constant, x]]))


def neutral(draft: Draft) -> None:
    """Add what changes nothing: a sum with zero, a product with one, a Dropout, a Cast."""
    x = draft.map()
    op, value = draft.choose([("Add", 0.0), ("Sub", 0.0), ("Mul", 1.0), ("Div", 1.0)])
    if draft.chance(0.5):
        draft.add(op, [x, draft.constant(np.array(value))])
    elif draft.chance(0.5):
        draft.add("Dropout", [x])
    else:
        draft.add("Cast", [x], to=int(np_type(draft)))


def np_type(draft: Draft) -> int:
    """Return ONNX's number of the type of the feature maps."""
    return {"float16": 10, "float32": 1, "float64": 11}[draft.dtype.name]


def binary(draft: Draft) -> None:
    """Combine two maps of one shape, the same one perhaps."""
    x = draft.map()
    other = draft.map(shape=draft.shape(x))
    draft.add(draft.choose(ARITHMETIC), [x, other])


def several(draft: Draft) -> None:
    """Combine one, two or more maps of a shape."""
    x = draft.map()
    others = [draft.map(shape=draft.shape(x)) for _ in range(draft.number(0, 3))]
    draft.add(draft.choose(OF_SEVERAL), [x, *others])


def residual(draft: Draft) -> None:
    """Add a convolution of a map to the map."""
    x = draft.map(ranks=(4,))
    channels = draft.shape(x)[1]
    weights = draft.weights((channels, channels, 3, 3), (channels * 9) ** -0.5)
    [other] = draft.add("Conv", [x, weights], pads=[1] * 4)
    draft.add(draft.choose(("Add", "Sub", "Max", "Mul")), draft.choose([[x, other], [other, x]]))


def gate(draft: Draft) -> None:
    """Multiply a map by one value for each channel or pixel."""
    x = draft.map(ranks=(4,))
    if draft.chance(0.6):
        [means] = draft.add("GlobalAveragePool", [x])
    else:
        means = draft.along("ReduceMean", x, [1], keepdims=1)
    [factor] = draft.add(draft.choose(("Sigmoid", "HardSigmoid", "Tanh")), [means])
    draft.add("Mul", draft.choose([[x, factor], [factor, x]]))


def clip(draft: Draft) -> None:
    """Limit a map from below, above, or both."""
    low, high = draft.choose([(-0.5, 0.7), (0.0, 6.0), (None, 0.5), (-0.2, None)])
    bounds = ["" if b is None else draft.constant(np.array(b)) for b in (low, high)]
    draft.add("Clip", [draft.map(), *bounds])


def power(draft: Draft) -> None:
    """Raise to a constant power."""
    exponent = draft.choose([0.5, 1.0, 2.0, 3.0])
    [x] = draft.add("Abs", [draft.map()]) if exponent == 0.5 else [draft.map()]
    draft.add("Pow", [x, draft.constant(np.array(exponent))])


def prelu(draft: Draft) -> None:
    """Add a PRelu, one slope or one for each channel."""
    x = draft.map(ranks=(3, 4))
    shape = draft.shape(x)
    slopes = draft.choose([(1,), (shape[1], *[1] * (len(shape) - 2))])
    draft.add("PRelu", [x, draft.weights(slopes, 0.3)])


def where(draft: Draft) -> None:
    """Choose between two maps."""
    x = draft.map()
    other = draft.map(shape=draft.shape(x))
    op = draft.choose(("Greater", "Less"))
    [condition] = draft.add(op, [x, draft.constant(np.array(0.25))])
    draft.add("Where", [condition, x, other])


def batch_norm(draft: Draft) -> None:
    """Add a batch normalisation."""
    x = draft.map(ranks=(2, 3, 4))
    channels = draft.shape(x)[1]
    spread = draft.constant(draft.random.uniform(0.5, 1.5, channels))
    parameters = [draft.weights((channels,), 0.5) for _ in range(3)]
    draft.add("BatchNormalization", [x, *parameters, spread])


def normalisation(draft: Draft) -> None:
    """Add a normalisation by statistics of the map itself."""
    x = draft.map(ranks=(3, 4))
    shape = draft.shape(x)
    op = draft.choose((*NORMALISATIONS, *(NEW_NORMALISATIONS if draft.opset >= 23 else ())))
    if op == "RMSNormalization":
        draft.add(op, [x, draft.weights(shape[-1:])], axis=-1)
    elif op == "LRN":
        draft.add(op, [draft.map(ranks=(4,))], size=draft.choose([1, 3, 5]), alpha=0.01)
    elif op == "LpNormalization":
        draft.add(op, [x], axis=draft.choose([1, -1]), p=draft.choose([1, 2]))
    elif op == "MeanVarianceNormalization":
        draft.add(op, [draft.map(ranks=(4,))])
    elif op == "LayerNormalization":
        parameters = [draft.weights(shape[-1:]) for _ in range(draft.number(1, 2))]
        draft.add(op, [x, *parameters], axis=-1)
    elif op == "InstanceNormalization":
        draft.add(op, [x, *(draft.weights((shape[1],)) for _ in range(2))])
    else:
        groups = draft.choose(n for n in range(1, shape[1] + 1) if shape[1] % n == 0)
        size = groups if draft.opset < 21 else shape[1]
        draft.add(op, [x, *(draft.weights((size,)) for _ in range(2))], num_groups=groups)


def softmax(draft: Draft) -> None:
    """Add a Softmax or its logarithm along any axis."""
    x = draft.map()
    axis = draft.number(-draft.values[x].ndim, draft.values[x].ndim - 1)
    draft.add(draft.choose(("Softmax", "LogSoftmax")), [x], axis=axis)


def other_type(draft: Draft) -> None:
    """Compute something in another type."""
    if draft.dtype != np.float32:
        raise UnfitError
    [half] = draft.add("Cast", [draft.map()], to=draft.choose([10, 11]))
    [half] = draft.add(draft.choose(("Relu", "Identity", "Neg")), [half])
    draft.add("Cast", [half], to=1)


RECIPES = (
    *(unary, unary, unary, stage, stage, with_constant, with_constant, neutral, binary, binary),
    *(several, residual, residual, gate, clip, power, prelu, where, batch_norm, batch_norm),
    *(normalisation, normalisation, softmax, other_type),
)
