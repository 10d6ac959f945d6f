"""Random networks of everything that shares memory: views, concatenations, residuals, chains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
Shape = tuple[int, ...]


@dataclass(slots=True)
class Builder:
    """A network that grows by one operator at a time; maps are (batch, channels, height, width).

    Attributes:
        draw: Makes the choices.
        maps: Shape of each feature map, by name, in the order in which they are computed.
    """

    draw: Callable[[Any], Any]
    maps: dict[str, Shape]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

    def choose(self, options: Sequence[Any]) -> Any:
        """Return one of some options."""
        return self.draw(st.sampled_from(list(options)))

    def number(self, low: int, high: int) -> int:
        """Return a number, both ends included."""
        return int(self.draw(st.integers(low, high)))

    def map(self, shape: Shape | None = None) -> str:
        """Return a feature map, late ones more often; of a shape, if that is given."""
        names = [name for name, known in self.maps.items() if shape in (None, known)]
        return str(self.choose([*names, *names[-3:], names[-1]]))

    def constant(self, values: Any) -> str:
        """Return the name of a new constant."""
        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weights(self, shape: Shape, scale: float) -> str:
        """Return the name of a new constant of random values."""
        generator = np.random.default_rng(len(self.constants))
        return self.constant((generator.standard_normal(shape) * scale).astype(np.float32))

    def add(
        self, op: str, inputs: Sequence[str], shapes: Sequence[Shape], **attributes: Any
    ) -> str:
        """Add an operator and return its first result."""
        results = [f"t{len(self.maps) + number}" for number in range(len(shapes))]
        self.nodes.append(helper.make_node(op, list(inputs), results, **attributes))
        self.read |= set(inputs)
        self.maps |= dict(zip(results, shapes, strict=True))
        return results[0]


def convolution(builder: Builder) -> None:
    """Add a convolution of any kind."""
    x = builder.map()
    batch, channels, *pixels = builder.maps[x]
    group = builder.choose([g for g in (1, 1, 2, channels) if channels % g == 0])
    kernel = builder.choose([1, 3, 3])
    dilation = builder.choose([1, 1, 2]) if kernel > 1 else 1
    stride = builder.choose([1, 1, 1, 2])
    reach = dilation * (kernel - 1)
    before = [builder.number(0, reach) for _ in pixels]
    sizes = tuple((size - 1) // stride + 1 for size in pixels)
    outputs = group * builder.number(1, 3) if group < channels else channels
    weights = builder.weights(
        (outputs, channels // group, kernel, kernel), (channels // group * kernel) ** -0.5
    )
    builder.add(
        "Conv",
        [x, weights, *([builder.weights((outputs,), 0.1)] * builder.number(0, 1))],
        [(batch, outputs, *sizes)],
        group=group,
        dilations=[dilation] * 2,
        strides=[stride] * 2,
        pads=[*before, *(reach - first for first in before)],
    )


def unary(builder: Builder) -> None:
    """Add an operator of one map, of the same shape."""
    x = builder.map()
    options: dict[str, dict[str, Any]] = {
        "HardSwish": {},
        "Identity": {},
        "Relu": {},
        "Sigmoid": {},
        "Tanh": {},
        "LeakyRelu": {"alpha": 0.3},
        "LRN": {"size": 3},
        "Softmax": {"axis": 1},
    }
    op = builder.choose(options)
    builder.add(op, [x], [builder.maps[x]], **options[op])


def normalization(builder: Builder) -> None:
    """Add a batch normalisation."""
    x = builder.map()
    channels = builder.maps[x][1]
    scale, bias, mean = (builder.weights((channels,), 0.5) for _ in range(3))
    variance = builder.constant(np.linspace(0.5, 1.5, channels, dtype=np.float32))
    builder.add("BatchNormalization", [x, scale, bias, mean, variance], [builder.maps[x]])


def residual(builder: Builder) -> None:
    """Combine two maps of a shape, or a convolution and what it is added to."""
    x = builder.map()
    shape = builder.maps[x]
    other = builder.map(shape)
    if builder.number(0, 1):
        weights = builder.weights((shape[1], shape[1], 3, 3), (shape[1] * 9) ** -0.5)
        other = builder.add("Conv", [other, weights], [shape], pads=[1] * 4)
    op = builder.choose(["Add", "Add", "Max", "Mul", "Sub", "Sum"])
    builder.add(op, builder.choose([[x, other], [other, x]]), [shape])


def gate(builder: Builder) -> None:
    """Multiply a map by one value for each channel."""
    x = builder.map()
    shape = builder.maps[x]
    mean = builder.add("GlobalAveragePool", [x], [(*shape[:2], 1, 1)])
    sigmoid = builder.add("Sigmoid", [mean], [(*shape[:2], 1, 1)])
    builder.add("Mul", builder.choose([[x, sigmoid], [sigmoid, x]]), [shape])


def concatenation(builder: Builder) -> None:
    """Put maps one behind the other, the same one twice perhaps."""
    first = builder.map()
    batch, _, *pixels = builder.maps[first]
    fitting = [
        name for name, shape in builder.maps.items() if (shape[0], *shape[2:]) == (batch, *pixels)
    ]
    parts = [first, *(builder.choose(fitting) for _ in range(builder.number(1, 2)))]
    channels = sum(builder.maps[part][1] for part in parts)
    if channels <= 24:
        builder.add("Concat", parts, [(batch, channels, *pixels)], axis=1)


def parts(builder: Builder) -> None:
    """Split a map in two, or take a slice of it."""
    x = builder.map()
    batch, channels, *pixels = builder.maps[x]
    if channels == 1:
        return
    at = builder.number(1, channels - 1)
    if builder.number(0, 1):
        sizes = builder.constant([at, channels - at])
        shapes = [(batch, size, *pixels) for size in (at, channels - at)]
        builder.add("Split", [x, sizes], shapes, axis=1)
    else:
        start, end, axis = (builder.constant([value]) for value in (at, channels, 1))
        builder.add("Slice", [x, start, end, axis], [(batch, channels - at, *pixels)])


def reshaping(builder: Builder) -> None:
    """Give a map another shape, or another order of its axes."""
    x = builder.map()
    batch, channels, height, width = builder.maps[x]
    if builder.number(0, 2) == 0:
        builder.add("Transpose", [x], [(batch, channels, width, height)], perm=[0, 1, 3, 2])
        return
    shape = (batch, channels * height, 1, width)
    if channels % 2 == 0:
        shape = (batch, channels // 2, 2 * height, width)
    builder.add("Reshape", [x, builder.constant(shape)], [shape])


def pooling(builder: Builder) -> None:
    """Add a spatial pooling."""
    x = builder.map()
    batch, channels, *pixels = builder.maps[x]
    kernel = [min(builder.number(1, 3), size) for size in pixels]
    stride = builder.number(1, 2)
    pads = [builder.number(0, size - 1) for size in (*kernel, *kernel)]
    sizes = tuple(
        (pixels[axis] + pads[axis] + pads[axis + 2] - kernel[axis]) // stride + 1 for axis in (0, 1)
    )
    op = builder.choose(["AveragePool", "MaxPool"])
    builder.add(
        op,
        [x],
        [(batch, channels, *sizes)],
        kernel_shape=kernel,
        strides=[stride] * 2,
        pads=pads,
    )


GROWTH = (
    convolution,
    convolution,
    unary,
    normalization,
    residual,
    residual,
    gate,
    concatenation,
    concatenation,
    parts,
    reshaping,
    pooling,
)


@st.composite
def random_graphs(draw: st.DrawFn, largest: int = 14) -> onnx.ModelProto:
    """Draw a network of one or two inputs and one or several outputs, batch 1 or 2."""
    batch = draw(st.sampled_from([1, 1, 2]))
    shape = (batch, draw(st.integers(1, 6)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    inputs = {f"x{number}": shape for number in range(draw(st.integers(1, 2)))}
    builder = Builder(draw, dict(inputs))
    for _ in range(draw(st.integers(1, largest))):
        draw(st.sampled_from(GROWTH))(builder)
    if not builder.nodes:
        unary(builder)
    computed = [name for name in builder.maps if name not in inputs]
    unread = [name for name in computed if name not in builder.read]
    more = draw(st.lists(st.sampled_from(computed), max_size=1))
    outputs = {name: builder.maps[name] for name in (*unread, *more)}

    def infos(shapes: dict[str, Shape]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]

    graph = helper.make_graph(
        builder.nodes, "random", infos(inputs), infos(outputs), builder.constants
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
