"""What is known of the tensors of a network while its nodes are lowered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.passes.tracing.quantisation_rules import quantisation
from condense_compiler.targets.accelerator.integer.building import Builder, quantise
from condense_compiler.targets.accelerator.integer.constants import is_constant, values_of
from condense_compiler.targets.accelerator.integer.functions import DIFFERING_PIXELS
from condense_compiler.targets.accelerator.integer.network import Map, Port
from condense_compiler.targets.accelerator.integer.values import (
    Coded,
    Grid,
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
        builder: Operators so far.
        values: Value of each tensor.
        inputs: Shapes of the graph inputs.
        ports: Graph inputs whose codes are known.
        converted: Graph inputs, by the name that they have in another type.
        codes: Names of the tensors that hold quantised values, not what they mean.
        names: Name of the quantised values, by that of what they mean.
    """

    outputs: set[str]
    rules: "Mapping[str, Rule]"
    builder: Builder = field(default_factory=Builder)
    values: dict[str, Value] = field(default_factory=dict)
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)
    converted: dict[str, gs.Tensor] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)

    def add(self, node: gs.Node) -> None:
        """Lower one node.

        Raises:
            UnsupportedError: The accelerator has nothing for it.
        """
        if all(map(is_constant, node.outputs)):
            return  # read where it is needed
        self._check_results(node)
        self.keep(node, self._lower(node))

    def keep(self, node: gs.Node, results: "Sequence[Value]") -> None:
        """Keep what the results of a node are."""
        for tensor, value in zip(node.outputs, results, strict=False):
            self.values[tensor.name] = self._kept(value, tensor)

    def _kept(self, value: Value, tensor: gs.Tensor) -> Value:
        """Return what is kept of a tensor: one with several readers gets a place."""
        readers = len(tensor.outputs) + (tensor.name in self.outputs)
        if readers < 2:
            return value
        name, grid = self.names.get(tensor.name, tensor.name), _common_grid(tensor)
        if grid is not None and tensor.name not in self.outputs:
            value = quantise(value, grid, name)
        return self._settle(value, name)

    def _check_results(self, node: gs.Node) -> None:
        """Refuse a node of which more than its first result is read, unless it only parts maps."""
        if node.op in _WITH_SEVERAL_RESULTS:
            return
        for index, tensor in enumerate(node.outputs[1:], 1):
            if tensor.outputs or tensor.name in self.outputs:
                raise UnsupportedError(f"{node.name}: {node.op} whose result {index} is read")

    def _lower(self, node: gs.Node) -> "Sequence[Value]":
        rule = self.rules.get(node.op) if node.domain in (None, "", "ai.onnx") else None
        if rule is None:
            raise UnsupportedError(f"{node.name}: the accelerator has no {node.op}")
        read = self.codes.intersection(tensor.name for tensor in node.inputs)
        if read and node.op not in _ON_CODES:
            raise UnsupportedError(
                f"computes on the codes '{min(read)}' themselves; dequantise them before it and "
                "quantise its result"
            )
        if read and node.op in MOVING_OR_CHOOSING | _PARTING:
            self.codes |= {tensor.name for tensor in node.outputs}
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
        name = self.names.get(tensor.name, tensor.name)
        held = self.builder.store(self.value(tensor), name)
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

    def quantise_input(self, tensor: gs.Tensor, grid: Grid, name: str) -> Value:
        """Return the codes of a graph input.

        Args:
            tensor: The input.
            grid: How it is quantised.
            name: Of the result.

        Raises:
            UnsupportedError: It is quantised in another way, too.
        """
        tensor = self._source(tensor)
        shape = self.inputs[tensor.name]
        if tensor.name not in self.ports:
            pixels = pixels_of(shape, tensor.name)
            self.ports[tensor.name] = Port(Map(name, pixels, grid.scale, grid.zero), shape)
        source = self.ports[tensor.name].map
        if not grid.means(source):
            raise UnsupportedError(f"{tensor.name}: this input is quantised in two ways")
        return stored(source)

    def quantise_before(self, node: gs.Node) -> None:
        """Quantise what a node moves or chooses from, if its result is quantised next.

        Rounding never decreases, so that the choice among rounded values is the rounded choice.
        """
        source = node.inputs[0].name
        value, grid = self.values.get(source), next_grid(node.outputs[0])
        is_coded = isinstance(value, Coded) and value.grid is not None
        if grid is None or is_coded or not isinstance(value, Coded | Raw):
            return
        self.values[source] = quantise(value, grid, node.name)


Rule = Callable[[Collector, gs.Node], "Sequence[Value]"]

_WITH_SEVERAL_RESULTS = frozenset(["Split"])

MOVING_OR_CHOOSING = frozenset(
    ["Flatten", "Identity", "MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze"]
)
_PARTING = frozenset(["Clip", "Concat", "Expand", "Slice", "Split"])
_ON_CODES = MOVING_OR_CHOOSING | _PARTING | {"DequantizeLinear"}


def next_grid(tensor: gs.Tensor) -> Grid | None:
    """Return how a tensor is quantised next, behind nodes that move or choose."""
    grid = _common_grid(tensor)
    while grid is None and len(tensor.outputs) == 1:
        [reader] = tensor.outputs
        if reader.op not in MOVING_OR_CHOOSING:
            return None
        tensor = reader.outputs[0]
        grid = _common_grid(tensor)
    return grid


def _common_grid(tensor: gs.Tensor) -> Grid | None:
    """Return how all readers of a tensor quantise it; None if they do not, or not alike."""
    if not all(reader.op == "QuantizeLinear" for reader in tensor.outputs):
        return None
    grids = [grid_of(reader) for reader in tensor.outputs]
    return grids[0] if grids and all(grid == grids[0] for grid in grids) else None


def grid_of(node: gs.Node) -> Grid:
    """Return how a QuantizeLinear or DequantizeLinear means quantised values.

    Raises:
        UnsupportedError: Not by constants, one for all, and 8 bits.
    """
    found = quantisation(node, 1)
    if found is not None:
        return Grid.of(found)
    parameters = [tensor for tensor in node.inputs[1:] if not tensor.is_empty()]
    if not all(map(is_constant, parameters)):
        raise UnsupportedError(f"{node.name}: scales and zero points must be constants")
    values = [values_of(tensor) for tensor in parameters]
    if any(value.size != 1 for value in values):
        raise UnsupportedError(f"{node.name}: a feature map with one scale for each channel")
    raise UnsupportedError(f"{node.name}: feature maps of {values[-1].dtype}; codes have 8 bits")


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
    values = values_of(node.inputs[index])
    distinct = np.unique(values)
    if distinct.size == 1:
        return distinct[0]
    rank = len(node.outputs[0].shape)
    aligned = values.reshape((1,) * (rank - values.ndim) + values.shape)
    if rank < 2 or aligned.size != aligned.shape[1]:
        raise UnsupportedError(f"{node.name}: {node.op} {DIFFERING_PIXELS}")
    return aligned.reshape(-1)
