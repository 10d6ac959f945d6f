"""Convolutions that are pooled across channels, however the network spells it, as one operator.

Tracing tells what a tensor holds in terms of the channels of convolutions
(`condense_compiler.passes.tracing`); what is between the convolutions and the pooled map is then
followed as an expression: quantised, through tables, pooled, quantised again.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.network import Network
from condense_compiler.passes.tracing import trace
from condense_compiler.passes.tracing.codes import (
    Quantisation,
    last_dequantisation,
    outermost_quantisation,
)
from condense_compiler.passes.tracing.expressions import (
    IDENTITY,
    Apply,
    Expression,
    Literal,
    Operand,
)
from condense_compiler.passes.tracing.filters import filter_order, stacked
from condense_compiler.passes.tracing.regions import Region, fault_of, find_regions, layout_of
from condense_compiler.passes.tracing.views import View, is_canonical
from condense_compiler.targets.accelerator.integer.building import (
    dequantised,
    quantise,
    table_of,
)
from condense_compiler.targets.accelerator.integer.convolutions import (
    Filters,
    filters_of,
    pool_behind,
    sums,
)
from condense_compiler.targets.accelerator.integer.functions import TENSOR, apply
from condense_compiler.targets.accelerator.integer.network import ChannelPooling, Convolution, Map
from condense_compiler.targets.accelerator.integer.values import Coded, Grid, Raw, Value, coded
from condense_compiler.targets.accelerator.integer.weights import merge_groups

_POOLED_AS = {"l2": "l2", "mean": "average", "ordinal": "ranked", "sum": "average"}


def pooled_regions(network: Network) -> list[Region]:
    """Return regions that may become one convolution each: pooled, or with channels shuffled."""
    views = trace(network)
    found: list[Region] = []
    settled: set[str] = set()
    for wanted in (_is_pooled, _is_shuffled):
        for region in find_regions(network, views, wanted):
            names = {node.name for node in region.nodes}
            convolves = all(node.op == "Conv" for node in region.convolutions.values())
            if not convolves or not settled.isdisjoint(names) or not _moves_nothing(region):
                continue
            if fault_of(region, network.graph.outputs) is None:
                found.append(region)
                settled |= names
    return found


def _is_pooled(view: View) -> bool:
    return not view.is_wide


def _is_shuffled(view: View) -> bool:
    keys = view.keys()
    return view.is_wide and is_canonical(view) and keys != sorted(keys)


def _moves_nothing(region: Region) -> bool:
    """Tell whether the pooled map is laid out as convolutions write it, but for its shape."""
    layout = layout_of(region.view)
    assert layout is not None  # regions without a layout are not offered
    sizes, order = layout
    moved = [axis for axis in order if sizes[axis] > 1]
    return moved == sorted(moved)


def pooled_convolution(region: Region, map_of: Callable[[gs.Tensor], Map]) -> Value:
    """Return the value of a region's map.

    Args:
        region: The region.
        map_of: Returns the map that holds a tensor.

    Raises:
        UnsupportedError: One operator cannot compute it.
    """
    view, name = region.view, region.first.name
    source = map_of(region.first.inputs[0])
    filters, group = _merged(region, source)
    raw = sums(source, filters, view.geometry.window, group, name)
    members = [int(key) for key in view.channels.reshape(-1)]
    before = _Followed(members, name)
    value = before.of(view.before, raw)
    after = _Followed(view.keys(), name, before.kind)
    value = after.of(view.after, _reduced(value, view, name))
    return value if view.spatial is None else pool_behind(value, view.spatial, name)


def _merged(region: Region, source: Map) -> tuple[Filters, int]:
    """Return the filters of all convolutions, members of a group side by side, in how many groups.

    Where channels are pooled across groups, filters get zeros for each other's channels.
    """
    group, window = region.view.geometry.group, region.view.window
    parts = [filters_of(node, source) for node in region.convolutions.values()]
    keys, members = filter_order(region)
    steps = stacked(region, keys, [part.steps for part in parts])
    scales = stacked(region, keys, [part.scales for part in parts])
    biases = [np.zeros(len(p.steps)) if p.bias is None else p.bias for p in parts]
    bias = stacked(region, keys, biases)
    if members:
        steps, group = merge_groups(steps, group, group)
        steps, scales, bias = (each[list(members)] for each in (steps, scales, bias))
    elif steps.shape[1] > 1:  # of depthwise ones, any filters may stand in a block
        of_group = len(steps) // group
        steps, group = merge_groups(steps, group, math.lcm(window, of_group) // of_group)
    return Filters(steps, scales, bias), group


@dataclass(slots=True)
class _Followed:
    """Follows expressions from a value on.

    Attributes:
        keys: Channel of a convolution at each channel of the value.
        name: Of the operator, for messages.
        kind: How the value is quantised, if it is quantised values and not what they mean.
    """

    keys: Sequence[int]
    name: str
    kind: Quantisation | None = None

    def of(self, expression: Expression, start: Value) -> Value:
        """Return the value of an expression; `kind` tells how that is quantised."""
        if expression == IDENTITY:
            return start
        found = outermost_quantisation(expression)
        if found is not None:
            value = self.of(found[1], start)
            self.kind = found[0]
            return quantise(value, Grid.of(found[0]), self.name)
        codes = last_dequantisation(expression)
        if codes is not None:
            scale, zero, inner = codes
            value, kind = self.of(inner, start), self.kind
            if kind is not None:
                self.kind = None
                return dequantised(value, Grid.of(replace(kind, scale=scale, zero=zero)))
        return self._applied(expression, start)

    def _applied(self, expression: Expression, start: Value) -> Value:
        assert isinstance(expression, Apply)
        tensors = [a for a in expression.arguments if not isinstance(a, Literal | Operand)]
        if len(tensors) != 1:
            raise UnsupportedError(f"{self.name}: {expression.op} between convolution and pooling")
        value = self.of(tensors[0], start)
        if self.kind is not None:
            raise UnsupportedError(f"{self.name}: {expression.op} of quantised values themselves")
        op, arguments = expression.op, [self._argument(a) for a in expression.arguments]
        if op == "Mul" and _is_reciprocal(arguments[1]):
            op, arguments[1] = "Div", np.float32(1.0 / arguments[1])
        return apply(value, op, arguments, dict(expression.attributes), self.name)

    def _argument(self, argument: Expression) -> Any:
        if isinstance(argument, Literal):
            return float(argument.value)
        return argument.gather(self.keys) if isinstance(argument, Operand) else TENSOR


def _is_reciprocal(factor: Any) -> bool:
    """Tell whether a factor was a divisor, which expressions do not have.

    Constants are in float32; a reciprocal of one is not, but for those of powers of two.
    """
    return isinstance(factor, float) and float(np.float32(factor)) != factor


def _reduced(value: Value, view: View, name: str) -> Value:
    """Return what the pooling of channels makes of a value."""
    chooses = view.reduction in ("max", "min")
    if view.is_wide or (view.window == 1 and view.reduction in ("max", "min", "mean", "sum")):
        return value
    channels, height, width = value.shape
    shape = (channels // view.window, height, width)
    result = coded(value, name)
    operator, grid = result.base, result.grid
    assert isinstance(operator, Convolution)
    assert grid is not None
    if chooses and result.is_increasing() and not result.per_channel:
        operator.pooling = ChannelPooling(str(view.reduction), view.window)
        return result.with_shape(shape)  # the function may as well come behind
    operator.inner_table = table_of(result)
    if chooses:
        operator.pooling = ChannelPooling(str(view.reduction), view.window)
        return Coded(operator, shape, grid.zero, grid.values(), grid)
    reduction = _POOLED_AS[str(view.reduction)]
    operator.pooling = ChannelPooling(reduction, view.window, grid.zero)
    weights = np.array(view.rank_weights if reduction == "ranked" else [1.0], np.float64)
    averaged = "window" if view.reduction == "mean" else "one"
    return Raw(operator, shape, np.float64(grid.scale) * weights, averaged=averaged)


@dataclass(frozen=True, slots=True)
class Regions:
    """Regions of a network while its nodes are lowered one after the other.

    Attributes:
        ends: The region whose map a node computes, by the identity of the node.
        inside: Identities of the nodes of all regions.
    """

    ends: Mapping[int, Region]
    inside: frozenset[int]

    @classmethod
    def among(cls, regions: Iterable[Region], nodes: Iterable[gs.Node]) -> "Regions":
        """Return the regions all of whose nodes are among some nodes."""
        known = {id(node) for node in nodes}
        whole = [r for r in regions if all(id(node) in known for node in r.nodes)]
        ends = {id(region.output.inputs[0]): region for region in whole}
        return cls(ends, frozenset(id(node) for region in whole for node in region.nodes))
