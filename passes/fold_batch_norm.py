"""Folds batch normalisation, and other scaling of channels, into the filters before it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import bypass, sole_reader
from condense_compiler.operators.attributes import constant_input
from condense_compiler.operators.normalisation import BatchNormalization
from condense_compiler.operators.registry import parse_as
from condense_compiler.rewriting.contract import PassOutcome, Rewrite

Values = npt.NDArray[np.float64]

_ARITHMETIC = ("Add", "Div", "Mul", "Sub")


@dataclass(frozen=True, slots=True)
class _Scaling:
    """`x * scale + shift`, one value for each channel."""

    scale: Values
    shift: Values


@dataclass(frozen=True)
class FoldBatchNorm:
    """Fold BatchNormalization, Mul, Add, Sub and Div by constants into what computes their input.

    That is a convolution, or another batch normalisation. Behind anything else they stay, and in
    front of a rounding: folded, another value may be rounded.
    """

    name: ClassVar[str] = "fold_batch_norm"

    def apply(self, network: Network) -> PassOutcome:
        """Fold until a result of a convolution or normalisation is read by something else."""
        rewrites: list[Rewrite] = []
        for node in list(network.graph.nodes):
            if node.outputs and node.op in _INTO and not node.domain:
                rewrites += _fold_readers(network.graph, node)
        return PassOutcome(tuple(rewrites))


def _fold_readers(graph: gs.Graph, node: gs.Node) -> Iterable[Rewrite]:
    if _is_rounded(graph, node.outputs[0]):
        return
    while (reader := sole_reader(graph, node.outputs[0])) is not None:
        scaling = _scaling_of(reader, node.outputs[0])
        if scaling is None or not _INTO[node.op](node, scaling):
            return
        yield Rewrite(reader.name, f"{node.op} → {reader.op}")
        bypass(graph, reader, node.outputs[0])


def _is_rounded(graph: gs.Graph, data: gs.Tensor) -> bool:
    """Tell whether a tensor, scaled and shifted or not, is rounded next."""
    reader = sole_reader(graph, data)
    while reader is not None and reader.op in _ARITHMETIC and not reader.domain:
        reader = sole_reader(graph, reader.outputs[0])
    return reader is not None and reader.op == "Round"


def _scaling_of(node: gs.Node, data: gs.Tensor) -> _Scaling | None:
    """Return what an operator does to each channel of `data`, if that is all it does."""
    if node.domain or len(data.shape) < 2 or tuple(node.outputs[0].shape) != tuple(data.shape):
        return None
    if node.op == "BatchNormalization":
        scaling = parse_as(BatchNormalization, node).scaling()
        return None if scaling is None else _Scaling(*scaling)
    if node.op not in _ARITHMETIC:
        return None
    position = 0 if node.inputs[0] is data else 1
    values = _for_each_channel(constant_input(node, 1 - position), tuple(data.shape))
    if values is None or (position == 1 and node.op == "Div"):
        return None
    one, zero = np.ones_like(values), np.zeros_like(values)
    if node.op == "Sub":
        return _Scaling(one, -values) if position == 0 else _Scaling(-one, values)
    return {
        "Add": _Scaling(one, values),
        "Div": _Scaling(1.0 / np.where(values == 0, np.nan, values), zero),
        "Mul": _Scaling(values, zero),
    }[node.op]


def _for_each_channel(constant: npt.NDArray[Any] | None, shape: tuple[int, ...]) -> Values | None:
    """Return a constant as one value for each channel; None if it differs between pixels."""
    if constant is None or constant.ndim > len(shape):
        return None
    aligned = constant.reshape((1,) * (len(shape) - constant.ndim) + constant.shape)
    if any(size > 1 for axis, size in enumerate(aligned.shape) if axis != 1):
        return None
    return np.broadcast_to(aligned.reshape(-1).astype(np.float64), shape[1]).copy()


def _into_convolution(node: gs.Node, scaling: _Scaling) -> bool:
    weights, bias = constant_input(node, 1), constant_input(node, 2)
    has_bias = len(node.inputs) > 2 and not node.inputs[2].is_empty()
    if weights is None or (has_bias and bias is None):
        return False
    old_bias = np.zeros(len(weights)) if bias is None else bias.astype(np.float64)
    new_bias = old_bias * scaling.scale + scaling.shift
    return _set_constants(node, {1: _scaled(weights, scaling.scale), 2: new_bias}, weights.dtype)


def _scaled(weights: npt.NDArray[Any], scale: Values) -> npt.NDArray[Any]:
    """Return filters times their scales, rounded once, without a copy in double precision."""
    result = np.empty_like(weights)
    factors = scale.reshape(-1, *(1,) * (weights.ndim - 1))
    with np.errstate(over="ignore", invalid="ignore"):
        np.multiply(weights, factors, out=result, dtype=np.float64, casting="unsafe")
    return result


def _into_normalisation(node: gs.Node, scaling: _Scaling) -> bool:
    gamma, beta = constant_input(node, 1), constant_input(node, 2)
    if gamma is None or beta is None:
        return False
    new_beta = beta * scaling.scale + scaling.shift
    return _set_constants(node, {1: gamma * scaling.scale, 2: new_beta}, gamma.dtype)


def _set_constants(
    node: gs.Node, values: dict[int, npt.NDArray[Any]], dtype: np.dtype[Any]
) -> bool:
    """Give a node constants of its own, since others may read the old ones.

    Returns:
        Whether the values exist in the type; nothing is changed if they do not.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        stored = {index: value.astype(dtype, copy=False) for index, value in values.items()}
    if not all(np.all(np.isfinite(value)) for value in stored.values()):
        return False
    for index, value in stored.items():
        constant = gs.Constant(f"{FoldBatchNorm.name}/{node.name}/{index}", value)
        if index < len(node.inputs):
            node.inputs[index] = constant
        else:
            node.inputs.append(constant)
    return True


_INTO = {"BatchNormalization": _into_normalisation, "Conv": _into_convolution}
