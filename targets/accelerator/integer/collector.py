"""What is known of the tensors of a network while its nodes are lowered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.operators.fused import is_conv_pool
from condense_compiler.targets.accelerator.integer import convolutions
from condense_compiler.targets.accelerator.integer.building import Builder
from condense_compiler.targets.accelerator.integer.forms import ON_CODES, Form, Forms
from condense_compiler.targets.accelerator.integer.functions import (
    DIFFERING_PIXELS,
    TENSOR,
    apply,
)
from condense_compiler.targets.accelerator.integer.network import (
    Map,
    Port,
)
from condense_compiler.targets.accelerator.integer.values import (
    Coded,
    Pairs,
    Parts,
    Raw,
    Shape,
    Value,
    stored,
)


@dataclass(slots=True)
class Collector:
    """Values of the tensors so far.

    Attributes:
        outputs: Names of the graph outputs.
        rules: What lowers a node, by operator.
        forms: How ONNX Runtime computes operators.
        builder: Operators so far.
        values: Value of each tensor.
        inputs: Shapes of the graph inputs.
        ports: Graph inputs whose codes are known.
        converted: Graph inputs, by the name that they have in another type.
    """

    outputs: set[str]
    rules: "Mapping[str, Rule]"
    forms: Forms = field(default_factory=dict)
    builder: Builder = field(default_factory=Builder)
    values: dict[str, Value] = field(default_factory=dict)
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)
    converted: dict[str, gs.Tensor] = field(default_factory=dict)

    def add(self, node: gs.Node) -> None:
        """Lower one node.

        Raises:
            UnsupportedError: The accelerator has nothing for it.
        """
        self._check_results(node)
        results = self._lower(node)
        for tensor, value in zip(node.outputs, results, strict=False):
            readers = len(tensor.outputs) + (tensor.name in self.outputs)
            self.values[tensor.name] = self._settle(value, tensor.name) if readers > 1 else value

    def _check_results(self, node: gs.Node) -> None:
        """Refuse a node of which more than its first result is read, unless it only parts maps."""
        if node.op in _WITH_SEVERAL_RESULTS:
            return
        for index, tensor in enumerate(node.outputs[1:], 1):
            if tensor.outputs or tensor.name in self.outputs:
                raise UnsupportedError(f"{node.name}: {node.op} whose result {index} is read")

    def _lower(self, node: gs.Node) -> list[Value]:
        if is_conv_pool(node):
            return [convolutions.conv_pool(self.builder, self.map(node.inputs[0]), node)]
        rule = self.rules.get(node.op) if node.domain in (None, "", "ai.onnx") else None
        if rule is None:
            raise UnsupportedError(f"{node.name}: the accelerator has no {node.op}")
        return rule(self, node)

    def _settle(self, value: Value, name: str) -> Value:
        """Give a tensor with several readers a place, or the codes that it is a function of."""
        if isinstance(value, Raw):
            raise UnsupportedError(f"{name}: several operators read sums that are not quantised")
        if isinstance(value, Pairs):
            value = value.result
        if isinstance(value, Coded) and value.grid is None:
            return self.builder.store_base(value, name)
        if isinstance(value, Parts) and any(
            isinstance(part, Raw) or part.grid is None for part in value.parts
        ):
            raise UnsupportedError(f"{name}: several operators read values that are not quantised")
        return stored(self.builder.store(value, name))

    def form(self, node: gs.Node) -> Form:
        """Return how ONNX Runtime computes a node."""
        return self.forms.get(node.name, ON_CODES)

    def joined_form(self, node: gs.Node) -> Form:
        """Return how ONNX Runtime joins two maps; it has no Sum of codes."""
        form = self.form(node)
        return replace(form, on_values=True) if node.op == "Sum" else form

    def is_unquantised_input(self, tensor: gs.Tensor) -> bool:
        """Tell whether a tensor is a graph input of which no codes are known yet."""
        return self._source(tensor).name in self.inputs and tensor.name not in self.values

    def _source(self, tensor: gs.Tensor) -> gs.Tensor:
        return self.converted.get(tensor.name, tensor)

    def convert_input(self, node: gs.Node) -> None:
        """Follow a graph input that is converted to float32 before it is quantised."""
        self.converted[node.outputs[0].name] = self._source(node.inputs[0])

    def value(self, tensor: gs.Tensor) -> Value:
        """Return the value of a tensor.

        Raises:
            UnsupportedError: It is a graph input that is read before it is quantised.
        """
        if tensor.name not in self.values:
            raise UnsupportedError(f"{tensor.name}: read without being quantised")
        return self.values[tensor.name]

    def map(self, tensor: gs.Tensor) -> Map:
        """Return a map that holds a tensor."""
        held = self.builder.store(self.value(tensor), tensor.name)
        self.values[tensor.name] = stored(held).with_shape(held.shape)
        return held

    def output(self, tensor: gs.Tensor) -> Port:
        """Return a graph output."""
        return Port(self.map(tensor), tuple(tensor.shape))

    def input_port(self, name: str) -> Port:
        """Return a graph input.

        Raises:
            UnsupportedError: Nothing quantises it.
        """
        if name not in self.ports:
            raise UnsupportedError(f"{name}: this input of the network is not quantised")
        return self.ports[name]

    def take_over(self, name: str, port: Port) -> None:
        """Take over codes from elsewhere as an input."""
        source = Map(name, port.map.shape, port.map.scale, port.map.zero)
        self.ports[name] = Port(source, port.shape)
        self.values[name] = stored(source)

    def quantise_input(self, node: gs.Node) -> Value:
        """Return the codes of a graph input, whose quantisation starts with this Div."""
        tensor = self._source(node.inputs[0])
        chain = _quantising_chain(node)
        if chain is None:
            raise UnsupportedError(f"{tensor.name}: this input of the network is not quantised")
        scale, lower, upper = chain
        zero = 0 if lower >= -128 and upper <= 127 else -128 - lower
        shape = pixels_of(self.inputs[tensor.name], tensor.name)
        if tensor.name not in self.ports:
            source = Map(tensor.name, shape, scale, zero)
            self.ports[tensor.name] = Port(source, self.inputs[tensor.name])
        source = self.ports[tensor.name].map
        if (source.scale, source.zero) != (scale, zero):
            raise UnsupportedError(f"{tensor.name}: this input is quantised in two ways")
        steps = np.arange(-128, 128, dtype=np.float32) - np.float32(zero)
        return Coded(source, shape, zero, steps, None)

    def quantise_before(self, node: gs.Node) -> None:
        """Quantise what a node moves or chooses from, if its result is quantised next.

        Rounding never decreases, so that the choice among rounded values is the rounded choice.
        """
        source = node.inputs[0].name
        value, chain = self.values.get(source), next_quantisation(node.outputs[0])
        is_coded = isinstance(value, Coded) and value.grid is not None
        if chain is None or is_coded or not isinstance(value, Coded | Raw):
            return
        self.values[source] = quantise(self.builder, value, chain, node.name)


Rule = Callable[[Collector, gs.Node], list[Value]]

_WITH_SEVERAL_RESULTS = frozenset(["Split"])

MOVING_OR_CHOOSING = frozenset(
    ["Flatten", "Identity", "MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze"]
)


Chain = tuple[float, int, int]  # scale, and limits in steps


def quantise(builder: Builder, value: Value, chain: Chain, name: str) -> Value:
    """Quantise a tensor as a chain of Div, Round, Clip and Mul does.

    Raises:
        UnsupportedError: Its sums cannot be quantised so.
    """
    scale, *limits = chain
    for op, constants in (("Div", [scale]), ("Round", []), ("Clip", limits), ("Mul", [scale])):
        value = apply(builder, value, op, [TENSOR, *constants], {}, name)
    return value


def next_quantisation(tensor: gs.Tensor) -> Chain | None:
    """Return scale and limits of what quantises a tensor, behind nodes that move or choose."""
    while len(tensor.outputs) == 1:
        [reader] = tensor.outputs
        chain = _quantising_chain(reader)
        if chain is not None or reader.op not in MOVING_OR_CHOOSING:
            return chain
        tensor = reader.outputs[0]
    return None


def _quantising_chain(node: gs.Node) -> Chain | None:
    """Return scale and limits of the Div, Round, Clip that a node starts."""
    nodes = [node]
    for op in ("Round", "Clip"):
        readers = nodes[-1].outputs[0].outputs
        if len(readers) != 1 or readers[0].op != op:
            return None
        nodes.append(readers[0])
    scale = scalar_constant(node, 1) if node.op == "Div" else None
    if scale is None:
        return None
    return float(scale), int(scalar_constant(nodes[2], 1)), int(scalar_constant(nodes[2], 2))


def pixels_of(shape: tuple[int, ...], name: str) -> Shape:
    """Return channels, height and width of a tensor.

    Raises:
        UnsupportedError: It is a batch, or has other axes.
    """
    if not shape:  # one value
        return 1, 1, 1
    if shape[0] != 1 or not 2 <= len(shape) <= 4:
        raise UnsupportedError(
            f"{name}: shape {list(shape)}; the accelerator takes one image: [1, channels, height, "
            "width], [1, channels, width] or [1, channels]"
        )
    channels, *pixels = shape[1:]
    height, width = (1, 1, *pixels)[-2:]
    return channels, height, width


def scalar_constant(node: gs.Node, index: int) -> Any:
    """Return a scalar constant; None where the input is left out.

    Raises:
        UnsupportedError: It has several values.
    """
    value = channel_constant(node, index)
    if np.ndim(value):
        raise UnsupportedError(f"{node.name}: {node.op} with one constant for each channel")
    return value


def channel_constant(node: gs.Node, index: int) -> Any:
    """Return a constant as one value, or as one for each channel; None where it is left out.

    Raises:
        UnsupportedError: Its values differ within a channel.
    """
    if index >= len(node.inputs) or node.inputs[index].is_empty():
        return None
    values = np.asarray(node.inputs[index].values)
    distinct = np.unique(values)
    if distinct.size == 1:
        return distinct[0]
    rank = len(node.outputs[0].shape)
    aligned = values.reshape((1,) * (rank - values.ndim) + values.shape)
    if rank < 2 or aligned.size != aligned.shape[1]:
        raise UnsupportedError(f"{node.name}: {node.op} {DIFFERING_PIXELS}")
    return aligned.reshape(-1)
