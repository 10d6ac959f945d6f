"""Pooling of pixels, and of channels that are stored."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.operators.pooling import GlobalPool, Pool
from condense_compiler.operators.reduction import Reduction
from condense_compiler.operators.registry import parse, parse_as
from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.integer import convolutions
from condense_compiler.targets.accelerator.integer.building import NOWHERE
from condense_compiler.targets.accelerator.integer.collector import (
    Collector,
    Rule,
)
from condense_compiler.targets.accelerator.integer.network import (
    MIRRORED,
    Convolution,
    Lookup,
    Map,
    SpatialPooling,
)
from condense_compiler.targets.accelerator.integer.values import (
    Coded,
    Raw,
    Value,
    stored,
)
from condense_compiler.targets.accelerator.integer.windows import over_two_axes


def _max_pool(collector: Collector, node: gs.Node) -> list[Value]:
    window = parse_as(Pool, node).window
    if not _pools_behind(collector.value(node.inputs[0])):
        collector.quantise_before(node)
    value = collector.value(node.inputs[0])
    if _pools_behind(value):
        return [convolutions.pool_behind(value, window, node.name)]
    return [_pool_codes(collector, node, window)]


def _pools_behind(value: Value) -> bool:
    if not isinstance(value, Coded) or not value.is_increasing():
        return False
    return isinstance(value.base, Convolution) and value.base.spatial is None


def _pool_codes(collector: Collector, node: gs.Node, window: Window) -> Value:
    source = collector.map(node.inputs[0])
    window = over_two_axes(window, node.name)
    height, width = window.output_shape(source.shape[1:])
    operator = SpatialPooling(node.name, (source,), NOWHERE, window=window)
    shape = (source.shape[0], height, width)
    return replace(stored(source), base=operator, shape=shape)


def _average(collector: Collector, node: gs.Node) -> list[Value]:
    pool = parse_as(Pool, node)
    window = over_two_axes(pool.window, node.name)
    if window.dilations != (1, 1):
        raise UnsupportedError(f"{node.name}: AveragePool with dilations")
    divisor = "window" if pool.counts_padding else "present"
    return [_mean(collector, node, window, "average", divisor)]


def _global_average(collector: Collector, node: gs.Node) -> list[Value]:
    operator, rank = parse(node), len(node.inputs[0].shape)
    assert isinstance(operator, GlobalPool | Reduction)
    if rank not in (3, 4) or operator.axes != tuple(range(2, rank)):
        raise UnsupportedError(f"{node.name}: {node.op} over other axes than height and width")
    pixels = collector.map(node.inputs[0]).shape[1:]
    window = Window(pixels, (1, 1), (0, 0, 0, 0), (1, 1))
    kind = "average" if node.op in _ON_VALUES else "sum"
    return [_mean(collector, node, window, kind, "window")]


def _mean(collector: Collector, node: gs.Node, window: Window, kind: str, divisor: str) -> Value:
    source = collector.map(node.inputs[0])
    height, width = window.output_shape(source.shape[1:])
    operator = SpatialPooling(node.name, (source,), NOWHERE, kind=kind, window=window)
    units = np.array([source.scale], np.float32)
    shape = (source.shape[0], height, width)
    return Raw(operator, shape, units, averaged=divisor, on_values=node.op in _ON_VALUES)


def _reduce(collector: Collector, node: gs.Node) -> list[Value]:
    """Pool pixels, or channels that a view grouped."""
    if len(node.inputs[0].shape) != 5 or parse_as(Reduction, node).axes != (2,):
        if node.op != "ReduceMean":
            raise UnsupportedError(f"{node.name}: {node.op} over other axes than grouped channels")
        return _global_average(collector, node)
    return [_pool_stored_channels(collector, node)]


def _pool_stored_channels(collector: Collector, node: gs.Node) -> Value:
    source, group = collector.map(node.inputs[0]), node.inputs[0].shape[2]
    channels, height, width = source.shape
    if source.parent is not None:
        raise UnsupportedError(f"{node.name}: {node.op} of a part of a map")
    builder, smallest = collector.builder, node.op == "ReduceMin"
    builder.seen_otherwise.add(source)
    if smallest:
        mirrored = Map(f"{source.name}/mirrored", source.shape, source.scale, source.zero)
        builder.operators.append(Lookup(mirrored.name, (source,), mirrored, MIRRORED))
        source = mirrored
    window = Window((group, 1), (group, 1), (0, 0, 0, 0), (1, 1))
    operator = SpatialPooling(node.name, (source.rows(),), NOWHERE, window=window)
    shape = (channels // group, height, width)
    if node.op in _AVERAGED:
        operator.kind = "average"
        units = np.array([source.scale], np.float32)
        return Raw(operator, shape, units, averaged=_AVERAGED[node.op])
    pooled = Map(f"{node.name}/pooled", shape, source.scale, source.zero)
    operator.output, operator.table = pooled.rows(), MIRRORED if smallest else None
    builder.operators.append(operator)
    return stored(pooled)


_ON_VALUES = frozenset(["ReduceMean"])  # there is no such operator on codes
_AVERAGED = {"ReduceMean": "window", "ReduceSum": "one"}

POOLING_RULES: Mapping[str, Rule] = {
    "AveragePool": _average,
    "GlobalAveragePool": _global_average,
    "MaxPool": _max_pool,
    "ReduceMax": _reduce,
    "ReduceMean": _reduce,
    "ReduceMin": _reduce,
    "ReduceSum": _reduce,
}
