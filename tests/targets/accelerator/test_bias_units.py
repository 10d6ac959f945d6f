"""Models whose biases ONNX Runtime's optimiser takes for others."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from kit.layers import Layer, Network, Window
from kit.numerics import random_feeds, run_onnxruntime
from kit.quantising import quantised
from onnx import helper

import condense_compiler as cc
from condense_compiler.targets.accelerator import running
from condense_compiler.targets.accelerator.agreement import Agreement
from condense_compiler.targets.accelerator.bias_units import has_bias_in_other_units
from condense_compiler.targets.accelerator.lowered import AcceleratorProgram


def model(folder: Path, shared: bool) -> onnx.ModelProto:
    """Return a model in 8 bits, one of whose layers may have the bias of another."""
    layer = Layer("reduce_max", 6, 2, Window((3, 3), pads=(1,) * 4), before=("leaky_relu",))
    given = quantised(Network((layer, layer), opset=18).build(), folder)
    first, second = (node for node in given.graph.node if node.op_type == "Conv")
    if shared:  # as exporters write it
        given.graph.node.insert(0, helper.make_node("Identity", [first.input[2]], ["shared"]))
        second.input[2] = "shared"
    nodes = list(given.graph.node)
    nodes.sort(key=lambda node: node.op_type != "DequantizeLinear" or "bias" not in node.name)
    del given.graph.node[:]
    given.graph.node.extend(nodes)
    return given


@pytest.mark.parametrize("shared", [False, True])
def test_operators_are_judged_one_by_one_where_the_optimiser_may_err(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared: bool
) -> None:
    """Of real networks that share biases, the optimiser's results are far from the model's."""
    given = model(tmp_path, shared)
    assert has_bias_in_other_units(given) == shared
    feeds = random_feeds(given)
    compilation = cc.compile(given, target="accelerator", verify_outputs=False)
    [plain], [found] = run_onnxruntime(given, feeds).values(), compilation.run(feeds).values()
    assert np.abs(found - plain).max() <= 0.02 * np.abs(plain).max()
    lowered = compilation.lowered
    assert isinstance(lowered, AcceleratorProgram)
    assert lowered.verify(feeds).passed
    far = Agreement(elements=100, differing=50, largest_steps=83)
    monkeypatch.setattr(running, "compare_outputs", lambda *_: far)
    assert lowered.verify(feeds).passed == shared
