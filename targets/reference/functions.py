"""Element-wise ONNX operators as numpy functions.

Each writes `out`, which may be one of its inputs: no input is read once `out` has been written.
Temporaries are as large as the input, so callers hand over small blocks (`blocks.py`).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev

from condense_compiler.targets.reference.kernel import Array

Function = Callable[..., object]

# Temporaries of the size of a float32 input that exist at one time; `erf` computes in float64.
_TEMPORARIES = 4
_TEMPORARIES_OF_ERF = 16

# Beyond this, erf(x) is 1 in double precision.
_ERF_LIMIT = 6.0
_ERF_OVER_X = Chebyshev.interpolate(
    np.vectorize(lambda x: math.erf(x) / x), 40, domain=[1e-12, _ERF_LIMIT]
)


def _as_attribute(value: float) -> float:
    """Return a number as attributes hold it: in single precision, also for maps in double."""
    return float(np.float32(value))


def _erf(out: Array, x: Array) -> None:
    magnitude = np.minimum(np.abs(x), _ERF_LIMIT, dtype=np.float64)
    np.multiply(_ERF_OVER_X(magnitude), np.copysign(magnitude, x), out=out, casting="same_kind")


def _sigmoid_of(x: Array) -> Array:
    result: Array = np.negative(x)
    np.exp(result, out=result)
    result += 1
    return np.divide(1, result, out=result)


def _softplus_of(x: Array) -> Array:
    result: Array = np.negative(np.abs(x))
    np.exp(result, out=result)
    np.log1p(result, out=result)
    result += np.maximum(x, 0)
    return result


def _scaled_exp(x: Array, alpha: float, scale: float = 1.0) -> Array:
    """Return alpha * (exp(min(x, 0) * scale) - 1)."""
    result: Array = np.minimum(x, 0)
    result *= scale
    np.expm1(result, out=result)
    result *= alpha
    return result


def _celu(out: Array, x: Array, alpha: float = 1.0) -> None:
    np.add(np.maximum(x, 0), _scaled_exp(x, alpha, 1 / alpha), out=out)


def _clip(out: Array, x: Array, low: Any = None, high: Any = None) -> None:
    low, high = (None if bound is None or np.isnan(bound).any() else bound for bound in (low, high))
    if low is None and high is None:
        np.copyto(out, x)
    else:
        np.clip(x, low, high, out=out)


def _elu(out: Array, x: Array, alpha: float = 1.0) -> None:
    np.add(np.maximum(x, 0), _scaled_exp(x, alpha), out=out)


def _gelu(out: Array, x: Array) -> None:
    gate = np.multiply(x, math.sqrt(0.5))
    _erf(gate, gate)
    gate += 1
    gate *= 0.5
    np.multiply(x, gate, out=out)


def _hard_sigmoid(
    out: Array, x: Array, alpha: float = _as_attribute(0.2), beta: float = 0.5
) -> None:
    np.multiply(x, alpha, out=out)
    np.add(out, beta, out=out)
    np.clip(out, 0, 1, out=out)


def _hard_swish(out: Array, x: Array) -> None:
    gate: Array = np.multiply(x, _as_attribute(1 / 6))
    gate += 0.5
    np.multiply(x, np.clip(gate, 0, 1, out=gate), out=out)


def _leaky_relu(out: Array, x: Array, alpha: float = _as_attribute(0.01)) -> None:
    scaled = np.multiply(x, alpha)
    if 0 <= alpha <= 1:
        np.maximum(x, scaled, out=out)
    else:
        np.copyto(out, np.where(x < 0, scaled, x))


def _mish(out: Array, x: Array) -> None:
    gate = _softplus_of(x)
    np.multiply(x, np.tanh(gate, out=gate), out=out)


def _prelu(out: Array, x: Array, slope: Array) -> None:
    # A slope that is not finite tells on negative values alone.
    result = np.multiply(x, slope)
    np.copyto(result, x, where=x >= 0)
    np.copyto(out, result)


def _selu(
    out: Array,
    x: Array,
    alpha: float = _as_attribute(1.67326319217681884765625),
    gamma: float = _as_attribute(1.05070102214813232421875),
) -> None:
    result = np.add(np.maximum(x, 0), _scaled_exp(x, alpha))
    np.multiply(result, gamma, out=out)


def _softsign(out: Array, x: Array) -> None:
    divisor: Array = np.abs(x)
    divisor += 1
    np.divide(x, divisor, out=out)


def _swish(out: Array, x: Array, alpha: float = 1.0) -> None:
    np.multiply(x, _sigmoid_of(x if alpha == 1 else np.multiply(x, alpha)), out=out)


def _thresholded_relu(out: Array, x: Array, alpha: float = 1.0) -> None:
    np.copyto(out, np.where(x > alpha, x, 0))


def _mean(out: Array, *terms: Array) -> None:
    _fold(np.add)(out, *terms)
    np.multiply(out, 1 / len(terms), out=out)


def _plain(ufunc: np.ufunc) -> Function:
    return lambda out, *arguments: ufunc(*arguments, out=out)


def _fold(ufunc: np.ufunc) -> Function:
    def fold(out: Array, first: Array, *others: Array) -> None:
        if not others:
            np.copyto(out, first)
            return
        total: Array = first
        for other in others[:-1]:
            total = ufunc(total, other)
        ufunc(total, others[-1], out=out)

    return fold


FUNCTIONS: Mapping[str, Function] = {
    "Abs": _plain(np.abs),
    "Add": _plain(np.add),
    "Ceil": _plain(np.ceil),
    "Celu": _celu,
    "Clip": _clip,
    "Div": _plain(np.true_divide),
    "Elu": _elu,
    "Erf": _erf,
    "Exp": _plain(np.exp),
    "Floor": _plain(np.floor),
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "LeakyRelu": _leaky_relu,
    "Log": _plain(np.log),
    "Max": _fold(np.maximum),
    "Mean": _mean,
    "Min": _fold(np.minimum),
    "Mish": _mish,
    "Mul": _plain(np.multiply),
    "Neg": _plain(np.negative),
    "PRelu": _prelu,
    "Pow": _plain(np.power),
    "Reciprocal": _plain(np.reciprocal),
    "Relu": lambda out, x: np.maximum(x, 0, out=out),
    "Round": _plain(np.rint),
    "Selu": _selu,
    "Sigmoid": lambda out, x: np.copyto(out, _sigmoid_of(x)),
    "Sign": _plain(np.sign),
    "Softplus": lambda out, x: np.copyto(out, _softplus_of(x)),
    "Softsign": _softsign,
    "Sqrt": _plain(np.sqrt),
    "Sub": _plain(np.subtract),
    "Sum": _fold(np.add),
    "Swish": _swish,
    "Tanh": _plain(np.tanh),
    "ThresholdedRelu": _thresholded_relu,
}


def temporaries(op: str) -> int:
    """Return how many arrays of the size of its input an operator holds at one time, at most."""
    return _TEMPORARIES_OF_ERF if op in ("Erf", "Gelu") else _TEMPORARIES
