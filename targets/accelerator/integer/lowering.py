"""From a quantised network to an integer network."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.network import Network
from condense_compiler.passes.tracing.codes import CODE_TYPES
from condense_compiler.passes.tracing.regions import Region
from condense_compiler.targets.accelerator.integer import convolutions
from condense_compiler.targets.accelerator.integer.building import dequantised, quantise
from condense_compiler.targets.accelerator.integer.collector import (
    Collector,
    Rule,
    grid_of,
)
from condense_compiler.targets.accelerator.integer.constants import is_constant, values_of
from condense_compiler.targets.accelerator.integer.elementwise import elementwise
from condense_compiler.targets.accelerator.integer.functions import TENSOR, apply
from condense_compiler.targets.accelerator.integer.network import (
    IntegerNetwork,
    Port,
)
from condense_compiler.targets.accelerator.integer.pooled import (
    Regions,
    pooled_convolution,
    pooled_regions,
)
from condense_compiler.targets.accelerator.integer.pools import POOLING_RULES
from condense_compiler.targets.accelerator.integer.refusals import blaming
from condense_compiler.targets.accelerator.integer.values import (
    Value,
)
from condense_compiler.targets.accelerator.integer.views import VIEW_RULES, viewed
from condense_compiler.targets.reference.functions import FUNCTIONS


def lower_part(
    nodes: Sequence[gs.Node],
    inputs: Sequence[gs.Tensor],
    outputs: Sequence[gs.Tensor],
    known: Mapping[str, Port],
    regions: Sequence[Region] = (),
) -> IntegerNetwork:
    """Collect the integer operators of a part of a network.

    Args:
        nodes: The nodes, in their order.
        inputs: Tensors that they read from elsewhere.
        outputs: Tensors that are read elsewhere.
        known: Inputs that are quantised already, with their codes.
        regions: What may become one convolution each.

    Raises:
        NodeError: A node does something that the accelerator does not.
    """
    collector = Collector({tensor.name for tensor in outputs}, RULES)
    for tensor in inputs:
        collector.inputs[tensor.name] = tuple(tensor.shape)
        if tensor.name in known:
            collector.take_over(tensor.name, known[tensor.name])
    _add_all(collector, nodes, Regions.among(regions, nodes))
    ports: dict[str, Port] = {}
    for tensor in outputs:
        if not tensor.inputs:  # a graph input, or a constant: the caller has it
            continue
        with blaming(tensor.inputs[0]):
            if np.dtype(tensor.dtype) in CODE_TYPES:
                raise UnsupportedError(f"{tensor.name}: quantised values that are read elsewhere")
            ports[tensor.name] = collector.output(tensor)
    read = {}
    for tensor in inputs:
        readers = [node for node in nodes if any(tensor is source for source in node.inputs)]
        if readers:
            with blaming(readers[0]):
                read[tensor.name] = collector.input_port(tensor.name)
    return IntegerNetwork(tuple(collector.builder.operators), read, ports)


def _add_all(collector: Collector, nodes: Iterable[gs.Node], pooled: Regions) -> None:
    """Lower nodes in their order; a region where its last node stands."""
    for node in nodes:
        if id(node) in pooled.ends:
            _add_region(collector, pooled.ends[id(node)])
        elif id(node) not in pooled.inside:
            with blaming(node):
                collector.add(node)


def _add_region(collector: Collector, region: Region) -> None:
    """Lower a region: as one convolution, or else node by node."""
    last, result = region.output.inputs[0], region.output
    try:
        value = pooled_convolution(region, collector.map)
        value = viewed(value, tuple(result.shape), last.name)
    except UnsupportedError:
        for node in region.nodes:
            with blaming(node):
                collector.add(node)
        return
    if np.dtype(result.dtype) in CODE_TYPES:
        collector.codes.add(result.name)
    elif last.op == "DequantizeLinear":
        collector.names[result.name] = last.inputs[0].name
    with blaming(region.first):
        collector.keep(last, [value])


def lower_network(network: Network, nodes: Iterable[gs.Node]) -> IntegerNetwork:
    """Collect integer operators.

    Args:
        network: The network.
        nodes: Its nodes, in their order.

    Raises:
        UnsupportedError: A node does something that the accelerator does not.
    """
    graph = network.graph
    return lower_part(list(nodes), graph.inputs, graph.outputs, {}, pooled_regions(network))


def _batch_norm(collector: Collector, node: gs.Node) -> list[Value]:
    """Apply a batch norm as ONNX Runtime computes it: a product and a sum."""
    if not all(map(is_constant, node.inputs[1:])):
        raise UnsupportedError(f"{node.name}: a batch norm whose factors the network computes")
    scale, bias, mean, variance = (values_of(t).astype(np.float32) for t in node.inputs[1:])
    epsilon = np.float32(node.attrs.get("epsilon", 1e-5))
    factor = scale * (np.float32(1.0) / np.sqrt(variance + epsilon))
    value = collector.value(node.inputs[0])
    for op, constant in (("Mul", factor), ("Add", bias - mean * factor)):
        value = apply(value, op, [TENSOR, constant], {}, node.name)
    return [value]


def _cast(collector: Collector, node: gs.Node) -> list[Value]:
    """Keep values: those of a graph input become codes, those of a graph output come from them."""
    if np.dtype(node.outputs[0].dtype).kind == "f" and not collector.is_unquantised_input(
        node.inputs[0]
    ):
        return [collector.value(node.inputs[0])]
    if node.outputs[0].dtype != np.float32:
        raise UnsupportedError(f"{node.name}: a Cast to other than float32")
    collector.convert_input(node)
    return []


def _convolution(collector: Collector, node: gs.Node) -> list[Value]:
    return [convolutions.conv(collector.map(node.inputs[0]), node)]


def _dense(collector: Collector, node: gs.Node) -> list[Value]:
    return [convolutions.dense(collector.map(node.inputs[0]), node)]


def _quantise(collector: Collector, node: gs.Node) -> list[Value]:
    """Quantise a tensor, or find a graph input quantised."""
    source, result = node.inputs[0], node.outputs[0]
    grid = grid_of(node)
    collector.codes.add(result.name)
    if collector.is_unquantised_input(source):
        return [collector.quantise_input(source, grid, result.name)]
    return [quantise(collector.value(source), grid, node.name)]


def _dequantise(collector: Collector, node: gs.Node) -> list[Value]:
    """Return what quantised values mean."""
    source, result = node.inputs[0], node.outputs[0]
    if source.name not in collector.codes:
        raise UnsupportedError(f"{source.name}: read as codes, but nothing quantises it")
    collector.names[result.name] = source.name
    return [dequantised(collector.value(source), grid_of(node))]


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(FUNCTIONS, elementwise),
    **POOLING_RULES,
    **VIEW_RULES,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Conv": _convolution,
    "DequantizeLinear": _dequantise,
    "Gemm": _dense,
    "MatMul": _dense,
    "QuantizeLinear": _quantise,
}
