"""Walks a network in order and gives each tensor a view where it can."""

from collections.abc import Mapping

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.operators.convolution import FILTERS_INPUT, Convolution
from condense_compiler.operators.registry import parse_as
from condense_compiler.passes.tracing import (
    elementwise_rules,
    layout_rules,
    quantisation_rules,
    reduction_rules,
)
from condense_compiler.passes.tracing.rules import Context, Rule
from condense_compiler.passes.tracing.views import (
    CHANNELS_PER_CONVOLUTION,
    Axis,
    ChannelArray,
    Geometry,
    View,
)

RULES: Mapping[str, Rule] = {
    **layout_rules.RULES,
    **elementwise_rules.RULES,
    **reduction_rules.RULES,
    **quantisation_rules.RULES,
}


def trace(network: Network) -> dict[str, View]:
    """Return the views of all tensors that hold channels of a convolution, by tensor name."""
    views: dict[str, View] = {}
    for number, node in enumerate(network.graph.nodes):
        if node.domain not in (None, "", "ai.onnx"):
            continue
        if node.op in FILTERS_INPUT:
            view = _convolution(node, number)
            if view is not None:
                views[node.outputs[0].name] = view
            continue
        rule = RULES.get(node.op)
        if rule is None or not any(tensor.name in views for tensor in node.inputs):
            continue
        context = Context(node, views, network.opset)
        for tensor, view in zip(node.outputs, rule(context), strict=False):
            if view is not None and view.shape == tuple(tensor.shape):
                views[tensor.name] = view
    return views


def _convolution(node: gs.Node, number: int) -> View | None:
    wide = _wide(node, number)
    return quantisation_rules.quantised(wide, node) if node.op == "QLinearConv" else wide


def _wide(node: gs.Node, number: int) -> View:
    data, *parameters = node.inputs
    shape, operator = tuple(node.outputs[0].shape), parse_as(Convolution, node)
    geometry = Geometry(
        data=data.name,
        window=operator.window,
        group=operator.group,
        shape=(shape[0], *shape[2:]),
        weights_are_constant=all(map(_is_constant, parameters)),
    )
    kinds = ("pixel", "channel", *("pixel",) * (len(shape) - 2))
    dims = tuple(
        (Axis(kind, size, axis if kind == "pixel" else 0),) if size > 1 else ()  # type: ignore[arg-type]
        for axis, (kind, size) in enumerate(zip(kinds, shape, strict=True))
    )
    keys: ChannelArray = number * CHANNELS_PER_CONVOLUTION + np.arange(shape[1], dtype=np.int64)
    channels = keys.reshape([-1, 1] if shape[1] > 1 else [1])
    return View(geometry, dims, channels, shape[2:], frozenset({node.name}))


def _is_constant(tensor: gs.Tensor) -> bool:
    """Tell whether a tensor is constant, absent, or dequantised from constants."""
    if isinstance(tensor, gs.Constant) or tensor.is_empty():
        return True
    if len(tensor.inputs) != 1 or tensor.inputs[0].op != "DequantizeLinear":
        return False
    return all(isinstance(parameter, gs.Constant) for parameter in tensor.inputs[0].inputs)
