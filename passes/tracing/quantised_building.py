"""From a region in 8 bits to the fused operator that takes its place."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.network.editing import is_output, remove_nodes
from condense_compiler.operators.fused import DOMAIN, ConvPool
from condense_compiler.operators.quantized import QUANTIZED_OP
from condense_compiler.passes.tracing.building import relayout
from condense_compiler.passes.tracing.filters import filter_order, stacked
from condense_compiler.passes.tracing.quantised import QuantisedLayer
from condense_compiler.passes.tracing.regions import Region

Array = npt.NDArray[Any]


def quantised_conv_pool(region: Region, layer: QuantisedLayer, name: str) -> list[gs.Node]:
    """Return `condense::QLinearConvPool`, and what makes the region's map of its codes."""
    view = region.view
    keys, members = filter_order(region)
    recipe = ConvPool(
        convolution=view.geometry.window,
        group=view.geometry.group,
        reduction=str(view.reduction),
        window=view.window,
        members=members,
        spatial=view.spatial,
    )
    tensors = {
        key: gs.Constant(f"{name}/{key}", value) if value is not None else gs.Variable.empty()
        for key, value in _tensors(region, layer, keys).items()
    }
    data = layer.convolutions[0].data
    node = gs.Node(
        QUANTIZED_OP, name, recipe.to_attributes(), [data, *tensors.values()], domain=DOMAIN
    )
    nodes = [node, *relayout(region, node, layer.output.dtype)]
    if layer.values is not None:
        nodes.append(_dequantisation(region, layer, nodes[-1]))
    return nodes


def remove_unread_dequantisations(graph: gs.Graph) -> None:
    """Remove what only brought codes to convolutions that are gone."""
    remove_nodes(
        graph,
        [
            node
            for node in graph.nodes
            if node.op == "DequantizeLinear"
            and not node.outputs[0].outputs
            and not is_output(graph, node.outputs[0])
        ],
    )


def _tensors(region: Region, layer: QuantisedLayer, keys: list[int]) -> dict[str, Array | None]:
    """Return the inputs behind the data, by name and in order; the last ones may be missing."""
    parts = layer.convolutions
    biases = [
        part.bias if part.bias is not None else np.zeros_like(part.scales, np.int32)
        for part in parts
    ]
    zeros = stacked(region, keys, [part.zeros for part in parts])
    one_zero = bool(np.all(zeros == zeros[0]))
    tensors: dict[str, Array | None] = {
        "x_scale": np.array(parts[0].input.scale, np.float32),
        "x_zero_point": np.array(parts[0].input.zero, parts[0].input.dtype),
        "filters": stacked(region, keys, [part.filters for part in parts]),
        "filter_scales": stacked(region, keys, [part.scales for part in parts]),
        "filter_zero_points": np.array(zeros[0]) if one_zero else zeros,
        "y_scale": np.array(layer.output.scale, np.float32),
        "y_zero_point": np.array(layer.output.zero, layer.output.dtype),
        "bias": None if all(part.bias is None for part in parts) else stacked(region, keys, biases),
        "table": _by_bits(layer.table),
    }
    while tensors[next(reversed(tensors))] is None:
        tensors.popitem()
    return tensors


def _by_bits(table: Array) -> Array | None:
    """Return a table whose index is a code's bits; None if it changes nothing."""
    limits = np.iinfo(table.dtype)
    if np.array_equal(table, np.arange(limits.min, limits.max + 1)):
        return None
    return np.roll(table, limits.min)


def _dequantisation(region: Region, layer: QuantisedLayer, last: gs.Node) -> gs.Node:
    assert layer.values is not None  # the caller has looked
    scale, zero = layer.values
    name = f"{region.output.name}/values"
    codes = gs.Variable(f"{name}/codes", layer.output.dtype, tuple(region.output.shape))
    last.outputs = [codes]
    constants = [
        gs.Constant(f"{name}/scale", np.array(scale, np.float32)),
        gs.Constant(f"{name}/zero", np.array(zero, layer.output.dtype)),
    ]
    return gs.Node("DequantizeLinear", name, {}, [codes, *constants])
