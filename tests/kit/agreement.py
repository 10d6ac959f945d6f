"""Compiling a model for every target that runs anywhere, and comparing it with ONNX Runtime."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

import condense_compiler as cc
from condense_compiler.driver import plan_request
from condense_compiler.request import Request
from kit.numerics import assert_close, random_feeds, run_onnxruntime
from kit.small_models import constant, model, node, value

TARGETS = ("reference", "onnxruntime")
CHANNELS = 8


def agree(
    source: onnx.ModelProto, targets: Sequence[str] = TARGETS, tolerance: float | None = None
) -> list[cc.Compilation]:
    """Check that a model compiles for the targets and computes what ONNX Runtime computes.

    Args:
        source: The model.
        targets: Names of the targets.
        tolerance: Largest difference, relative to the largest magnitude; the type's own where it
            is not given.

    Returns:
        The compilations, one for each target.
    """
    feeds = random_feeds(source, seed=3)
    expected = run_onnxruntime(source, feeds)
    assert plan_request(Request.of(source)).picture().after.arena_bytes
    compiled = []
    for target in targets:
        compilation = cc.compile(source, target)
        report = compilation.report
        assert report.verification is not None
        assert report.verification.passed
        assert report.after.arena_bytes <= report.before.arena_bytes
        assert_close(compilation.run(feeds), expected, tolerance)
        compiled.append(compilation)
    return compiled


def convolved(
    nodes: Sequence[onnx.NodeProto],
    outputs: Sequence[Any],
    constants: Sequence[onnx.TensorProto] = (),
    *,
    opset: int = 13,
    batch: int = 1,
    domains: Sequence[str] = (),
    inputs: Sequence[Any] = (),
) -> onnx.ModelProto:
    """Return a model whose nodes read `c`, eight maps of 7x6 convolved from the input `x`.

    Args:
        nodes: The nodes behind the convolution.
        outputs: Names or types of the outputs.
        constants: What the nodes read beside `c`.
        opset: Version of the operators.
        batch: Size of the batch.
        domains: Other domains of operators.
        inputs: Inputs beside `x`.
    """
    weights = np.random.default_rng(1).normal(0, 0.3, (CHANNELS, 3, 3, 3))
    return model(
        [node("Conv", ["x", "w"], ["c"], pads=[1] * 4), *nodes],
        [value("x", [batch, 3, 7, 6]), *inputs],
        [value(o, None) if isinstance(o, str) else o for o in outputs],
        [constant("w", weights), *constants],
        opset=opset,
        domains=domains,
    )


def integers(name: str, *values: int) -> onnx.TensorProto:
    """Return a vector of integers."""
    return constant(name, list(values), np.int64)


def integer(name: str, number: int) -> onnx.TensorProto:
    """Return an integer without axes."""
    return constant(name, number, np.int64)


def branch(
    nodes: Sequence[onnx.NodeProto],
    outputs: Sequence[str],
    constants: Sequence[onnx.TensorProto] = (),
) -> onnx.GraphProto:
    """Return the graph of a branch, which reads what it likes from outside."""
    return helper.make_graph(
        list(nodes), "branch", [], [value(o, None) for o in outputs], list(constants)
    )


def operators(compilation: cc.Compilation) -> list[str]:
    """Return the operators of a compiled network."""
    return [n.op for n in compilation.program.network.graph.nodes]
