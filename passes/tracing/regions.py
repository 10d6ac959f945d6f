"""Which part of a network computes a pooled map, and whether it may become one operator."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.operators.convolution import FILTERS_INPUT
from condense_compiler.passes.tracing.views import (
    TILE_FAULT,
    Axis,
    View,
    is_canonical,
)


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """The nodes between convolutions and one map.

    Attributes:
        output: The map.
        view: What it holds.
        nodes: Everything that computes it, in order.
        convolutions: Those of `nodes` that are convolutions, by their number in channel keys.
    """

    output: gs.Tensor
    view: View
    nodes: tuple[gs.Node, ...]
    convolutions: Mapping[int, gs.Node]

    @property
    def first(self) -> gs.Node:
        """The first convolution, after which the region is called."""
        return next(iter(self.convolutions.values()))


def find_regions(
    network: Network, views: Mapping[str, View], wanted: Callable[[View], bool]
) -> list[Region]:
    """Return the regions that end in a wanted map, the best choices first; they may overlap.

    Best is a map laid out as the convolution's result, codes rather than their values, and as many
    operators as possible.
    """
    positions = {node.name: number for number, node in enumerate(network.graph.nodes)}
    tensors = network.graph.tensors()
    regions: list[Region] = []
    for name, view in views.items():
        if not wanted(view) or view.is_ranked or layout_of(view) is None:
            continue
        numbers = sorted(positions[node] for node in view.nodes)
        nodes = tuple(network.graph.nodes[number] for number in numbers)
        convolutions = {
            n: node for n, node in zip(numbers, nodes, strict=True) if node.op in FILTERS_INPUT
        }
        regions.append(Region(tensors[name], view, nodes, convolutions))
    return sorted(regions, key=_rank)


def _rank(region: Region) -> tuple[bool, bool, int]:
    # Codes are what the next layer reads; their values are made where they are needed.
    ends_in_values = region.nodes[-1].op == "DequantizeLinear"
    return not is_canonical(region.view), ends_in_values, -len(region.nodes)


def fault_of(region: Region, outputs: Iterable[gs.Tensor]) -> str | None:
    """Return why a region must stay as it is, or None if it may become one operator."""
    if not region.view.geometry.weights_are_constant:
        return "the filters of the convolution are not constant"
    if region.view.fault is not None:
        return region.view.fault
    if not _tiles(region):
        return TILE_FAULT
    return _reader_outside(region, {tensor.name for tensor in outputs})


def _tiles(region: Region) -> bool:
    """Tell whether every channel of the convolutions is a member of exactly one group."""
    members = np.sort(region.view.channels.reshape(-1))
    wide = sum(node.outputs[0].shape[1] for node in region.convolutions.values())
    return len(members) == wide and bool(np.all(np.diff(members) > 0))


def _reader_outside(region: Region, outputs: set[str]) -> str | None:
    inside = {node.name for node in region.nodes}
    for node in region.nodes:
        for tensor in node.outputs:
            if tensor is region.output:
                continue
            if tensor.name in outputs:
                return f"the maps {tensor.name!r} are an output of the network"
            for reader in tensor.outputs:
                if reader.name not in inside:
                    return f"the maps {tensor.name!r} are also read by {reader.name!r}"
    return None


def layout_of(view: View) -> tuple[list[int], list[int]] | None:
    """Return how the convolution's layout becomes that of a view.

    Returns:
        The sizes that the canonical tensor (batch, channels, pixels...) is split into, and the
        order in which the parts stand in the view; None if some axis is missing.
    """
    channel_sizes = [axis.size for axis in view.axes if axis.kind == "channel"]
    batch = view.geometry.shape[0]
    sizes = [batch, *channel_sizes, *view.pixels]
    first_pixel = 1 + len(channel_sizes)
    order: list[int] = []
    channel = 1
    for axis in view.axes:
        order.append(_place(axis, channel, first_pixel))
        channel += axis.kind == "channel"
    missing = [number for number, size in enumerate(sizes) if size > 1 and number not in order]
    idle = [number for number, size in enumerate(sizes) if size == 1]
    if missing or len(set(order)) != len(order):
        return None
    return sizes, [*idle, *order]


def _place(axis: Axis, channel: int, first_pixel: int) -> int:
    if axis.kind == "channel":
        return channel
    return 0 if axis.number == 0 else first_pixel + axis.number - 2
