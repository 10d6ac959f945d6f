"""Biases in other units than those of the sums that they are added to."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from kit.layers import Layer, Network, Window
from kit.quantising import quantised
from onnx import helper

import condense_compiler as cc
from condense_compiler.targets.accelerator.isa.buffers import BIAS_FRACTION_BITS


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
def test_shared_biases_are_what_the_model_says(tmp_path: Path, shared: bool) -> None:
    """ONNX Runtime's optimiser adds the codes of a shared bias as if its units were the layer's."""
    compilation = cc.compile(model(tmp_path, shared), target="accelerator")
    assert compilation.report.verification.passed
    biases = [operator.bias for operator in compilation.lowered.network.operators]
    assert np.any(biases[1] % (1 << BIAS_FRACTION_BITS)) == shared
