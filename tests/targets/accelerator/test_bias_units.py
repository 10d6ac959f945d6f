"""Biases in other units than those of the sums that they are added to."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from kit.layers import Layer, Network, Window
from kit.numerics import random_feeds
from kit.quantising import quantised
from onnx import helper

import condense_compiler as cc
from condense_compiler.targets.accelerator.quantisation.bias_units import (
    layers_with_bias_in_other_units,
)


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
def test_shared_biases_are_added_as_onnx_runtime_adds_them(tmp_path: Path, shared: bool) -> None:
    given = model(tmp_path, shared)
    assert bool(layers_with_bias_in_other_units(given)) == shared
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*units of another layer")
        compilation = cc.compile(given, target="accelerator")
    session = ort.InferenceSession(given.SerializeToString(), providers=["CPUExecutionProvider"])
    for seed in range(4):
        feeds = random_feeds(given, seed)
        [expected], [found] = session.run(None, feeds), compilation.run(feeds).values()
        assert np.array_equal(found, expected)
