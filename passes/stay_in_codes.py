"""Lets operators between two quantisations read and write codes, so that no values are stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import remove_nodes, sole_reader
from condense_compiler.operators.elementwise import ATTRIBUTES
from condense_compiler.operators.fused import DOMAIN
from condense_compiler.operators.on_codes import (
    BY_PARTS,
    COMMUTATIVE,
    ELEMENT_WISE,
    INPUTS_OF_OPERAND,
    ON_CODES_OP,
    OPERATORS,
    PRODUCTS,
    UNARY,
    is_saving,
)
from condense_compiler.operators.pointwise import Clip
from condense_compiler.operators.quantising import DEFAULT_AXIS, constant_values
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
    """Make QLinearConv of convolutions between codes, where runtimes have it, else OnCodes.

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
            result, op = _quantised(graph, node) if rule is not None else None, node.op
            if rule is None or result is None or not rule(node, result):
                continue
            remove_nodes(graph, result.nodes)
            node.outputs = [result.codes]
            names = " → ".join(each.op for each in result.nodes)
            rewrites.append(Rewrite(node.name, f"{op} → {names}"))
        rewrites += [
            Rewrite(node.name, "DequantizeLinear → QuantizeLinear")
            for node in list(graph.nodes)
            if node.op == "QuantizeLinear" and _requantise(node)
        ]
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
        _convolve_by_function(node, layer, result.grid)
        return True
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


def _convolve_by_function(node: gs.Node, layer: Convolution, grid: Quantisation) -> None:
    """Make OnCodes of a convolution of types that runtimes have no QLinearConv of."""
    arrays = {"filters": layer.filters, "filter_scales": layer.scales, "filter_zeros": layer.zeros}
    if layer.bias is not None:
        units = np.float32(layer.input.scale) * layer.scales
        arrays |= {
            "bias": layer.bias,
            "bias_scales": units,
            "bias_zeros": np.zeros_like(layer.bias),
        }
    known = [gs.Constant(f"{node.name}/{name}", np.array(v)) for name, v in arrays.items()]
    data = [layer.data, *_constants(f"{node.name}/0", layer.input)]
    node.inputs = [*data, *known, *_constants(f"{node.name}/result", grid)]
    operands = 1 + len(known) // INPUTS_OF_OPERAND
    node.attrs |= {"op": node.op, "operands": operands, "operand_axes": [1, 0, 0][:operands]}
    node.op, node.domain = ON_CODES_OP, DOMAIN


def _is_known_to_runtimes(layer: Convolution, result: Quantisation) -> bool:
    """Tell whether ONNX Runtime has a QLinearConv of these types."""
    without_sign = layer.input.dtype == np.uint8
    types_fit = without_sign or layer.filters.dtype == np.int8
    return layer.input.dtype == result.dtype and types_fit and len(set(layer.zeros.tolist())) == 1


def _stand_for(node: gs.Node, result: _Result) -> bool:
    """Make one operator of a node and the quantisation around it."""
    if node.op in BY_PARTS and not is_saving(node):
        return False
    operands: list[list[gs.Tensor]] = []
    plain: list[gs.Tensor] = []
    for index, tensor in enumerate(node.inputs):
        operand = _operand(tensor, f"{node.name}/{index}", node.op in PRODUCTS and not plain)
        if operand is not None:
            operands.append(operand)
            if plain and node.op not in COMMUTATIVE:
                return False
            continue
        constant = _constant(tensor, f"{node.name}/{index}/constant")
        if constant is None:
            return False
        plain.append(constant)
    if not operands or not _fits(node, len(operands), plain):
        return False
    node.attrs |= {"op": node.op, "operands": len(operands)}
    axes = [_axis(tensor) for tensor in node.inputs[: len(operands)]]
    if any(len(scale.shape) for _, scale, _ in operands):
        node.attrs["operand_axes"] = axes
    inputs = [tensor for operand in operands for tensor in operand]
    node.inputs = [*inputs, *plain, *_constants(f"{node.name}/result", result.grid)]
    node.op, node.domain = ON_CODES_OP, DOMAIN
    return True


def _fits(node: gs.Node, operands: int, plain: list[gs.Tensor]) -> bool:
    """Tell whether an operator reads so many maps, and such constants behind them."""
    op, given = node.op, [tensor for tensor in plain if not tensor.is_empty()]
    if op in ELEMENT_WISE | PRODUCTS and any(t.dtype != np.float32 for t in given):
        return False
    if op == "BatchNormalization":
        return (operands, len(given)) == (1, 4)
    if op in UNARY and not node.attrs.keys() <= ATTRIBUTES.get(op, frozenset()):
        return False
    return operands == 1 if op in BY_PARTS else not plain or op != "Concat"


def _constant(tensor: gs.Tensor, name: str) -> gs.Tensor | None:
    """Return a constant that a tensor holds, quantised or not; or that it holds none."""
    if tensor.is_empty() or isinstance(tensor, gs.Constant):
        return tensor
    values = constant_values(tensor)
    return gs.Constant(name, values) if values is not None else None


def _operand(tensor: gs.Tensor, name: str, constants: bool) -> list[gs.Tensor] | None:
    """Return the codes whose values a tensor holds, and what they mean.

    Args:
        tensor: An input of an operator.
        name: What the names of new constants begin with.
        constants: Whether constants count, which may have a scale for each index of an axis.
    """
    source = dequantisation(tensor)
    if source is None:
        return None
    if isinstance(source.inputs[0], gs.Constant):
        known = constants and all(isinstance(t, gs.Constant) for t in source.inputs[:3])
        return _constant_operand(source, name) if known else None
    grid = quantisation(source, 1)
    return [source.inputs[0], *_constants(name, grid)] if grid is not None else None


def _constant_operand(source: gs.Node, name: str) -> list[gs.Tensor] | None:
    codes, scale, *zero = source.inputs
    if scale.dtype != np.float32 or source.attrs.get("block_size", 0):
        return None
    if not zero or zero[0].is_empty():
        zero = [gs.Constant(f"{name}/zero", np.zeros(scale.shape, codes.dtype))]
    return [codes, scale, *zero]


def _axis(tensor: gs.Tensor) -> int:
    """Return the axis along which the codes behind a tensor have scales."""
    source = dequantisation(tensor)
    return int(source.attrs.get("axis", DEFAULT_AXIS)) if source is not None else DEFAULT_AXIS


def _requantise(node: gs.Node) -> bool:
    """Make one operator of the way from codes to other codes."""
    source = dequantisation(node.inputs[0])
    if source is None or node.domain or isinstance(source.inputs[0], gs.Constant):
        return False
    before, after = quantisation(source, 1), quantisation(node, 1)
    if before is None or after is None:
        return False
    operand = [source.inputs[0], *_constants(f"{node.name}/0", before)]
    node.inputs = [*operand, *_constants(f"{node.name}/result", after)]
    node.op, node.domain, node.attrs = ON_CODES_OP, DOMAIN, {"op": "Identity", "operands": 1}
    return True


def _constants(name: str, grid: Quantisation) -> list[gs.Constant]:
    """Return scale and zero point."""
    return [
        gs.Constant(f"{name}/scale", np.array(grid.scale, np.float32)),
        gs.Constant(f"{name}/zero", np.array(grid.zero, grid.dtype)),
    ]


_RULES: Mapping[str, Callable[[gs.Node, _Result], bool]] = {
    **dict.fromkeys(OPERATORS - {"Identity"}, _stand_for),
    "Conv": _convolve,
}
