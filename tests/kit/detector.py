"""A detector as exporters write it: a flag selects a branch, and suppression stands at the end."""

import onnx
from onnx import TensorProto

from kit.agreement import branch, convolved, integers
from kit.small_models import node, value

OUTPUTS = ["boxes", "scores"]


def detector() -> onnx.ModelProto:
    """Return a network whose branch depends on an input, and that ends in suppression."""
    nodes = [
        node(
            "If",
            ["training"],
            ["r"],
            then_branch=branch([node("Relu", ["c"], ["a"])], ["a"]),
            else_branch=branch([node("Neg", ["c"], ["b"])], ["b"]),
        ),
        node("Reshape", ["r", "rows"], ["boxes"]),
        node("ReduceMax", ["boxes"], ["best"], axes=[2], keepdims=0),
        node("Unsqueeze", ["best", "one"], ["scores"]),
        node("NonMaxSuppression", ["boxes", "scores", "count"], ["kept"]),
    ]
    inputs = [
        value("training", [], TensorProto.BOOL),
        value("count", ["many"], TensorProto.INT64),
    ]
    constants = [integers("rows", 1, -1, 4), integers("one", 1)]
    return convolved(nodes, [value("kept", None, TensorProto.INT64)], constants, inputs=inputs)
