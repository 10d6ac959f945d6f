"""Small models for the tests of loading, built in memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

FLOAT = onnx.TensorProto.FLOAT
FUNCTION_DOMAIN = "blocks"

node = helper.make_node


def value(name: str, shape: Sequence[int | str | None] | None, data_type: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, data_type, shape)


def constant(name: str, values: Any, dtype: Any = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: Sequence[onnx.TensorProto] = (),
) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "test", list(inputs), list(outputs), list(constants))


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: Sequence[onnx.TensorProto] = (),
    *,
    opset: int = 18,
    domains: Sequence[str] = (),
    functions: Sequence[onnx.FunctionProto] = (),
) -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(
        graph(nodes, inputs, outputs, constants),
        opset_imports=opsets,
        ir_version=10,
        functions=list(functions),
    )


def relu_model(shape: Sequence[int | str | None] | None = (2, 3)) -> onnx.ModelProto:
    return model([node("Relu", ["x"], ["y"], name="relu")], [value("x", shape)], [value("y", None)])


def rich_model() -> onnx.ModelProto:
    """Return a model with a function, an `If` decided by a shape, and a chain that shapes need."""
    act = helper.make_function(
        FUNCTION_DOMAIN,
        "Act",
        ["a"],
        ["b"],
        [node("Relu", ["a"], ["t"]), node("Neg", ["t"], ["b"])],
        [helper.make_opsetid("", 18)],
    )
    squeeze = graph(
        [node("Squeeze", ["d", "axes"], ["squeezed"])],
        [],
        [value("squeezed", None)],
        [constant("axes", [1], np.int64)],
    )
    keep = graph([node("Identity", ["d"], ["kept"])], [], [value("kept", None)])
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        node("Act", ["c"], ["d"], domain=FUNCTION_DOMAIN),
        node("Shape", ["d"], ["shape"]),
        node("Constant", [], ["one"], value_ints=[1]),
        node("Gather", ["shape", "one"], ["channels"]),
        node("Equal", ["channels", "one"], ["single"]),
        node("If", ["single"], ["e"], then_branch=squeeze, else_branch=keep),
        node("Shape", ["e"], ["batch"], start=0, end=1),
        node("Constant", [], ["rest"], value=constant("", [-1], np.int64)),
        node("Concat", ["batch", "rest"], ["flat"], axis=0),
        node("Reshape", ["e", "flat"], ["y"]),
    ]
    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 3))
    return model(
        nodes,
        [value("x", ["batch", 3, None, 8])],
        [value("y", ["batch", "features"])],
        [constant("w", weights)],
        domains=[FUNCTION_DOMAIN],
        functions=[act],
    )


RICH_DIMS = {"batch": 2, "x:2": 8}
