"""Comparing outputs, and how far they may be apart.

Compiled networks add up in another order, so that last bits differ; how much becomes of a last bit
is the network's own nature. Outputs agree where they differ by less than a fixed tolerance of the
type they are computed in. Where they do not, the network as given is asked: its numbers are moved
by a unit in the last place, and its outputs may differ by a small multiple of what that does to
them, up to a cap, beyond which nothing is excused.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from condense_compiler.network.selection import Model
from condense_compiler.report.report import Verification
from condense_compiler.verification.exactness import Arithmetic, arithmetic_of
from condense_compiler.verification.inputs import Array, Feeds
from condense_compiler.verification.original import Original

# Largest difference, as a share of the largest magnitude, that re-ordered arithmetic may cause.
TOLERANCES: Mapping[str, float] = {
    "bfloat16": 2e-2,
    "float16": 5e-3,
    "float32": 1e-4,
    "float64": 1e-9,
}
# The most that is tolerated where the network as given is that sensitive.
CAPS: Mapping[str, float] = {
    "bfloat16": 2e-1,
    "float16": 1e-1,
    "float32": 5e-2,
    "float64": 1e-4,
}
# Absolute differences of values that are differences of numbers around one, or noise.
FLOORS: Mapping[str, float] = {
    "bfloat16": 8e-3,
    "float16": 1e-3,
    "float32": 5e-7,
    "float64": 4e-15,
}
_TIMES_MOVED = 4  # a sum is rounded as often as it has terms

# A sum halfway between two quantised values may be rounded to either: two steps are tolerated.
QUANTISED_TOLERANCE = 1e-2
QUANTISED_CAP = 2.5e-1
_STEPS = 2
_TIMES_MOVED_QUANTISED = 2
# Far less than a step of 8 bits, and yet enough to turn what lies between two.
_QUANTISED_UNIT = 2.0**-16

_UNDECIDED_SHARE = 1e-2  # of integers that next to nothing turns into others


def verify(
    run: Callable[[Feeds], Mapping[str, npt.NDArray[Any]]], source: Model, feeds: Feeds
) -> Verification:
    """Compare every output of a compiled network with the model as given.

    Args:
        run: Runs the compiled network.
        source: The model as given.
        feeds: Inputs, by name.

    Returns:
        How the output compares that is closest to its tolerance, or farthest beyond.

    Raises:
        InputError: ONNX Runtime cannot run the model as given.
    """
    return compare_outputs(run(feeds), Original(source), feeds)


def compare_outputs(actual: Mapping[str, Array], original: Original, feeds: Feeds) -> Verification:
    """Compare outputs with those of the model as given, as `verify` does."""
    return Judge(original, feeds).judge(actual)


class Judge:
    """Compares any number of runs with the model as given, which it asks no more than needed.

    Args:
        original: The model as given.
        feeds: Inputs, by name.
    """

    def __init__(self, original: Original, feeds: Feeds) -> None:
        self._original, self._feeds = original, feeds
        self._expected = original.run(feeds)
        self._arithmetic: dict[str, Arithmetic] | None = None
        self._moved: dict[float, list[dict[str, Array]]] = {}

    def judge(self, actual: Mapping[str, Array]) -> Verification:
        """Return how the output compares that is closest to its tolerance, or beyond."""
        results = [self._compare(name, actual.get(name)) for name in self._expected]
        return max(results, key=lambda result: result.relative_difference - result.tolerance)

    def _compare(self, name: str, actual: Array | None) -> Verification:
        expected = self._expected[name]
        plain = TOLERANCES.get(str(expected.dtype), 0.0)
        if actual is None or not _is_alike(actual, expected):
            return Verification(np.inf, np.inf, plain, output=name)
        largest, magnitude = difference(actual, expected)
        first = Verification(largest, largest / magnitude, plain, output=name)
        if first.passed or np.isinf(largest):
            return first
        if self._arithmetic is None:
            self._arithmetic = arithmetic_of(self._original.network(self._feeds))
        how = self._arithmetic[name]
        fixed = max(plain, _fixed_tolerance(how, expected.dtype, magnitude))
        second = Verification(largest, largest / magnitude, fixed, output=name)
        if second.passed:
            return second
        others = [outputs[name] for outputs in self._outputs_moved(how)]
        if not _is_floating(expected) and how.step is None:
            return _compare_integers(name, actual, expected, others)
        moved = max(difference(other, expected)[0] for other in others) / magnitude
        times = _TIMES_MOVED_QUANTISED if how.quantised else _TIMES_MOVED
        cap = QUANTISED_CAP if how.quantised else CAPS[how.coarsest]
        allowed = max(fixed, min(times * moved, cap))
        if moved > cap:  # nothing but noise
            allowed = max(allowed, FLOORS[how.coarsest] / magnitude)
        return Verification(largest, largest / magnitude, allowed, moved=moved, output=name)

    def _outputs_moved(self, how: Arithmetic) -> list[dict[str, Array]]:
        unit = max(how.epsilon, _QUANTISED_UNIT) if how.quantised else how.epsilon
        if unit not in self._moved:
            self._moved[unit] = list(self._original.run_moved(self._feeds, unit))
        return self._moved[unit]


def difference(actual: Array, expected: Array) -> tuple[float, float]:
    """Return the largest absolute difference, and the largest magnitude that is expected.

    The magnitude is that of finite numbers, and one where all are zero. The difference is infinite
    where the arrays differ in shape or type, or where NaN or infinity stand.
    """
    if not _is_alike(actual, expected):
        return np.inf, 1.0
    one, other = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(one - other))
    apart = np.where(np.isnan(apart), np.inf, apart)
    finite = np.abs(other[np.isfinite(other)])
    return float(np.max(apart, initial=0.0)), float(np.max(finite, initial=0.0)) or 1.0


def _fixed_tolerance(how: Arithmetic, dtype: np.dtype[Any], magnitude: float) -> float:
    """Return what is tolerated without asking the network, as a share of the magnitude."""
    if not np.issubdtype(dtype, np.floating) and how.step is None:
        return 0.0
    tolerated = TOLERANCES[how.coarsest]
    if how.quantised:
        tolerated = max(tolerated, QUANTISED_TOLERANCE)
    if how.step is not None:
        step = how.step * (1 + TOLERANCES[how.coarsest]) / magnitude
        tolerated = max(tolerated, step, min(_STEPS * step, QUANTISED_CAP))
    if how.around_one:
        tolerated = max(tolerated, FLOORS[how.coarsest] / magnitude)
    return tolerated


def _compare_integers(
    name: str, actual: Array, expected: Array, others: Iterable[Array]
) -> Verification:
    """Compare integers such as indices, those left out that next to nothing turns into others."""
    undecided = np.zeros(expected.shape, np.bool_)
    for other in others:
        undecided |= other != expected
    if undecided.sum() > max(1, _UNDECIDED_SHARE * expected.size):
        undecided[...] = False
    largest, magnitude = difference(np.where(undecided, expected, actual), expected)
    return Verification(
        largest, largest / magnitude, 0.0, moved=float(undecided.mean()), output=name
    )


def _is_alike(actual: Array, expected: Array) -> bool:
    return actual.shape == expected.shape and actual.dtype == expected.dtype


def _is_floating(values: Array) -> bool:
    return bool(np.issubdtype(values.dtype, np.floating))
