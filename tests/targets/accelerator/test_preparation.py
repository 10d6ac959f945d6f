"""What runs before quantisation: the passes that were asked for, and the target's own steps."""

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
from kit.to_quantise import quantise
from onnx import TensorProto, helper, numpy_helper

import condense_compiler as cc
from condense_compiler.network import Network
from condense_compiler.rewriting import PassOutcome

pytestmark = pytest.mark.filterwarnings("ignore:no calibration samples")
STEPS = {
    "take_up_pads": 0,
    "turn_batch_norms_to_convolutions": 0,
    "turn_means_to_pools": 1,
    "turn_sums_to_additions": 0,
    "keep_first_limits": 0,
}


def network(last: str = "ReduceMean") -> onnx.ModelProto:
    """Return Pad, convolution, batch norm, and a mean over all pixels."""
    rng = np.random.default_rng(4)
    constants = {
        "weights": rng.standard_normal((6, 3, 3, 3)),
        "scale": rng.uniform(0.5, 2, 6),
        "bias": rng.standard_normal(6),
        "mean": rng.standard_normal(6),
        "variance": rng.uniform(0.5, 2, 6),
    }
    stored = [numpy_helper.from_array(v.astype(np.float32), n) for n, v in constants.items()]
    stored += [numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), "pads")]
    stored += [numpy_helper.from_array(np.array([2, 3]), "axes")]
    nodes = [
        helper.make_node("Pad", ["x", "pads"], ["padded"], name="pad"),
        helper.make_node("Conv", ["padded", "weights"], ["c"], name="conv"),
        helper.make_node("BatchNormalization", ["c", *list(constants)[1:]], ["n"], name="norm"),
        helper.make_node(last, ["n", "axes"][: 2 if last == "ReduceMean" else 1], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 7, 6))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 6, 1, 1))
    graph = helper.make_graph(nodes, "net", [x], [y], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_passes_before_quantisation_are_in_the_report() -> None:
    report = cc.compile(network(), "accelerator").report
    assert (report.rewrites["fold_pads"], report.rewrites["fold_batch_norm"]) == (1, 1)
    assert {name: report.prepared[name] for name in STEPS} == STEPS
    assert report.prepared["quantise"] > 0
    assert report.succeeded


def test_no_passes_are_none_and_the_steps_of_the_target_are_named() -> None:
    report = cc.compile(network(), "accelerator", passes=[]).report
    assert report.rewrites == {}
    assert report.refused == []
    assert report.prepared["turn_batch_norms_to_convolutions"] == 1
    assert report.prepared["take_up_pads"] == 1
    assert report.succeeded


def test_the_passes_that_are_asked_for_run_and_no_others() -> None:
    report = cc.compile(network(), "accelerator", passes=["fold_batch_norm"]).report
    assert report.rewrites == {"fold_batch_norm": 1}
    assert report.prepared["turn_batch_norms_to_convolutions"] == 0
    assert report.succeeded


def test_a_quantised_model_is_given_its_pads(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    types = (TensorProto.UINT8, TensorProto.INT8)
    quantise(network("GlobalAveragePool"), path, types, "QDQ", per_channel=False)
    report = cc.compile(path, "accelerator", passes="clean_up").report
    assert report.prepared == {"take_up_pads": 1}
    assert list(report.rewrites) == ["clean_up"]


class Watching:
    """A pass that notes the operators that it sees."""

    name: ClassVar[str] = "fold_pads"

    def __init__(self) -> None:
        self.seen: list[set[str]] = []

    def apply(self, seen: Network) -> PassOutcome:
        """Do nothing."""
        self.seen.append({node.op for node in seen.graph.nodes})
        return PassOutcome()


def test_a_pass_runs_before_quantisation_and_behind_it() -> None:
    watching = Watching()
    report = cc.compile(network(), "accelerator", passes=[watching]).report
    before, behind = watching.seen
    assert "BatchNormalization" in before
    assert "BatchNormalization" not in behind
    assert report.rewrites == {"fold_pads": 0}
    assert json.dumps(report.to_dict())
