"""Fuses convolutions with the pooling of their channels, so that the wide maps are never stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import remove_nodes
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.fused import DOMAIN, OP, ConvPool
from condense_compiler.passes.tracing import trace
from condense_compiler.passes.tracing.expressions import lower
from condense_compiler.passes.tracing.filters import merge_filters
from condense_compiler.passes.tracing.regions import Region, fault_of, find_regions, layout_of
from condense_compiler.passes.tracing.views import is_canonical
from condense_compiler.rewriting.contract import PassOutcome, Refusal, Rewrite


@dataclass(frozen=True)
class CrossChannelPooling:
    """Replace convolution → cross-channel pooling, however spelled, by `condense::ConvPool`."""

    name: ClassVar[str] = "cross_channel_pooling"

    def apply(self, network: Network) -> PassOutcome:
        """Fuse every region that may be fused, and say why the others may not."""
        regions = find_regions(network, trace(network))
        faults = [(region, fault_of(region, network.graph.outputs)) for region in regions]
        rewrites: list[Rewrite] = []
        settled: set[str] = set()
        for region in (region for region, fault in faults if fault is None):
            names = {node.name for node in region.nodes}
            if settled.isdisjoint(names):
                rewrites.append(_fuse(network, region))
                settled |= names
        refusals: dict[str, Refusal] = {}
        for region, fault in faults:
            if fault is not None and settled.isdisjoint(_names(region)):
                name = region.first.name
                refusals.setdefault(name, Refusal(name, fault))
        return PassOutcome(tuple(rewrites), tuple(refusals.values()))


def _names(region: Region) -> set[str]:
    return {node.name for node in region.convolutions.values()}


def _fuse(network: Network, region: Region) -> Rewrite:
    rewrite = Rewrite(region.first.name, _describe(region), _virtual_bytes(region))
    new_nodes = _fused_nodes(region)
    position = next(i for i, n in enumerate(network.graph.nodes) if n is region.nodes[-1])
    region.output.inputs.clear()
    new_nodes[-1].outputs = [region.output]
    network.graph.nodes[position + 1 : position + 1] = new_nodes
    remove_nodes(network.graph, region.nodes)
    return rewrite


def _describe(region: Region) -> str:
    operators = " → ".join(node.op for node in region.nodes)
    return f"{region.view.reduction} of {region.view.window}: {operators}"


def _virtual_bytes(region: Region) -> int:
    """Return the size of the maps that no longer exist: the wide ones, and the un-pooled one."""
    wide = sum(tensor_bytes(node.outputs[0]) for node in region.convolutions.values())
    return wide + (wide // region.view.window if region.view.spatial is not None else 0)


def _fused_nodes(region: Region) -> list[gs.Node]:
    """Return the fused operator, and what brings its result into the layout asked for."""
    view, name = region.view, f"{CrossChannelPooling.name}/{region.first.name}"
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
    return [node] if is_canonical(view) else [node, *_relayout(region, node)]


def _relayout(region: Region, node: gs.Node) -> list[gs.Node]:
    """Return the nodes that bring the convolution's layout into that of the pooled map."""
    layout = layout_of(region.view)
    assert layout is not None  # regions without a layout are not offered
    sizes, order = layout
    channels = len(region.view.keys())
    result = gs.Variable(
        f"{node.name}/pooled",
        region.output.dtype,
        (sizes[0], channels, *region.view.pixels),
    )
    node.outputs = [result]
    nodes: list[gs.Node] = []

    def append(
        op: str, shape: Sequence[int], *constants: gs.Constant, **attributes: object
    ) -> None:
        nonlocal result
        step = gs.Node(op, f"{node.name}/{op}{len(nodes)}", attributes, [result, *constants])
        result = gs.Variable(f"{step.name}/result", region.output.dtype, tuple(shape))
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
