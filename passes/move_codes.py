"""Moves codes instead of their values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import bypass, sole_reader
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.attributes import constant_input
from condense_compiler.operators.definition import Moved
from condense_compiler.operators.quantising import codes_of
from condense_compiler.operators.registry import moved
from condense_compiler.passes.tracing.codes import Quantisation
from condense_compiler.passes.tracing.quantisation_rules import dequantisation, quantisation
from condense_compiler.passes.tracing.quantised import FIRST_OPSET
from condense_compiler.passes.tracing.quantised_building import remove_unread_dequantisations
from condense_compiler.rewriting.contract import PassOutcome, Rewrite


@dataclass(frozen=True)
class MoveCodes:
    """Dequantise behind operators that move values, and quantise in front of them.

    What is quantised again in the same way right behind is then not dequantised at all.
    """

    name: ClassVar[str] = "move_codes"

    def apply(self, network: Network) -> PassOutcome:
        """Rewrite every operator that moves the values of codes to where codes are wanted."""
        graph = network.graph
        is_quantised = any(node.op == "DequantizeLinear" for node in graph.nodes)
        if network.opset < FIRST_OPSET or not is_quantised:
            return PassOutcome()
        rewrites, nodes, wanted = list[Rewrite](), list[gs.Node](), _wanted_as_codes(graph)
        for node in graph.nodes:
            nodes.append(node)
            dequantising = _moved(node, wanted)
            if dequantising:
                nodes += dequantising
                rewrites.append(Rewrite(node.name, f"DequantizeLinear → {node.op}"))
        graph.nodes = nodes
        rewrites += _quantise_earlier(graph)
        rewrites += [
            Rewrite(node.name, "DequantizeLinear → QuantizeLinear")
            for node in list(graph.nodes)
            if _changes_nothing(node) and bypass(graph, node, node.inputs[0].inputs[0].inputs[0])
        ]
        remove_unread_dequantisations(graph)
        return PassOutcome(tuple(rewrites))


def _moved(node: gs.Node, wanted: set[int]) -> list[gs.Node]:
    """Let a node move codes; return what dequantises its results, nothing if it stays."""
    facts = moved(node)
    grid = _common_quantisation(node, facts) if facts is not None else None
    if facts is None or grid is None or not _is_worth_it(node, wanted):
        return []
    if not _takes_fill(node, facts, grid):
        return []
    for index in facts.inputs:
        node.inputs[index] = node.inputs[index].inputs[0].inputs[0]
    outputs = [tensor for tensor in node.outputs if not tensor.is_empty()]
    codes = [gs.Variable(f"{tensor.name}/codes", grid.dtype, tensor.shape) for tensor in outputs]
    node.outputs = [codes.pop(0) if not t.is_empty() else t for t in node.outputs]
    return [
        gs.Node(
            "DequantizeLinear",
            f"{MoveCodes.name}/{values.name}",
            {},
            [moved, *_constants(f"{values.name}/codes", grid)],
            [values],
        )
        for moved, values in zip(
            (t for t in node.outputs if not t.is_empty()), outputs, strict=True
        )
    ]


def _quantise_earlier(graph: gs.Graph) -> list[Rewrite]:
    """Quantise what an operator reads that moves values to be quantised, and to nothing else."""
    nodes, rewrites = list[gs.Node](), list[Rewrite]()
    for node in reversed(list(graph.nodes)):
        nodes.append(node)
        facts = moved(node)
        quantising = _quantising(graph, node) if facts is not None else []
        grid = quantisation(quantising[0], 1) if quantising else None
        if facts is None or grid is None or not _writes_fill(node, facts, grid):
            continue
        for index in facts.inputs:
            values, name = node.inputs[index], f"{node.name}/{index}/codes"
            node.inputs[index] = gs.Variable(name, grid.dtype, values.shape)
            inputs, outputs = [values, *_constants(name, grid)], [node.inputs[index]]
            nodes.append(gs.Node("QuantizeLinear", f"{MoveCodes.name}/{name}", {}, inputs, outputs))
        codes = iter([reader.outputs[0] for reader in quantising])
        node.outputs = [t if t.is_empty() else next(codes) for t in node.outputs]
        for reader in quantising:
            reader.inputs.clear()
            reader.outputs.clear()
        rewrites.append(Rewrite(node.name, f"{node.op} → QuantizeLinear"))
    graph.nodes = [node for node in reversed(nodes) if node.outputs]
    return rewrites


def _quantising(graph: gs.Graph, node: gs.Node) -> list[gs.Node]:
    """Return the readers of a node if all of them quantise alike, one for each result."""
    results = [tensor for tensor in node.outputs if not tensor.is_empty()]
    readers = [reader for tensor in results if (reader := sole_reader(graph, tensor)) is not None]
    if len(readers) < len(results) or any(_maker(reader) is not node for reader in readers):
        return []
    alike = len({quantisation(reader, 1) for reader in readers}) == 1
    return readers if alike and all(reader.op == "QuantizeLinear" for reader in readers) else []


def _maker(reader: gs.Node) -> gs.Node | None:
    """Return what computes the data of a node."""
    return next(iter(reader.inputs[0].inputs), None)


def _common_quantisation(node: gs.Node, facts: Moved) -> Quantisation | None:
    """Return what the codes mean whose values a node moves; None if there is no one answer."""
    grids: set[Quantisation] = set()
    for index in facts.inputs:
        source = dequantisation(node.inputs[index])
        grid = quantisation(source, 1) if source is not None else None
        if grid is None:
            return None
        grids.add(grid)
    return grids.pop() if len(grids) == 1 else None


def _is_worth_it(node: gs.Node, wanted: set[int]) -> bool:
    """Tell whether less is stored if a node moves codes.

    If it makes maps larger, all results must be wanted as codes; otherwise one is enough.
    """
    results = [tensor for tensor in node.outputs if not tensor.is_empty()]
    are_wanted = [id(tensor) in wanted for tensor in results]
    read = sum({id(t): tensor_bytes(t) for t in node.inputs if t.inputs}.values())
    grows = sum(map(tensor_bytes, results)) > read
    return all(are_wanted) if grows else any(are_wanted)


def _wanted_as_codes(graph: gs.Graph) -> set[int]:
    """Return the maps, by identity, that are quantised behind, at most behind further moves.

    An operator on them may stand in between, as long as its result is quantised.
    """
    outputs, wanted = {id(tensor) for tensor in graph.outputs}, set[int]()
    for node in reversed(graph.nodes):
        results = [tensor for tensor in node.outputs if not tensor.is_empty()]
        facts, ends = moved(node), node.op == "QuantizeLinear"
        wants = (
            any(id(t) in wanted for t in results) if facts else _is_quantised_behind(graph, node)
        )
        if ends or wants:
            data = facts.inputs if facts is not None else range(len(node.inputs))
            wanted |= {id(node.inputs[index]) for index in data} - outputs
    return wanted


def _is_quantised_behind(graph: gs.Graph, node: gs.Node) -> bool:
    """Tell whether the result of a node is quantised, behind at most an activation."""
    reader = sole_reader(graph, node.outputs[0]) if len(node.outputs) == 1 else None
    if reader is not None and reader.op in ("Clip", "Relu"):
        reader = sole_reader(graph, reader.outputs[0])
    return reader is not None and reader.op == "QuantizeLinear"


def _takes_fill(node: gs.Node, facts: Moved, grid: Quantisation) -> bool:
    """Write the value that is put where there is none as a code, if it is the value of one."""
    number = _fill(node, facts)
    if number is None:
        return facts.fill is None
    code, limits = np.rint(number / np.float32(grid.scale)) + grid.zero, np.iinfo(grid.dtype)
    if not limits.min <= code <= limits.max:
        return False
    if (np.float32(code) - np.float32(grid.zero)) * np.float32(grid.scale) != number:
        return False
    return _writes_fill(node, facts, grid)


def _writes_fill(node: gs.Node, facts: Moved, grid: Quantisation) -> bool:
    """Quantise the value that is put where there is none, if it is known."""
    number = _fill(node, facts)
    if facts.fill is None or number is None:
        return facts.fill is None
    scale, zero = np.array(grid.scale, np.float32), np.array(grid.zero, grid.dtype)
    node.inputs += [gs.Variable.empty() for _ in range(facts.fill + 1 - len(node.inputs))]
    name = f"{MoveCodes.name}/{node.name}/fill"
    node.inputs[facts.fill] = gs.Constant(name, codes_of(np.asarray(number), scale, zero))
    return True


def _fill(node: gs.Node, facts: Moved) -> np.float32 | None:
    """Return the value that is put where there is none; None if that is not known."""
    if facts.fill is None:
        return None
    given = facts.fill < len(node.inputs) and not node.inputs[facts.fill].is_empty()
    value = constant_input(node, facts.fill) if given else np.zeros((), np.float32)
    if value is None or value.size != 1 or not np.isfinite(value).all():
        return None
    return np.float32(value.reshape(()))


def _changes_nothing(node: gs.Node) -> bool:
    """Tell whether a node makes of values the very codes that they are values of."""
    source = dequantisation(node.inputs[0]) if node.op == "QuantizeLinear" else None
    if source is None or isinstance(source.inputs[0], gs.Constant) or node.domain:
        return False
    grid = quantisation(node, 1)
    return grid is not None and quantisation(source, 1) == grid


def _constants(name: str, grid: Quantisation) -> Sequence[gs.Constant]:
    return [
        gs.Constant(f"{name}/scale", np.array(grid.scale, np.float32)),
        gs.Constant(f"{name}/zero", np.array(grid.zero, grid.dtype)),
    ]
