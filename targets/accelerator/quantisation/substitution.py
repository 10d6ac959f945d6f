"""Operators replaced, before quantisation, by ones that ONNX Runtime computes in integers."""

from collections.abc import Callable

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.operators.normalisation import BatchNormalization
from condense_compiler.operators.reduction import Reduction
from condense_compiler.operators.registry import parse_as
from condense_compiler.passes.fold_pads import FoldPads


def turn_batch_norms_to_convolutions(network: Network) -> None:
    """Replace each batch norm that no convolution took up by a depthwise 1x1 convolution."""
    for node in network.graph.nodes:
        if node.op != "BatchNormalization" or len(node.inputs[0].shape) != 4:
            continue
        scaling = parse_as(BatchNormalization, node).scaling()
        if scaling is None:
            continue
        factor, shift = scaling
        channels, dtype = len(factor), node.inputs[1].dtype
        weights = factor.reshape(channels, 1, 1, 1).astype(dtype)
        name = node.name
        node.op = "Conv"
        node.attrs = {"kernel_shape": [1, 1], "group": channels}
        bias = gs.Constant(f"{name}/bias", shift.astype(dtype))
        constants = [gs.Constant(f"{name}/weights", weights), bias]
        node.inputs = [node.inputs[0], *constants]


def turn_means_to_pools(network: Network) -> None:
    """Replace each mean over height and width by a GlobalAveragePool."""
    for node in list(network.graph.nodes):
        if node.op != "ReduceMean" or len(node.inputs[0].shape) != 4:
            continue
        operator = parse_as(Reduction, node)
        if operator.axes != (2, 3):
            continue
        node.op, node.attrs, node.inputs = "GlobalAveragePool", {}, node.inputs[:1]
        if operator.keeps_axes:
            continue
        result = node.outputs[0]
        pooled = gs.Variable(f"{node.name}/pooled", result.dtype, (*result.shape, 1, 1))
        flatten = gs.Node("Flatten", f"{node.name}/flat", {"axis": 1}, [pooled], [result])
        node.outputs = [pooled]
        network.graph.nodes.insert(network.graph.nodes.index(node) + 1, flatten)


def turn_sums_to_additions(network: Network) -> None:
    """Replace each Sum or Mean of several maps by additions of two, and a factor behind them."""
    for node in list(network.graph.nodes):
        if node.op not in ("Sum", "Mean") or len(node.inputs) < 2:
            continue
        result, (total, *others) = node.outputs[0], list(node.inputs)
        count, added = len(node.inputs), []
        for index, other in enumerate(others):
            shape = np.broadcast_shapes(tuple(total.shape), tuple(other.shape))
            partial = gs.Variable(f"{node.name}/sum{index}", result.dtype, list(shape))
            added.append(gs.Node("Add", partial.name, {}, [total, other], [partial]))
            total = partial
        if node.op == "Mean":
            share = np.asarray(1 / count, result.dtype)
            factor = gs.Constant(f"{node.name}/share", share)
            added.append(gs.Node("Mul", f"{node.name}/mean", {}, [total, factor], []))
        node.inputs, node.outputs = [], []
        added[-1].outputs = [result]
        position = network.graph.nodes.index(node)
        network.graph.nodes[position : position + 1] = added


def keep_first_limits(network: Network) -> None:
    """Write Relu and Clip of a graph input in operators that ONNX Runtime always quantises.

    It takes these as part of the operator before them, and leaves out those that follow none.
    """
    inputs = {id(tensor) for tensor in network.graph.inputs}
    for node in list(network.graph.nodes):
        if node.op not in ("Clip", "Relu") or id(node.inputs[0]) not in inputs:
            continue
        if node.op == "Relu":
            node.op, node.attrs = "LeakyRelu", {"alpha": 0.0}
            continue
        source, *limits = node.inputs
        given = [
            (op, limit)
            for op, limit in zip(("Max", "Min"), limits, strict=False)
            if not limit.is_empty()
        ]
        if not given:
            node.op, node.inputs = "Identity", [source]
            continue
        (node.op, limit), *others = given
        node.inputs = [source, limit]
        for op, other in others:
            result = node.outputs[0]
            raised = gs.Variable(f"{node.name}/raised", result.dtype, list(result.shape))
            node.outputs = [raised]
            last = gs.Node(op, f"{node.name}/lowered", {}, [raised, other], [result])
            network.graph.nodes.insert(network.graph.nodes.index(node) + 1, last)


def take_up_pads(network: Network) -> None:
    """Let windows reach over the edge, as no Pad can."""
    FoldPads().apply(network)


Substitution = Callable[[Network], None]

SUBSTITUTIONS: tuple[Substitution, ...] = (
    take_up_pads,
    turn_batch_norms_to_convolutions,
    turn_means_to_pools,
    turn_sums_to_additions,
    keep_first_limits,
)
