"""Operators replaced, before quantisation, by ones that ONNX Runtime computes in integers."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.operators.normalisation import BatchNormalization
from condense_compiler.operators.pooling import Pool
from condense_compiler.operators.reduction import Reduction
from condense_compiler.operators.registry import parse_as
from condense_compiler.operators.window import Window
from condense_compiler.passes.fold_pads import FoldPads
from condense_compiler.targets.accelerator.integer.checking import is_dilated


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


def turn_dilated_averages_to_convolutions(network: Network) -> None:
    """Replace each AveragePool with dilations, which ONNX Runtime cannot compute on codes.

    A depthwise convolution adds up; where the padding does not count, a factor for each pixel
    makes up for it.
    """
    for node in list(network.graph.nodes):
        if node.op != "AveragePool" or not is_dilated(node):
            continue
        source, result, window = node.inputs[0], node.outputs[0], parse_as(Pool, node).window
        counted, behind = _counted(node, window)
        axes, most = len(behind), max(1, counted.max())
        weights = np.full((source.shape[1], 1, *window.kernel_shape), 1 / most, result.dtype)
        node.op, node.inputs = "Conv", [source, gs.Constant(f"{node.name}/weights", weights)]
        node.attrs = {
            "kernel_shape": list(window.kernel_shape),
            "strides": list(window.strides),
            "dilations": list(window.dilations),
            "pads": [*window.pads[:axes], *behind],
            "group": source.shape[1],
        }
        if counted.min() < most:
            shares = np.where(counted > 0, most / np.maximum(counted, 1), 0)
            _add_behind(network, node, "Mul", shares.astype(result.dtype)[None, None])


def _counted(node: gs.Node, window: Window) -> tuple[npt.NDArray[np.int64], list[int]]:
    """Return what each window of an average counts, and the padding behind that all need."""
    axes, counted, behind = len(window.kernel_shape), np.ones((), np.int64), []
    for axis, size in enumerate(node.inputs[0].shape[2:]):
        before, after = window.pads[axis], window.pads[axes + axis]
        starts = np.arange(node.outputs[0].shape[2 + axis]) * window.strides[axis] - before
        taps = starts[:, None] + np.arange(window.kernel_shape[axis]) * window.dilations[axis]
        low, high = (-before, size + after) if node.attrs.get("count_include_pad") else (0, size)
        counted = counted[..., None] * ((taps >= low) & (taps < high)).sum(axis=1)
        behind.append(max(0, int(taps.max()) + 1 - size))
    return counted, behind


def add_biases_behind_transposed_groups(network: Network) -> None:
    """Add the bias of a ConvTranspose with groups behind it: it has more values than scales."""
    for node in list(network.graph.nodes):
        is_grouped = node.op == "ConvTranspose" and node.attrs.get("group", 1) > 1
        if is_grouped and isinstance(bias := (*node.inputs, None, None)[2], gs.Constant):
            node.inputs = node.inputs[:2]
            shape = (-1, *(1,) * (len(node.outputs[0].shape) - 2))
            _add_behind(network, node, "Add", np.asarray(bias.values).reshape(shape))


def flatten_biases(network: Network) -> None:
    """Give each Gemm a bias with one value for each column, as ONNX Runtime's quantiser wants it.

    What differs between rows is added behind.
    """
    for node in list(network.graph.nodes):
        bias = (*node.inputs, None, None)[2] if node.op == "Gemm" else None
        if not isinstance(bias, gs.Constant) or bias.values.ndim == 1 < bias.values.size:
            continue
        values = np.broadcast_to(np.asarray(bias.values), node.outputs[0].shape)
        if (values == values[:1]).all():
            flat = gs.Constant(f"{node.name}/bias", np.ascontiguousarray(values[0]))
            node.inputs = [*node.inputs[:2], flat]
        else:
            node.inputs = node.inputs[:2]
            factor = values.dtype.type(node.attrs.get("beta", 1.0))
            _add_behind(network, node, "Add", values * factor)


def _add_behind(network: Network, node: gs.Node, op: str, operand: npt.NDArray[np.generic]) -> None:
    """Insert an operator with a constant between a node and its result."""
    result, name = node.outputs[0], f"{node.name}/{op}"
    inner = gs.Variable(name, result.dtype, result.shape)
    node.outputs = [inner]
    last = gs.Node(op, name, {}, [inner, gs.Constant(f"{name}/operand", operand)], [result])
    network.graph.nodes.insert(network.graph.nodes.index(node) + 1, last)


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
    turn_dilated_averages_to_convolutions,
    add_biases_behind_transposed_groups,
    flatten_biases,
    keep_first_limits,
)
