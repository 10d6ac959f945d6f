"""From a region to the fused operator that takes its place."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network.editing import position_of, remove_nodes
from condense_compiler.operators.fused import DOMAIN, OP, ConvPool
from condense_compiler.passes.tracing.expressions import lower
from condense_compiler.passes.tracing.filters import merge_filters
from condense_compiler.passes.tracing.regions import Region, layout_of
from condense_compiler.passes.tracing.views import is_canonical


def replace_region(graph: gs.Graph, region: Region, new_nodes: Sequence[gs.Node]) -> None:
    """Put other nodes, the last of which computes the region's map, in the place of its nodes."""
    position = position_of(graph, region.nodes[-1])
    assert position is not None
    region.output.inputs.clear()
    new_nodes[-1].outputs = [region.output]
    graph.nodes[position + 1 : position + 1] = new_nodes
    remove_nodes(graph, region.nodes)


def conv_pool(region: Region, name: str) -> list[gs.Node]:
    """Return `condense::ConvPool`, and what brings its result into the layout asked for."""
    view = region.view
    filters = merge_filters(region)
    before, before_operands = lower(filters.before, filters.keys)
    after, after_operands = lower(view.after, view.keys())
    recipe = ConvPool(
        convolution=view.geometry.window,
        group=view.geometry.group,
        reduction=str(view.reduction),
        window=view.window,
        members=filters.members,
        rank_weights=view.rank_weights,
        before=before,
        after=after,
        spatial=view.spatial,
    )
    operands = [
        values.reshape(-1, *(1,) * len(view.pixels)) for values in before_operands + after_operands
    ]
    constants = {"filters": filters.weights, "bias": filters.bias}
    constants |= {f"operand{i}": values for i, values in enumerate(operands)}
    dtype = filters.weights.dtype
    inputs = [
        gs.Constant(f"{name}/{key}", v.astype(dtype, copy=False)) for key, v in constants.items()
    ]
    data = region.first.inputs[0]
    node = gs.Node(OP, name, recipe.to_attributes(), [data, *inputs], domain=DOMAIN)
    return [node, *relayout(region, node, region.output.dtype)]


def relayout(region: Region, node: gs.Node, dtype: np.dtype[Any]) -> list[gs.Node]:
    """Return the nodes that bring the convolution's layout into that of the pooled map.

    Args:
        region: The region.
        node: The fused operator; gets a result unless that is laid out as the map is.
        dtype: Type of that result.
    """
    if is_canonical(region.view):
        return []
    layout = layout_of(region.view)
    assert layout is not None  # regions without a layout are not offered
    sizes, order = layout
    channels = len(region.view.keys())
    result = gs.Variable(
        f"{node.name}/pooled",
        dtype,
        (sizes[0], channels, *region.view.pixels),
    )
    node.outputs = [result]
    nodes: list[gs.Node] = []

    def append(
        op: str, shape: Sequence[int], *constants: gs.Constant, **attributes: object
    ) -> None:
        nonlocal result
        step = gs.Node(op, f"{node.name}/{op}{len(nodes)}", attributes, [result, *constants])
        result = gs.Variable(f"{step.name}/result", dtype, tuple(shape))
        step.outputs = [result]
        nodes.append(step)

    def reshape(shape: Sequence[int]) -> None:
        if tuple(shape) == tuple(result.shape):
            return
        target = np.asarray(shape, dtype=np.int64)
        append("Reshape", shape, gs.Constant(f"{node.name}/shape{len(nodes)}", target))

    moved = [axis for axis in order if sizes[axis] > 1]
    if moved != sorted(moved):
        reshape(sizes)
        append("Transpose", [sizes[axis] for axis in order], perm=order)
    reshape(region.output.shape)
    return nodes
