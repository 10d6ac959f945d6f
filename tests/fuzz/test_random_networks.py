"""Random valid networks compile, compute what ONNX Runtime computes, and do not grow.

`make fuzz` checks many more.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest

from condense_compiler import driver
from condense_compiler.network import Network
from condense_compiler.operators.registry import DEFINITIONS
from condense_compiler.rewriting import PassOutcome, Rewrite
from condense_compiler.targets.reference.operators import BUILDERS
from fuzz.check import failures, targets_of
from fuzz.draft import session_of
from fuzz.generate import OPSETS, Generated, generate
from fuzz.minimise import minimised

NETWORKS, CHUNK = 300, 10


@pytest.mark.parametrize("first", range(0, NETWORKS, CHUNK))
def test_networks(first: int) -> None:
    found = []
    for seed in range(first, first + CHUNK):
        network = generate(seed)
        failed = failures(network.model, network.feeds, targets_of(seed))
        found += [(seed, failure) for failure in failed]
    assert not found


def test_the_same_seed_gives_the_same_network() -> None:
    one, other = generate(17), generate(17)
    assert one.model == other.model
    assert all(np.array_equal(one.feeds[name], other.feeds[name]) for name in one.feeds)
    assert generate(18).model != one.model


def test_networks_are_valid_and_of_every_kind() -> None:
    operators: set[str] = set()
    opsets, batches, types = set(), set(), set()
    shared = read_inside = 0
    for seed in range(1000):
        network = generate(seed)
        graph = network.model.graph
        onnx.checker.check_model(network.model, full_check=True)
        if seed < 50:
            session_of(network.model).run(None, network.feeds)
        operators |= {node.op_type for node in graph.node}
        opsets.add(network.model.opset_import[0].version)
        batches.add(graph.input[0].type.tensor_type.shape.dim[0].dim_value)
        types.add(graph.input[0].type.tensor_type.elem_type)
        reads = [name for node in graph.node for name in node.input]
        shared += any(reads.count(tensor.name) > 1 for tensor in graph.initializer)
        read_inside += any(output.name in reads for output in graph.output)
    assert opsets == set(OPSETS)
    assert batches == {1, 2, 3}
    assert len(types) == 3
    assert min(shared, read_inside) > 50
    known = {op for domain, op in (*BUILDERS, *DEFINITIONS) if not domain}
    known -= {"Upsample"}  # which opset 10 replaced by Resize
    known -= {"ReduceLogSum"}  # of which random maps mostly give NaN
    assert known <= operators


def contains(op: str) -> object:
    def fails(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> bool:
        session_of(model).run(None, feeds)  # what is tried is always valid
        return any(node.op_type == op for node in model.graph.node)

    return fails


def network_with(op: str) -> Generated:
    """Return the first network that has an operator among many."""
    networks = (generate(seed) for seed in range(1000))
    return next(
        network
        for network in networks
        if len(network.model.graph.node) > 8
        and op in (operators := {node.op_type for node in network.model.graph.node})
        and "DequantizeLinear" not in operators
    )


@pytest.mark.parametrize("op", ["Conv", "Concat", "MatMul"])
def test_a_network_that_fails_is_made_smaller(op: str) -> None:
    network, fails = network_with(op), contains(op)
    model, feeds = minimised(network.model, network.feeds, network.values, fails)
    assert fails(model, feeds)
    assert [node.op_type for node in model.graph.node if node.op_type != "Constant"] == [op]


@dataclass(frozen=True)
class Negate:
    """Gets the first operator wrong."""

    name: ClassVar[str] = "negate"

    def apply(self, network: Network) -> PassOutcome:
        """Negate its result."""
        node = network.graph.nodes[0]
        result = node.outputs[0]
        inner = gs.Variable("inner", result.dtype, result.shape)
        node.outputs[0] = inner
        network.graph.nodes.insert(1, gs.Node("Neg", "negated", inputs=[inner], outputs=[result]))
        return PassOutcome((Rewrite(node.name, node.op),))


@dataclass(frozen=True)
class Widen:
    """Stores what the network returns three times in between."""

    name: ClassVar[str] = "widen"

    def apply(self, network: Network) -> PassOutcome:
        """Repeat the results, and take the first of them."""
        output = network.graph.outputs[0]
        node = output.inputs[0]
        wide_shape = [3 * output.shape[0], *output.shape[1:]]
        inner, wide = (
            gs.Variable(name, output.dtype, shape)
            for name, shape in (("inner", output.shape), ("wide", wide_shape))
        )
        node.outputs[0] = inner
        repeats = gs.Constant("repeats", np.array([3, *[1] * (len(output.shape) - 1)]))
        part = [
            gs.Constant(f"part{n}", np.array([v])) for n, v in enumerate((0, output.shape[0], 0))
        ]
        network.graph.nodes += [
            gs.Node("Tile", "tiled", inputs=[inner, repeats], outputs=[wide]),
            gs.Node("Slice", "taken", inputs=[wide, *part], outputs=[output]),
        ]
        return PassOutcome((Rewrite(node.name, node.op),))


@pytest.mark.parametrize(("step", "kind"), [(Negate(), "wrong"), (Widen(), "grew")])
def test_faults_are_seen(monkeypatch: pytest.MonkeyPatch, step: object, kind: str) -> None:
    """On a convolution alone, which nothing else can mend."""
    monkeypatch.setattr(driver, "DEFAULT_PASSES", (step,))
    monkeypatch.setattr(driver, "retreat", lambda rewritten, *_: rewritten)
    network = network_with("Conv")
    model, feeds = minimised(network.model, network.feeds, network.values, contains("Conv"))
    found = list(failures(model, feeds, ("reference", "onnxruntime")))
    assert [(failure.target, failure.kind) for failure in found] == [
        ("reference", kind),
        ("onnxruntime", kind),
    ]


def test_what_nobody_foresaw_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Raise:
        name: ClassVar[str] = "raise"

        def apply(self, _network: Network) -> PassOutcome:
            raise KeyError("x")

    monkeypatch.setattr(driver, "DEFAULT_PASSES", (Raise(),))
    network = generate(3)
    [found] = failures(network.model, network.feeds, ("reference",))
    assert (found.kind, found.text) == ("crash", "KeyError: 'x'")
