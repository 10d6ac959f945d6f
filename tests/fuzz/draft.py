"""A random network under construction; what it computes is known at every moment.

Each operator runs in ONNX Runtime when it is added, so that shapes and values need no rules here
and every network is valid: what the runtime refuses is not added.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]
T = TypeVar("T")

LARGEST_ELEMENTS = 20_000
LARGEST_MAGNITUDE = 1e4
AXES_INPUT_SINCE = {"ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13}
OTHER_REDUCTIONS = 18


class UnfitError(Exception):
    """What was drawn is not possible at this place; something else must be."""


@dataclass(slots=True)
class Draft:
    """A network that grows by one operator at a time.

    Attributes:
        random: Makes the choices.
        opset: Version of the operators.
        dtype: Type of the feature maps.
        coarse: Draw numbers that are multiples of a quarter, so that many are equal.
        nodes: What was added.
        constants: Weights by name.
        feeds: Inputs by name.
        values: Every feature map by name, inputs included.
        grids: Scale and zero of the maps that are codes.
        read: Names of the maps that something reads.
    """

    random: np.random.Generator
    opset: int
    dtype: np.dtype[Any]
    coarse: bool = False
    quantised: bool = False
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    feeds: dict[str, Array] = field(default_factory=dict)
    values: dict[str, Array] = field(default_factory=dict)
    grids: dict[str, tuple[str, str]] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    def number(self, low: int, high: int) -> int:
        """Return a number, both ends included."""
        return int(self.random.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """Return True with some probability."""
        return bool(self.random.random() < probability)

    def choose(self, options: Iterable[T]) -> T:
        """Return one of some options."""
        listed = list(options)
        if not listed:
            raise UnfitError
        return listed[self.number(0, len(listed) - 1)]

    def input(self, shape: Sequence[int]) -> str:
        """Add an input."""
        name = f"x{len(self.feeds)}"
        self.feeds[name] = self.values[name] = self.numbers(shape).astype(self.dtype)
        return name

    def numbers(self, shape: Sequence[int], scale: float = 1.0) -> Array:
        """Return random numbers."""
        values = self.random.standard_normal(tuple(shape)) * scale
        return np.round(values * 4) / 4 if self.coarse else values

    def map(self, shape: Sequence[int] | None = None, ranks: Sequence[int] | None = None) -> str:
        """Return a feature map of numbers, late ones more often."""
        names = [
            name
            for name, value in self.values.items()
            if value.dtype == self.dtype
            and (shape is None or value.shape == tuple(shape))
            and (ranks is None or value.ndim in ranks)
        ]
        return self.choose([*names, *names[-4:], *names[-1:]])

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a feature map."""
        return self.values[name].shape

    def constant(self, values: Any, dtype: Any = None) -> str:
        """Store a constant: numbers in the type of the feature maps, integers in 64 bits."""
        array = np.asarray(values)
        kind = self.dtype if array.dtype.kind == "f" else array.dtype
        name = f"c{len(self.constants)}"
        self.constants[name] = array.astype(dtype or kind)
        return name

    def weights(self, shape: Sequence[int], scale: float = 1.0) -> str:
        """Return a constant of random numbers, perhaps one that others read, too."""
        shape = tuple(shape)
        shared = [
            n for n, v in self.constants.items() if v.shape == shape and v.dtype == self.dtype
        ]
        if shared and self.chance(0.25):
            return self.choose(shared)
        values = self.numbers(shape, scale)
        if self.quantised and len(shape) > 1 and self.chance(0.8):
            return self._quantised_weights(values)
        return self.constant(values)

    def _quantised_weights(self, values: Array) -> str:
        axes = tuple(range(1, values.ndim))
        per_channel = self.opset >= 13 and self.chance(0.5)
        largest = np.abs(values).max(axis=axes if per_channel else None)
        scale = np.maximum(np.asarray(largest), 1e-3) / 127
        along = scale.reshape(-1, *[1] * len(axes)) if per_channel else scale
        names = [
            self.constant(np.clip(np.rint(values / along), -127, 127), np.int8),
            self.constant(scale),
            self.constant(np.zeros(scale.shape), np.int8),
        ]
        axis = {"axis": 0} if per_channel else {}
        return self.add("DequantizeLinear", names, **axis)[0]

    def add(self, op: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list[str]:
        """Add an operator and return the names of its results.

        Raises:
            UnfitError: ONNX Runtime refuses it, or its results are too large or not finite.
        """
        names = [f"t{len(self.nodes)}_{number}" for number in range(outputs)]
        return self.add_node(
            helper.make_node(op, list(inputs), names, name=f"n{len(self.nodes)}", **attributes)
        )

    def add_node(self, node: onnx.NodeProto) -> list[str]:
        """Add a node; see `add`."""
        results = self._run(node)
        for values in results.values():
            floating = values.dtype.kind == "f"
            if not 0 < values.size <= LARGEST_ELEMENTS or (floating and not _is_tame(values)):
                raise UnfitError
        self.nodes.append(node)
        self.read |= set(node.input)
        self.values |= {n: v for n, v in results.items() if self._is_computed(node)}
        self.constants |= {n: v for n, v in results.items() if not self._is_computed(node)}
        return list(results)

    def _is_computed(self, node: onnx.NodeProto) -> bool:
        return any(name in self.values for name in node.input)

    def along(self, op: str, x: str, axes: Sequence[int], **attributes: Any) -> str:
        """Add an operator that has axes, as an attribute or an input as the opset wants it."""
        if self.opset >= AXES_INPUT_SINCE.get(op, OTHER_REDUCTIONS):
            return self.add(op, [x, self.constant(np.array(axes, np.int64))], **attributes)[0]
        return self.add(op, [x], axes=list(axes), **attributes)[0]

    def _run(self, node: onnx.NodeProto) -> dict[str, Array]:
        """Run a node alone, and check it with what it computes."""
        read = {name for name in node.input if name}
        feeds = {name: self.values[name] for name in read if name in self.values}
        graph = helper.make_graph(
            [node],
            "one",
            [tensor_info(name, value) for name, value in feeds.items()],
            [onnx.ValueInfoProto(name=name) for name in node.output],
            [
                numpy_helper.from_array(self.constants[name], name)
                for name in sorted(read)
                if name in self.constants
            ],
        )
        model = model_of(graph, self.opset)
        try:
            results = dict(zip(node.output, session_of(model).run(None, feeds), strict=True))
        except Exception:  # noqa: BLE001 - ONNX Runtime's exceptions share no other base
            raise UnfitError from None
        del model.graph.output[:]
        model.graph.output.extend(tensor_info(name, value) for name, value in results.items())
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
            raise UnfitError from None  # ONNX Runtime takes more than ONNX allows
        return results


def _is_tame(values: Array) -> bool:
    """Tell whether numbers are finite and not so large that they swallow all others."""
    return bool(np.all(np.abs(values) <= LARGEST_MAGNITUDE))


def tensor_info(name: str, value: Array) -> onnx.ValueInfoProto:
    """Return the type of a tensor."""
    data_type = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_value_info(name, data_type, value.shape)


def model_of(graph: onnx.GraphProto, opset: int) -> onnx.ModelProto:
    """Return a model of a graph."""
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def session_of(model: onnx.ModelProto) -> ort.InferenceSession:
    """Return a session of ONNX Runtime, its optimiser off."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
