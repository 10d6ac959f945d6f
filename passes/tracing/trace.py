"""Walks a network in order and gives each tensor a view where it can."""

from collections.abc import Mapping

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.operators.attributes import convolution_window
from condense_compiler.passes.tracing import elementwise_rules, layout_rules, reduction_rules
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
}


def trace(network: Network) -> dict[str, View]:
    """Return the views of all tensors that hold channels of a convolution, by tensor name."""
    views: dict[str, View] = {}
    for number, node in enumerate(network.graph.nodes):
        if node.domain not in (None, "", "ai.onnx"):
            continue
        if node.op == "Conv":
            views[node.outputs[0].name] = _convolution(node, number)
            continue
        rule = RULES.get(node.op)
        if rule is None or not any(tensor.name in views for tensor in node.inputs):
            continue
        context = Context(node, views, network.opset)
        for tensor, view in zip(node.outputs, rule(context), strict=False):
            if view is not None and view.shape == tuple(tensor.shape):
                views[tensor.name] = view
    return views


def _convolution(node: gs.Node, number: int) -> View:
    data, *parameters = node.inputs
    shape = tuple(node.outputs[0].shape)
    geometry = Geometry(
        data=data.name,
        window=convolution_window(node),
        group=node.attrs.get("group", 1),
        shape=(shape[0], *shape[2:]),
        weights_are_constant=all(
            isinstance(tensor, gs.Constant) or tensor.is_empty() for tensor in parameters
        ),
    )
    kinds = ("pixel", "channel", *("pixel",) * (len(shape) - 2))
    dims = tuple(
        (Axis(kind, size, axis if kind == "pixel" else 0),) if size > 1 else ()  # type: ignore[arg-type]
        for axis, (kind, size) in enumerate(zip(kinds, shape, strict=True))
    )
    keys: ChannelArray = number * CHANNELS_PER_CONVOLUTION + np.arange(shape[1], dtype=np.int64)
    channels = keys.reshape([-1, 1] if shape[1] > 1 else [1])
    return View(geometry, dims, channels, shape[2:], frozenset({node.name}))
