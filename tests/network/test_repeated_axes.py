"""Reductions that name an axis twice reduce it once, as ONNX Runtime does."""

import numpy as np
import pytest
from kit.codes_writer import CodesWriter
from kit.numerics import random_feeds, run_onnxruntime

import condense_compiler as cc


@pytest.mark.parametrize("axes", [[1, 1], [-1, 3], [2, -2, 0]])
@pytest.mark.parametrize("opset", [11, 18])
@pytest.mark.parametrize("op", ["ReduceMean", "ReduceMax", "ReduceSum"])
def test_an_axis_named_twice(op: str, opset: int, axes: list[int]) -> None:
    w = CodesWriter()
    as_input = opset >= (13 if op == "ReduceSum" else 18)
    named = [w.constant(np.array(axes))] if as_input else []
    attributes = {} if as_input else {"axes": axes}
    model = w.model([w.apply(op, "x", *named, keepdims=0, **attributes)[0]], (2, 3, 4, 5), opset)
    feeds = random_feeds(model)
    [(name, expected)] = run_onnxruntime(model, feeds).items()
    found = cc.compile(model).run(feeds)[name]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
