"""Lets operators between two quantisations read and write codes, so that no values are stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import remove_nodes, sole_reader
from condense_compiler.operators.fused import DOMAIN
from condense_compiler.operators.on_codes import (
    COMMUTATIVE,
    ELEMENT_WISE,
    INPUTS_OF_OPERAND,
    ON_CODES_OP,
    POOLING,
)
from condense_compiler.operators.pointwise import Clip
from condense_compiler.operators.quantising import constant_values
from condense_compiler.operators.registry import parse_as
from condense_compiler.passes.tracing.codes import Quantisation
from condense_compiler.passes.tracing.quantisation_rules import dequantisation, quantisation
from condense_compiler.passes.tracing.quantised import (
    FIRST_OPSET,
    Convolution,
    NotFusableError,
    convolution_of_codes,
)
from condense_compiler.passes.tracing.quantised_building import remove_unread_dequantisations
from condense_compiler.rewriting.contract import PassOutcome, Rewrite


@dataclass(frozen=True, slots=True)
class _Result:
    """How the result of an operator is quantised.

    Attributes:
        grid: Scale and zero.
        codes: The codes.
        nodes: What makes codes of the result.
    """

    grid: Quantisation
    codes: gs.Tensor
    nodes: tuple[gs.Node, ...]


@dataclass(frozen=True)
class StayInCodes:
    """Make QLinearConv of convolutions between codes, and OnCodes of other operators.

    An activation between the convolution and its quantisation goes where the codes cannot mean
    anything that it would change.
    """

    name: ClassVar[str] = "stay_in_codes"

    def apply(self, network: Network) -> PassOutcome:
        """Rewrite every operator whose operands are codes and whose result becomes codes."""
        graph, rewrites = network.graph, list[Rewrite]()
        if network.opset < FIRST_OPSET:
            return PassOutcome()
        for node in list(graph.nodes):
            rule = _RULES.get(node.op) if not node.domain else None
            result = _quantised(graph, node) if rule is not None else None
            if rule is None or result is None or not rule(node, result):
                continue
            remove_nodes(graph, result.nodes)
            node.outputs = [result.codes]
            names = " → ".join(each.op for each in result.nodes)
            rewrites.append(Rewrite(node.name, f"{node.op} → {names}"))
        remove_unread_dequantisations(graph)
        return PassOutcome(tuple(rewrites))


def _quantised(graph: gs.Graph, node: gs.Node) -> _Result | None:
    """Return how the result of a node is quantised, behind activations that change no code."""
    reader = sole_reader(graph, node.outputs[0]) if len(node.outputs) == 1 else None
    activation = reader if reader is not None and reader.op in ("Clip", "Relu") else None
    if activation is not None and activation.inputs[0] is node.outputs[0]:
        reader = sole_reader(graph, activation.outputs[0])
    if reader is None or reader.op != "QuantizeLinear" or reader.domain:
        return None
    grid = quantisation(reader, 1)
    if grid is None or (activation is not None and not _changes_nothing(activation, grid)):
        return None
    nodes = (reader,) if activation is None else (activation, reader)
    return _Result(grid, reader.outputs[0], nodes)


def _changes_nothing(activation: gs.Node, grid: Quantisation) -> bool:
    """Tell whether an activation leaves all values of codes as they are, but for rounding."""
    limits = np.iinfo(grid.dtype)
    if activation.op == "Relu":
        return bool(grid.zero == limits.min)
    lower, upper = parse_as(Clip, activation).limits
    if lower is None or upper is None:
        return False  # they may be anything
    least, largest = (np.rint(bound / grid.scale) + grid.zero for bound in (lower, upper))
    return bool(least <= limits.min and largest >= limits.max)


def _convolve(node: gs.Node, result: _Result) -> bool:
    """Make QLinearConv of a convolution."""
    try:
        layer = convolution_of_codes(node)
    except NotFusableError:
        return False
    if not _is_known_to_runtimes(layer, result.grid):
        return False
    node.op = "QLinearConv"
    constants = {
        "x_scale": np.float32(layer.input.scale),
        "x_zero": layer.input.dtype.type(layer.input.zero),
        "filters": layer.filters,
        "filter_scales": layer.scales,
        "filter_zero": layer.zeros[0],
        "y_scale": np.float32(result.grid.scale),
        "y_zero": result.grid.dtype.type(result.grid.zero),
    }
    if layer.bias is not None:
        constants["bias"] = layer.bias
    named = [gs.Constant(f"{node.name}/{name}", np.asarray(v)) for name, v in constants.items()]
    node.inputs = [layer.data, *named]
    return True


def _is_known_to_runtimes(layer: Convolution, result: Quantisation) -> bool:
    """Tell whether ONNX Runtime has a QLinearConv of these types."""
    without_sign = layer.input.dtype == np.uint8
    types_fit = without_sign or layer.filters.dtype == np.int8
    return layer.input.dtype == result.dtype and types_fit and len(set(layer.zeros.tolist())) == 1


def _stand_for(node: gs.Node, result: _Result) -> bool:
    """Make one operator of a node and the quantisation around it."""
    operands: list[gs.Tensor] = []
    plain: list[gs.Tensor] = []
    for tensor in node.inputs:
        constant = _constant(tensor, f"{node.name}/constant{len(plain)}")
        if constant is not None:
            plain.append(constant)
            continue
        operand = _operand(tensor, f"{node.name}/{len(operands)}")
        if operand is None or (plain and node.op not in COMMUTATIVE):
            return False
        operands += operand
    if not operands or not _fits(node.op, len(operands) // INPUTS_OF_OPERAND, len(plain)):
        return False
    node.inputs = [*operands, *plain, *_constants(f"{node.name}/result", result.grid)]
    node.attrs |= {"op": node.op, "operands": len(operands) // INPUTS_OF_OPERAND}
    node.op, node.domain = ON_CODES_OP, DOMAIN
    return True


def _fits(op: str, operands: int, constants: int) -> bool:
    """Tell whether an operator reads so many maps, and so many constants behind them."""
    if op == "BatchNormalization":
        return (operands, constants) == (1, 4)
    return not constants or op != "Concat"


def _constant(tensor: gs.Tensor, name: str) -> gs.Constant | None:
    """Return a constant in float32 that a tensor holds, quantised or not."""
    values = constant_values(tensor)
    if values is None or values.dtype != np.float32:
        return None
    return tensor if isinstance(tensor, gs.Constant) else gs.Constant(name, values)


def _operand(tensor: gs.Tensor, name: str) -> list[gs.Tensor] | None:
    """Return the codes whose values a tensor holds, and what they mean."""
    source = dequantisation(tensor)
    grid = quantisation(source, 1) if source is not None else None
    if source is None or grid is None:
        return None
    return [source.inputs[0], *_constants(name, grid)]


def _requantise(node: gs.Node, result: _Result) -> bool:
    """Make one operator of the way from codes to other codes."""
    grid = quantisation(node, 1)
    if grid is None or len(result.nodes) > 1 or isinstance(node.inputs[0], gs.Constant):
        return False
    operand = [node.inputs[0], *_constants(f"{node.name}/0", grid)]
    node.inputs = [*operand, *_constants(f"{node.name}/result", result.grid)]
    node.op, node.domain, node.attrs = ON_CODES_OP, DOMAIN, {"op": "Identity", "operands": 1}
    return True


def _constants(name: str, grid: Quantisation) -> list[gs.Constant]:
    """Return scale and zero point."""
    return [
        gs.Constant(f"{name}/scale", np.array(grid.scale, np.float32)),
        gs.Constant(f"{name}/zero", np.array(grid.zero, grid.dtype)),
    ]


_RULES: Mapping[str, Callable[[gs.Node, _Result], bool]] = {
    **dict.fromkeys((*ELEMENT_WISE, *POOLING, "Concat"), _stand_for),
    "Conv": _convolve,
    "DequantizeLinear": _requantise,
}
