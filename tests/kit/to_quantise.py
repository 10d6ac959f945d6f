"""Small networks in floating point, and ONNX Runtime's quantiser."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime import quantization

FLOAT = onnx.TensorProto.FLOAT
SHAPE = (1, 5, 13, 11)


class Writer:
    """Nodes and random weights of a small network."""

    def __init__(self, seed: int = 3, shape: tuple[int, ...] = SHAPE) -> None:
        self.shape = shape
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def write(self, op: str, *inputs: str, output: str = "", **attributes: object) -> str:
        """Append a node; return the name of its result."""
        name = output or f"{op}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], f"node_{name}", **attributes))
        return name

    def constant(self, *shape: int, size: float = 1.0) -> str:
        """Return the name of random weights."""
        name = f"weights{len(self.weights)}"
        values = size * self.random.standard_normal(shape)
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def batch_norm(self, source: str, channels: int) -> str:
        """Append a batch norm with factors of both signs."""
        constants = [self.constant(channels) for _ in range(3)]
        variance = np.abs(self.random.standard_normal(channels)) + 0.5
        self.weights.append(numpy_helper.from_array(variance.astype(np.float32), f"{source}/var"))
        return self.write("BatchNormalization", source, *constants, f"{source}/var")

    def prelu(self, source: str, channels: int) -> str:
        """Append an activation with a slope, of either sign, for each channel."""
        slopes = self.constant(channels, *[1] * (len(self.shape) - 2), size=0.4)
        return self.write("PRelu", source, slopes)

    def conv(self, source: str, channels: int, filters: int, kernel: int, **attributes) -> str:
        """Append a convolution that keeps the size of its input, unless it has strides."""
        depth = channels // attributes.get("group", 1)
        axes = len(self.shape) - 2
        size = (depth * kernel**axes) ** -0.5
        weights = self.constant(filters, depth, *[kernel] * axes, size=size)
        pads = [kernel // 2] * 2 * axes
        return self.write("Conv", source, weights, self.constant(filters), pads=pads, **attributes)

    def integers(self, *values: int) -> str:
        """Return the name of a constant of whole numbers."""
        name = f"integers{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def model(self, output_shape: tuple[int, ...] | None) -> onnx.ModelProto:
        """Return the network; its input is `x`, its output `y`."""
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", FLOAT, self.shape)],
            [helper.make_tensor_value_info("y", FLOAT, output_shape)],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def residual() -> onnx.ModelProto:
    """Convolutions of every kind, sums, a gate, averages, a concatenation, a dense layer."""
    w = Writer()
    first = w.write("Relu", w.conv("x", 5, 8, 3))
    deep = w.conv(w.write("LeakyRelu", w.conv(first, 8, 8, 3, group=8), alpha=0.2), 8, 8, 1)
    added = w.write("Add", deep, first)
    gated = w.write("Mul", added, w.write("Sigmoid", added))
    pooled = w.write("AveragePool", gated, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    wide = w.write("Concat", pooled, w.conv(pooled, 8, 7, 3), axis=1)
    squeezed = w.write("GlobalAveragePool", wide)
    factor = w.write("Sigmoid", w.conv(squeezed, 15, 15, 1))
    scaled = w.write("Mul", wide, factor)
    largest = w.write("MaxPool", scaled, kernel_shape=[3, 3], strides=[2, 2])
    smooth = w.write("AveragePool", largest, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    flat = w.write("Flatten", w.write("GlobalAveragePool", smooth))
    dense = w.constant(9, 15, size=0.4)
    w.write("Gemm", flat, dense, w.constant(9), output="y", transB=1)
    return w.model((1, 9))


def plain() -> onnx.ModelProto:
    """A dense layer by MatMul behind a strided convolution."""
    w = Writer(4)
    conv = w.write("Relu", w.conv("x", 5, 6, 5, strides=[2, 2]))
    flat = w.write("Flatten", conv)
    w.write("MatMul", flat, w.constant(6 * 7 * 6, 10, size=0.1), output="y")
    return w.model((1, 10))


def over_one_axis() -> onnx.ModelProto:
    """Convolutions and pooling over one axis."""
    w = Writer(5, (1, 4, 37))
    first = w.write("Relu", w.conv("x", 4, 9, 5, strides=[2]))
    pooled = w.write("MaxPool", first, kernel_shape=[3], strides=[2], pads=[1, 0])
    averaged = w.write("AveragePool", w.conv(pooled, 9, 9, 3, group=9), kernel_shape=[2])
    squeezed = w.write("Flatten", w.write("GlobalAveragePool", averaged))
    w.write("Gemm", squeezed, w.constant(9, 7), w.constant(7), output="y")
    return w.model((1, 7))


def stored_groups() -> onnx.ModelProto:
    """Groups of channels pooled in every way, of a map that is also read whole; concatenated."""
    w = Writer(8)
    wide = w.write("Relu", w.conv("x", 5, 12, 3))
    grouped = w.write("Reshape", wide, w.integers(1, 3, 4, *SHAPE[2:]))
    ways = ("ReduceMax", "ReduceMean", "ReduceMin")
    pooled = [w.write(way, grouped, axes=[2], keepdims=0) for way in ways]
    total = w.write("ReduceSum", grouped, w.integers(2), keepdims=0)
    joined = w.write("Concat", *pooled, total, wide, axis=1)
    w.write("MaxPool", w.conv(joined, 24, 6, 1), kernel_shape=[2, 2], output="y")
    return w.model((1, 6, 12, 10))


def pooled_parts() -> onnx.ModelProto:
    """Pooled convolutions that are parts of a concatenation, with and without pooling behind."""
    w = Writer(9)
    parts = []
    for way in ("ReduceMax", "ReduceMin", "ReduceMean"):
        grouped = w.write("Reshape", w.conv("x", 5, 8, 3), w.integers(1, 4, 2, *SHAPE[2:]))
        pooled = w.write(way, grouped, axes=[2], keepdims=0)
        parts.append(w.write("MaxPool", pooled, kernel_shape=[2, 2]))
    w.write("Concat", *parts, axis=1, output="y")
    return w.model((1, 12, 12, 10))


def functions_of_channels() -> onnx.ModelProto:
    """Batch norms and activations with constants for each channel, wherever they may stand."""
    w = Writer(10)
    deep = w.batch_norm(w.prelu(w.conv("x", 5, 8, 3), 8), 8)
    pooled = w.write("MaxPool", w.conv(deep, 8, 8, 3), kernel_shape=[2, 2], strides=[2, 2])
    parts = (pooled, w.conv(w.batch_norm(pooled, 8), 8, 4, 1))
    joined = w.batch_norm(w.write("Concat", *parts, axis=1), 12)
    grouped = w.write("Reshape", w.conv(joined, 12, 12, 3), w.integers(1, 4, 3, 6, 5))
    largest = w.prelu(w.write("ReduceMax", grouped, axes=[2], keepdims=0), 4)
    wide = w.write("MaxPool", w.prelu(w.conv(largest, 4, 150, 1), 150), kernel_shape=[2, 2])
    added = w.write("Add", wide, w.conv(wide, 150, 150, 1, group=150))
    w.write("Conv", w.batch_norm(added, 150), w.constant(3, 150, 1, 1), output="y")
    return w.model((1, 3, 5, 4))


def padded() -> onnx.ModelProto:
    """Padding as an operator of its own, as exporters of other frameworks write it."""
    w = Writer(14)
    first = w.write("Pad", "x", w.integers(0, 0, 1, 1, 0, 0, 0, 1))
    conv = w.write("Relu", w.write("Conv", first, w.constant(8, 5, 3, 3), w.constant(8)))
    second = w.write("Pad", conv, w.integers(0, 0, 0, 1, 0, 0, 1, 0))
    w.write("Conv", second, w.constant(6, 8, 3, 3), w.constant(6), output="y", strides=[2, 2])
    return w.model((1, 6, 6, 5))


def pooled_functions_of_channels() -> onnx.ModelProto:
    """Activations with constants for each channel in front of a pooling of channels."""
    w = Writer(11)
    pooled = []
    for way in ("ReduceMax", "ReduceMin", "ReduceMean"):
        wide = w.prelu(w.conv("x", 5, 12, 3), 12)
        grouped = w.write("Reshape", wide, w.integers(1, 4, 3, *SHAPE[2:]))
        pooled.append(w.prelu(w.write(way, grouped, axes=[2], keepdims=0), 4))
    w.write("Concat", *pooled, axis=1, output="y")
    return w.model((1, 12, *SHAPE[2:]))


def channel_gate() -> onnx.ModelProto:
    """A gate computed by a convolution over the channels, and means that are stored as well."""
    w = Writer(6)
    wide = w.write("Relu", w.conv("x", 5, 12, 3))
    means = w.write("GlobalAveragePool", wide)
    row = w.write("Reshape", means, w.integers(1, 1, 12))
    mixed = w.write("Conv", row, w.constant(1, 1, 5, size=0.5), w.constant(1), pads=[2, 2])
    gate = w.write("Reshape", w.write("Sigmoid", mixed), w.integers(1, 12, 1, 1))
    spread = w.write("Expand", gate, w.integers(1, 12, *SHAPE[2:]))
    gated = w.write("GlobalAveragePool", w.write("Mul", wide, spread))
    w.write("Conv", w.write("Concat", means, gated, axis=1), w.constant(7, 24, 1, 1), output="y")
    return w.model((1, 7, 1, 1))


def feeds(seed: int, shape: tuple[int, ...] = SHAPE) -> dict[str, np.ndarray]:
    """Return random input."""
    generator = np.random.default_rng(seed)
    return {"x": generator.standard_normal(shape).astype(np.float32)}


class Samples(quantization.CalibrationDataReader):
    """Some random inputs, one after the other."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.left = iter([feeds(seed, shape) for seed in range(4)])

    def get_next(self):
        """Return the next input."""
        return next(self.left, None)


def shape_of(model: onnx.ModelProto) -> tuple[int, ...]:
    """Return the shape of a network's input."""
    return tuple(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)


def quantise(
    model: onnx.ModelProto,
    path: Path,
    types: tuple[quantization.QuantType, quantization.QuantType],
    form: str,
    *,
    per_channel: bool,
    **options: object,
) -> None:
    """Let ONNX Runtime quantise a network.

    Args:
        model: The network.
        path: Where to write the result.
        types: Of feature maps and of weights.
        form: QDQ or QOperator.
        per_channel: Give each filter a scale.
        options: More options of its quantiser.
    """
    quantization.quantize_static(
        model,
        path,
        Samples(shape_of(model)),
        quant_format=quantization.QuantFormat[form],
        per_channel=per_channel,
        activation_type=types[0],
        weight_type=types[1],
        **options,
    )
