"""Operators that bring values to a common scale. Source: ONNX operator specification."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from condense_compiler.operators.attributes import Array, Spelling
from condense_compiler.operators.definition import (
    Definition,
    Kind,
    Operator,
    Rows,
)

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class BatchNormalization(Operator):
    """A factor and a shift for each channel.

    Attributes:
        epsilon: The small number that is added to the variance.
        parameters: Scale, bias, mean and variance, (channels); None where they are computed.
        trains: It is asked for more than the normalised map, or uses the map's own mean.
    """

    epsilon: float
    parameters: tuple[Array, ...] | None
    trains: bool

    def _rows(self, rows: range) -> Rows | None:
        return None if self.trains else {0: rows}

    def scaling(self) -> tuple[Values, Values] | None:
        """Return the factor and the shift of each channel; None where they are computed."""
        return None if self.parameters is None else scaling(self.parameters, self.epsilon)


def scaling(parameters: Sequence[Array], epsilon: float) -> tuple[Values, Values]:
    """Return the factor and the shift of each channel, from scale, bias, mean and variance."""
    scale, bias, mean, variance = (np.asarray(values, np.float64) for values in parameters)
    factor = scale / np.sqrt(variance + epsilon)
    return factor, bias - mean * factor


@dataclass(frozen=True, slots=True)
class ResponseNormalisation(Operator):
    """LRN: each channel divided by what its neighbours sum up to.

    Attributes:
        size: Channels that are summed up.
        alpha: Factor of the sum.
        beta: Power of the divisor.
        bias: What is added to the sum.
    """

    size: int
    alpha: float
    beta: float
    bias: float

    def _rows(self, rows: range) -> Rows | None:
        return {0: rows}


@dataclass(frozen=True, slots=True)
class AxisNormalisation(Operator):
    """Softmax and its kin, and LpNormalization: along an axis.

    Attributes:
        axis: As it is given; what is left out, and whether later axes belong to it, depends on
            the version of the operator.
        power: Of the norm.
    """

    axis: int | None
    power: int

    def separate_axes(self) -> int:
        """Return the axes before that along which values are related (from opset 13 on)."""
        return (-1 if self.axis is None else self.axis) % len(self.data)


def _batch(given: Spelling) -> Operator:
    parameters = [given.constant(index) for index in range(1, 5)]
    known = tuple(values for values in parameters if values is not None)
    return BatchNormalization(
        *given.tensors(),
        given.number("epsilon", 1e-5),
        known if len(known) == len(parameters) else None,
        trains=bool(given.integer("training_mode", 0)) or len(given.node.outputs) > 1,
    )


def _response(given: Spelling) -> Operator:
    return ResponseNormalisation(
        *given.tensors(),
        size=given.integer("size", 1),
        alpha=given.number("alpha", 1e-4),
        beta=given.number("beta", 0.75),
        bias=given.number("bias", 1.0),
    )


def _along_axis(given: Spelling) -> Operator:
    axis = given.integer("axis", 0) if given.gives("axis") else None
    return AxisNormalisation(*given.tensors(), axis, given.integer("p", 2))


_GROUPS = (
    *("GroupNormalization", "InstanceNormalization", "LayerNormalization"),
    *("MeanVarianceNormalization", "RMSNormalization"),
)
_AROUND_ONE = frozenset(("LogSoftmax", "Softmax"))
DEFINITIONS = (
    Definition("BatchNormalization", Kind.ELEMENT_WISE, _batch),
    Definition("LRN", Kind.OTHER, _response),
    *(
        Definition(op, Kind.OTHER, _along_axis, around_one=op in _AROUND_ONE)
        for op in ("Hardmax", "LogSoftmax", "LpNormalization", "Softmax")
    ),
    *(Definition(op, Kind.OTHER) for op in _GROUPS),
    *(Definition(op, Kind.OTHER, around_one=True) for op in ("GRU", "LSTM", "RNN")),
)
