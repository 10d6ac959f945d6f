"""What makes a compiled network differ is found: pass, rewrite, tensor, operator of a target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from kit.command import Condense
from kit.damage import seal
from kit.numerics import assert_close, random_feeds, run_onnxruntime
from kit.quantising import quantised
from kit.topology_writer import SPATIAL, WIDE, TopologyWriter, build
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType

from condense_compiler import passes
from condense_compiler.bisection import Lowering, bisect, finding_text
from condense_compiler.network import Network, load_network
from condense_compiler.network.selection import Selection
from condense_compiler.passes import DEFAULT_PASSES
from condense_compiler.rewriting import PassOutcome, Rewrite, run_passes
from condense_compiler.rewriting.partly import apply_partly
from condense_compiler.targets import find_target
from condense_compiler.targets.reference import operators
from condense_compiler.targets.reference.kernel import Kernel, NodeContext
from condense_compiler.verification.pass_bisection import Culprit

REFERENCE = find_target("reference")
CONVOLUTIONS = 6
SHAPE = (1, 3, 6, 5)


@dataclass(frozen=True)
class Scale:
    """Gives every convolution new filters: the same ones, but for one convolution."""

    name: ClassVar[str] = "scale"
    wrong: str | None = "conv3"
    factor: float = -1.0

    def apply(self, network: Network) -> PassOutcome:
        """Rewrite what it recognises."""
        rewrites = []
        for node in network.graph.nodes:
            if node.op == "Conv" and f"{self.name}/" not in node.inputs[1].name:
                factor = np.float32(self.factor if node.name == self.wrong else 1.0)
                filters = gs.Constant(f"{self.name}/{node.name}", node.inputs[1].values * factor)
                node.inputs[1] = filters
                rewrites.append(Rewrite(node.name, "Conv"))
        return PassOutcome(tuple(rewrites))


@dataclass(frozen=True)
class Secretive:
    """Changes what it does not tell."""

    name: ClassVar[str] = "secretive"

    def apply(self, network: Network) -> PassOutcome:
        """Negate the first filters and rewrite the last."""
        first = network.graph.nodes[0]
        first.inputs[1] = gs.Constant("secret", -first.inputs[1].values)
        last = [node for node in network.graph.nodes if node.op == "Conv"][-1]
        return PassOutcome((Rewrite(last.name, "Conv"),))


def chain() -> onnx.ModelProto:
    """Return convolutions with an activation behind each."""
    generator = np.random.default_rng(7)
    nodes, filters, tensor = [], [], "x"
    for number in range(CONVOLUTIONS):
        values = generator.standard_normal((3, 3, 3, 3)).astype(np.float32) / 5
        filters.append(numpy_helper.from_array(values, f"filters{number}"))
        names = [tensor, f"filters{number}"]
        conv, act = f"conv{number}", "Sigmoid" if number == 4 else "Tanh"
        nodes.append(helper.make_node("Conv", names, [f"{conv}_out"], name=conv, pads=[1] * 4))
        tensor = f"act{number}"
        nodes.append(helper.make_node(act, [f"{conv}_out"], [tensor], name=f"{act}{number}"))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in ("x", tensor)]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], filters)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize("number", range(CONVOLUTIONS))
def test_the_first_wrong_rewrite_is_named(number: int) -> None:
    steps = [*DEFAULT_PASSES, Scale(f"conv{number}")]
    finding = bisect(chain(), REFERENCE, Selection(), steps)
    assert isinstance(finding, Culprit)
    assert finding.rewrite is not None
    assert (finding.pass_name, finding.rewrite.node) == ("scale", f"conv{number}")
    assert (finding.number, finding.rewrites) == (number + 1, CONVOLUTIONS)
    assert finding.tensor is not None
    assert (finding.tensor.tensor, finding.tensor.op) == (f"conv{number}_out", "Conv")
    assert not finding.verification.passed


def test_the_first_of_two_wrong_passes_is_named() -> None:
    @dataclass(frozen=True)
    class Later(Scale):
        name: ClassVar[str] = "later"

    finding = bisect(chain(), REFERENCE, Selection(), [Scale("conv5"), Later("conv1")])
    assert isinstance(finding, Culprit)
    assert finding_text(finding).startswith("pass scale ")


def test_a_pass_that_changes_what_it_does_not_tell_is_named_without_a_rewrite() -> None:
    finding = bisect(chain(), REFERENCE, Selection(), [Secretive()])
    assert isinstance(finding, Culprit)
    assert finding.rewrite is None
    assert finding.tensor is not None
    assert finding.tensor.tensor == "conv0_out"
    assert "none of its 1 rewrites by itself" in finding_text(finding)


def test_what_is_right_has_no_culprit() -> None:
    assert bisect(chain(), REFERENCE, Selection(), [*DEFAULT_PASSES, Scale(None)]) is None


def wrong_kernel(builder: Callable[[NodeContext], Kernel | None]) -> object:
    """Return a builder whose kernels write three times what they should."""

    def build(context: NodeContext) -> Kernel | None:
        kernel = builder(context)
        if kernel is None:
            return None

        def compute(inputs, outputs, scratch) -> None:
            kernel.compute(inputs, outputs, scratch)
            outputs[0] *= 3

        return replace(kernel, compute=compute)

    return build


@pytest.mark.parametrize("exposed", [True, False])
def test_the_operator_that_a_target_gets_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, exposed: bool
) -> None:
    key = ("", "Sigmoid")
    table = {**operators.BUILDERS, key: wrong_kernel(operators.BUILDERS[key])}
    monkeypatch.setattr(operators, "BUILDERS", table)
    if not exposed:  # as if the fault went away where every tensor is an output
        monkeypatch.setattr("condense_compiler.bisection._operator_among_all", lambda *_: None)
    finding = bisect(chain(), REFERENCE, Selection(), DEFAULT_PASSES)
    assert isinstance(finding, Lowering)
    assert finding.operator is not None
    assert (finding.target, finding.operator.node) == ("reference", "Sigmoid4")
    assert "the target reference does" in finding_text(finding)


@pytest.mark.filterwarnings("ignore:no calibration samples")
def test_the_accelerator_is_compared_with_what_it_prepared() -> None:
    target = find_target("accelerator")
    assert bisect(chain(), target, Selection(), DEFAULT_PASSES) is None
    finding = bisect(chain(), target, Selection(), [NegateCodes(), *DEFAULT_PASSES])
    assert isinstance(finding, Culprit)
    assert finding_text(finding).startswith("pass negate_codes ")


@dataclass(frozen=True)
class NegateCodes:
    """Negates filters of 8 bits."""

    name: ClassVar[str] = "negate_codes"

    def apply(self, network: Network) -> PassOutcome:
        """Negate the first ones."""
        for node in network.graph.nodes:
            for index, tensor in enumerate(node.inputs):
                if isinstance(tensor, gs.Constant) and len(tensor.shape) == 4:
                    node.inputs[index] = gs.Constant("negated", -tensor.values)
                    return PassOutcome((Rewrite(node.name, node.op),))
        return PassOutcome()


def rich() -> onnx.ModelProto:
    """Return a network in which every pass for floats has several things to do."""

    def write(graph: TopologyWriter) -> Sequence[str]:
        outputs = []
        for spelling in ("reduce_max", "split_max", "reduce_mean"):
            pads = graph.constant([0, 0, 1, 0, 0, 0, 1, 0])
            padded = graph.write("Pad", graph.write("Identity", "input"), pads)
            weights = graph.write("Mul", graph.random_constant(WIDE, 3, 3, 1), graph.constant(2.0))
            wide = graph.write("Conv", padded, weights)
            if spelling != "reduce_mean":
                wide = graph.write("LeakyRelu", graph.write("Mul", wide, graph.constant(0.5)))
            outputs.append(graph.pooled(wide, spelling))
            shuffled = graph.reshape(graph.write("Relu", graph.wide()), (1, 2, 4, *SPATIAL))
            shuffled = graph.write("Transpose", shuffled, perm=[0, 2, 1, 3, 4])
            outputs.append(graph.reshape(shuffled, (1, WIDE, *SPATIAL)))
        return outputs

    return build(write)


def check_first_rewrites(model: onnx.ModelProto, tolerance: float | None) -> set[str]:
    """Check that each pass can do any number of its rewrites; return those with some to do."""
    network, feeds, done = load_network(model), random_feeds(model), set()
    expected = run_onnxruntime(model, feeds)
    for step in DEFAULT_PASSES:
        before = network.copy()
        [applied] = run_passes(network, [step])
        rewrites = applied.outcome.rewrites
        for count in sorted({0, len(rewrites) // 2}) if rewrites else ():
            partial = before.copy()
            kept = {rewrite.node for rewrite in rewrites[:count]}
            outcome = apply_partly(step, partial, {r.node for r in rewrites} - kept)
            assert {rewrite.node for rewrite in outcome.rewrites} <= kept
            assert_close(run_onnxruntime(partial.to_model(), feeds), expected, tolerance)
            done.add(step.name)
    return done


def test_every_pass_can_be_kept_from_some_of_its_rewrites() -> None:
    assert check_first_rewrites(rich(), 1e-5) >= {
        *("clean_up", "fold_constants", "fold_pads", "fold_batch_norm", "cross_channel_pooling"),
        *("postpone_activations", "fold_channel_shuffle", "fold_linear_pooling"),
    }


def test_passes_on_codes_can_be_kept_from_some_of_their_rewrites(tmp_path: Path) -> None:
    given = quantised(rich(), tmp_path, maps=QuantType.QInt8)
    assert check_first_rewrites(given, 2e-2) >= {"drop_signs", "stay_in_codes"}


def test_the_command_names_pass_and_rewrite(
    condense: Condense, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx.save(chain(), tmp_path / "net.onnx")
    monkeypatch.setattr(passes, "_BY_NAME", {**passes._BY_NAME, "scale": Scale()})
    options = ("--passes", "clean_up,scale", "-o", tmp_path / "out")
    compiled = condense("compile", tmp_path / "net.onnx", *options)
    assert compiled.status == 1
    assert f"condense verify {tmp_path / 'out'} --bisect" in compiled.out
    found = condense("verify", tmp_path / "out", "--bisect")
    assert found.status == 1
    assert "pass scale changes the outputs" in found.out
    assert "rewrite 4 of 6, at node 'conv3'" in found.out


def test_the_command_says_when_the_folder_is_to_blame(condense: Condense, tmp_path: Path) -> None:
    onnx.save(chain(), tmp_path / "net.onnx")
    condense("compile", tmp_path / "net.onnx", "-o", tmp_path / "out")
    assert condense("verify", tmp_path / "out", "--bisect").status == 0
    model = onnx.load(tmp_path / "out" / "model.onnx")
    filters = next(t for t in model.graph.initializer if list(t.dims) == [3, 3, 3, 3])
    negated = numpy_helper.from_array(-numpy_helper.to_array(filters), filters.name)
    filters.CopyFrom(negated)
    onnx.save(model, tmp_path / "out" / "model.onnx")
    changed = condense("verify", tmp_path / "out", "--bisect")
    assert changed.status == 2
    assert "changed since" in changed.err
    seal(tmp_path / "out")
    found = condense("verify", tmp_path / "out", "--bisect")
    assert found.status == 1
    assert "compiled again, the outputs agree" in found.out
