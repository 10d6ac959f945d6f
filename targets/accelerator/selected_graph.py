"""The operators that the accelerator runs as a graph: for their order, for plans, for `model.onnx`.

Feature maps are tensors of signed 8 bits. Graph inputs and outputs are so, too, unless nodes that
run elsewhere read or write them: there, QuantizeLinear and DequantizeLinear stand between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.targets.accelerator.integer.constants import is_constant, values_of
from condense_compiler.targets.accelerator.integer.network import (
    IntegerNetwork,
    Map,
    Operator,
    Port,
)
from condense_compiler.targets.accelerator.parts import HostPart

DOMAIN = "condense.integer"
_OWN_FIELDS = ("name", "inputs", "output")

Part = IntegerNetwork | HostPart


def selected_graph(
    rewritten: Network, parts: Sequence[Part]
) -> tuple[Network, Mapping[int, Operator]]:
    """Return parts of a network as one, and what each of its nodes stands for, by identity.

    Args:
        rewritten: The network that the parts were selected from.
        parts: What runs, one part after the other.
    """
    drawing = _Drawing(rewritten, parts)
    for part in parts:
        if isinstance(part, HostPart):
            drawing.host(part.node)
        else:
            drawing.add(part)
    return drawing.network(), drawing.operators


@dataclass(slots=True)
class _Drawing:
    """The graph so far.

    Attributes:
        rewritten: The network that parts were selected from.
        parts: All parts.
        nodes: Nodes in their order.
        operators: What nodes stand for, by identity.
        tensors: Tensors that are known under the names of the rewritten network.
        maps: Tensors of feature maps.
    """

    rewritten: Network
    parts: Sequence[Part]
    nodes: list[gs.Node] = field(default_factory=list)
    operators: dict[int, Operator] = field(default_factory=dict)
    tensors: dict[str, gs.Tensor] = field(default_factory=dict)
    maps: dict[Map, gs.Variable] = field(default_factory=dict)
    _parts_of: dict[Map, list[Map]] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)
    _inside: set[str] = field(default_factory=set)
    _given: dict[str, gs.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        graph = self.rewritten.graph
        ends = [tensor.name for tensor in (*graph.inputs, *graph.outputs)]
        hosted = [p.node for p in self.parts if isinstance(p, HostPart)]
        read = [t for node in hosted for t in node.inputs if not is_constant(t)]
        between = [t.name for t in (*read, *(t for node in hosted for t in node.outputs))]
        for part in self.parts:
            if isinstance(part, IntegerNetwork):
                between += [*part.inputs, *part.outputs]
        # Ends that one part alone reads or writes are quantised outside.
        self._inside = {name for name in ends if ends.count(name) == between.count(name) == 1}
        self._names = set(ends) | set(between)
        self._given = graph.tensors()

    def host(self, node: gs.Node) -> None:
        """Add a node that runs elsewhere."""
        inputs = [self._read(tensor) for tensor in node.inputs]
        outputs = [t if t.is_empty() else self._tensor(t) for t in node.outputs]
        self.nodes.append(
            gs.Node(node.op, node.name, dict(node.attrs), inputs, outputs, node.domain)
        )

    def add(self, part: IntegerNetwork) -> None:
        """Add the operators of a part, and what quantises its ends."""
        self._collect_parts(part)
        for name, port in part.inputs.items():
            self._input(name, port)
        for operator in part.operators:
            self._operator(operator)
        for name, port in part.outputs.items():
            self._output(name, port)

    def network(self) -> Network:
        """Return the graph as a network."""
        graph = self.rewritten.graph
        made = gs.Graph(
            nodes=self.nodes,
            inputs=[self._tensor(tensor) for tensor in graph.inputs],
            outputs=[t if _is_fixed(t) else self._tensor(t) for t in graph.outputs],
            name=graph.name,
            opset=graph.opset,
            import_domains=list(graph.import_domains),
        )
        return Network(made, self.rewritten.name, self.rewritten.header, self.rewritten.source)

    def _read(self, tensor: gs.Tensor) -> gs.Tensor:
        if _is_fixed(tensor):
            return tensor
        if is_constant(tensor):
            return gs.Constant(self._free(tensor.name), values_of(tensor))
        return self._tensor(tensor)

    def _named(self, name: str) -> gs.Tensor:
        return self._tensor(self._given[name])

    def _tensor(self, tensor: gs.Tensor) -> gs.Tensor:
        if tensor.name not in self.tensors:
            shape = None if tensor.shape is None else list(tensor.shape)
            self.tensors[tensor.name] = gs.Variable(tensor.name, tensor.dtype, shape)
        return self.tensors[tensor.name]

    def _input(self, name: str, port: Port) -> None:
        if name in self._inside:
            given = gs.Variable(name, np.dtype(np.int8), list(port.shape))
            self.tensors[name] = self.maps[port.map] = given
            return
        self._between("QuantizeLinear", self._named(name), self._new(port.map), port)

    def _output(self, name: str, port: Port) -> None:
        held = self._variable(port.map)
        if name not in self._inside:
            self._between("DequantizeLinear", held, self._named(name), port)
            return
        result = gs.Variable(name, np.dtype(np.int8), list(port.shape))
        self.tensors[name] = result
        self._view(held, result, port.shape)

    def _between(self, op: str, source: gs.Tensor, result: gs.Tensor, port: Port) -> None:
        name = self._free(f"{result.name}/{op}")
        scale = gs.Constant(f"{name}/scale", np.array(port.map.scale, np.float32))
        zero = gs.Constant(f"{name}/zero", np.array(port.map.zero, np.int8))
        self.nodes.append(gs.Node(op, name, {}, [source, scale, zero], [result]))

    def _operator(self, operator: Operator) -> None:
        name = self._free(operator.name)
        attributes: dict[str, Any] = {
            "input_scales": [source.scale for source in operator.inputs],
            "input_zero_points": [source.zero for source in operator.inputs],
            "output_scale": operator.output.scale,
            "output_zero_point": operator.output.zero,
        }
        constants: dict[str, np.ndarray[Any, Any]] = {}
        _flatten(operator, "", attributes, constants)
        inputs: list[gs.Tensor] = [self._variable(source) for source in operator.inputs]
        inputs += [gs.Constant(f"{name}/{key}", values) for key, values in constants.items()]
        attributes["constants"] = list(constants)
        outputs = [self._new(operator.output)]
        node = gs.Node(type(operator).__name__, name, attributes, inputs, outputs, DOMAIN)
        self.nodes.append(node)
        self.operators[id(node)] = operator

    def _new(self, source: Map) -> gs.Variable:
        self.maps[source] = gs.Variable(
            self._free(source.name), np.dtype(np.int8), [1, *source.shape]
        )
        return self.maps[source]

    def _collect_parts(self, part: IntegerNetwork) -> None:
        """Find which maps are made of others, which operators write."""
        for operator in part.operators:
            made = operator.output
            while made.parent is not None:
                known = self._parts_of.setdefault(made.parent, [])
                if made in known:
                    break
                known.append(made)
                made = made.parent

    def _variable(self, source: Map) -> gs.Variable:
        """Return the tensor of a map: written, made of parts, or a view of another one."""
        if source in self.maps:
            return self.maps[source]
        parts = sorted(self._parts_of.get(source, ()), key=lambda part: part.first_channel)
        if not parts:
            assert source.parent is not None  # it would have been written
            return self._part(self._variable(source.parent), source, source.parent)
        held = [self._variable(part) for part in parts]
        result = self._new(source)
        if len(parts) == 1:
            self._view(held[0], result, (1, *source.shape))
        else:
            name = self._free(f"{result.name}/Concat")
            self.nodes.append(gs.Node("Concat", name, {"axis": 1}, held, [result]))
        return result

    def _part(self, whole: gs.Variable, source: Map, parent: Map) -> gs.Variable:
        result = self._new(source)
        if source.shape[1:] != parent.shape[1:] or source.shape == parent.shape:
            self._view(whole, result, (1, *source.shape))
            return result
        first, name = source.first_channel, self._free(f"{result.name}/Slice")
        limits = {"starts": first, "ends": first + source.shape[0], "axes": 1}
        constants = [gs.Constant(f"{name}/{k}", np.array([v])) for k, v in limits.items()]
        self.nodes.append(gs.Node("Slice", name, {}, [whole, *constants], [result]))
        return result

    def _view(self, source: gs.Tensor, result: gs.Tensor, shape: Sequence[int]) -> None:
        name = self._free(f"{result.name}/Reshape")
        target = gs.Constant(f"{name}/shape", np.array(shape, np.int64))
        self.nodes.append(gs.Node("Reshape", name, {}, [source, target], [result]))

    def _free(self, name: str) -> str:
        while name in self._names:
            name += "'"
        self._names.add(name)
        return name


def _is_fixed(tensor: gs.Tensor) -> bool:
    return isinstance(tensor, gs.Constant) or tensor.is_empty()


def _flatten(
    record: Any, prefix: str, attributes: dict[str, Any], constants: dict[str, Any]
) -> None:
    """Write a record as attributes, what is long as constants."""
    for each in fields(record):
        value, name = getattr(record, each.name), f"{prefix}{each.name}"
        if each.name in _OWN_FIELDS and not prefix:
            continue
        if is_dataclass(value):
            _flatten(value, f"{name}_", attributes, constants)
        elif isinstance(value, np.ndarray):
            constants[name] = value
        elif isinstance(value, bytes):
            constants[name] = np.frombuffer(value, np.int8)
        elif isinstance(value, tuple) and len(value) > 0:
            attributes[name] = list(value)
        elif isinstance(value, bool | int | float | str):
            attributes[name] = int(value) if isinstance(value, bool) else value
