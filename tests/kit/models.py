"""Real exported networks: those in tests/data/models, and the light ones of the onnx package.

Their files hold no weights, only rules to draw them by, or one value for all. Drawn weights differ
from each other: equal weights would hide a permutation gone wrong.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

Array = npt.NDArray[np.float32]

DATA = Path(__file__).parent.parent / "data"
MODELS = DATA / "models"
BRANCHING = DATA / "branching"  # many branches into one concatenation
LIGHT_MODELS = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def model_names() -> list[str]:
    """Return the names of the networks in tests/data/models."""
    return sorted(path.stem for path in MODELS.glob("*.onnx"))


def hydrated(name: str, folder: Path = MODELS) -> onnx.ModelProto:
    """Return a network of tests/data/models, or another folder, with its weights drawn.

    The `doc_string` of an initializer without data says what to draw: "normal MEAN DEVIATION" or
    "uniform LOW HIGH". The initializer's name is the seed, so every machine draws the same.
    """
    model = onnx.load(folder / f"{name}.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        kind, _, arguments = tensor.doc_string.partition(" ")
        if kind not in ("normal", "uniform"):
            continue
        generator = _generator(tensor.name)
        draw = generator.normal if kind == "normal" else generator.uniform
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        first, second = map(float, arguments.split())
        values = np.asarray(draw(first, second, tuple(tensor.dims)), dtype)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


def light_names() -> list[str]:
    """Return the names of the light networks of the onnx package."""
    return sorted(path.stem.removeprefix("light_") for path in LIGHT_MODELS.glob("*.onnx"))


def light(name: str) -> onnx.ModelProto:
    """Return a light network of the onnx package with random weights.

    Every floating-point constant that an operator reads as a weight is replaced, whether it was
    stored or made by ConstantOfShape; ConstantOfShape nodes go.
    """
    model = onnx.load(LIGHT_MODELS / f"light_{name}.onnx")
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    inputs = {value.name for value in graph.input}
    unused = set()
    for made_by, weight, shape, draw in list(_weights(graph, stored)):
        values = numpy_helper.from_array(draw(_generator(weight), shape), weight)
        if made_by is None:
            stored[weight].CopyFrom(values)
            continue
        graph.node.remove(made_by)
        unused.add(made_by.input[0])
        graph.initializer.append(values)
        if weight not in inputs:  # IR version 3 lists every initializer among the inputs
            graph.input.append(onnx.helper.make_tensor_value_info(weight, values.data_type, shape))
    _drop(graph, unused - {name for node in graph.node for name in node.input})
    return model


Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]


def _he(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw weights that keep the magnitude of what they are applied to."""
    deviation = (2.0 / float(np.prod(shape[1:]))) ** 0.5
    return generator.standard_normal(shape, np.float32) * np.float32(deviation)


def _small(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return generator.normal(0.0, 0.1, shape).astype(np.float32)


def _around_one(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return generator.uniform(0.7, 1.3, shape).astype(np.float32)


def _below_one(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw scales small enough that sums over many residual blocks do not saturate a softmax."""
    return generator.uniform(0.4, 1.0, shape).astype(np.float32)


# What to draw for an operator's input.
DRAWS: Mapping[tuple[str, int], Draw] = {
    ("Conv", 1): _he,
    ("Conv", 2): _small,
    ("Gemm", 1): _he,
    ("Gemm", 2): _small,
    ("BatchNormalization", 1): _below_one,
    ("BatchNormalization", 2): _small,
    ("BatchNormalization", 3): _small,
    ("BatchNormalization", 4): _around_one,
    ("Mul", 1): _around_one,
    ("Add", 1): _small,
}
# Operators that only change the shape of a weight: what reads their output says what to draw.
SHAPING = ("Reshape", "Unsqueeze")

Weight = tuple[onnx.NodeProto | None, str, tuple[int, ...], Draw]


def _weights(graph: onnx.GraphProto, stored: Mapping[str, onnx.TensorProto]) -> Iterator[Weight]:
    """Yield each weight: the node that makes it, its name, its shape, and how to draw it."""
    makers = {node.output[0]: node for node in graph.node if node.op_type == "ConstantOfShape"}
    readers: dict[str, tuple[str, int]] = {}
    for node in reversed(graph.node):
        for index, name in enumerate(node.input):
            passed_on = readers.get(node.output[0]) if node.op_type in SHAPING else None
            readers[name] = passed_on or (node.op_type, index)
    for name, draw in ((name, DRAWS.get(reader)) for name, reader in readers.items()):
        if draw is None:
            continue
        if name in makers:
            dimensions = numpy_helper.to_array(stored[makers[name].input[0]])
            yield makers[name], name, tuple(int(size) for size in dimensions), draw
        elif name in stored and stored[name].data_type == onnx.TensorProto.FLOAT:
            yield None, name, tuple(stored[name].dims), draw


def _generator(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def _drop(graph: onnx.GraphProto, names: set[str]) -> None:
    """Remove initializers, and the inputs of the same name."""
    collections: tuple[Any, ...] = (graph.initializer, graph.input)
    for collection in collections:
        for item in [item for item in collection if item.name in names]:
            collection.remove(item)
