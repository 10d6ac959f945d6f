"""Small models in floating point, node by node, and what ONNX Runtime computes of them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
SHAPE = (1, 3, 13, 11)
SAME = {"pads": [1] * 4}

node = helper.make_node


def constant(name: str, values: object, dtype: type | None = None) -> onnx.TensorProto:
    """Return a constant: of whole numbers in int64, of others in float32."""
    array = np.asarray(values)
    wanted = dtype or (np.float32 if array.dtype.kind == "f" else np.int64)
    return numpy_helper.from_array(array.astype(wanted), name)


def filters(name: str, *shape: int, dtype: type = np.float32) -> onnx.TensorProto:
    """Return random weights, seeded by their name, that keep values about as large."""
    values = np.random.default_rng([*name.encode()]).standard_normal(shape)
    return constant(name, values / np.sqrt(max(1, np.prod(shape[1:]))), dtype)


def conv(source: str, result: str, weights: str = "w", **attributes: object) -> onnx.NodeProto:
    """Return a convolution that keeps the size of its input, unless attributes say otherwise."""
    return node("Conv", [source, weights], [result], f"node_{result}", **(SAME | attributes))


def model(
    nodes: Sequence[onnx.NodeProto],
    weights: Sequence[onnx.TensorProto] = (),
    shape: Sequence[int] = SHAPE,
    *,
    opset: int = 17,
    outputs: Sequence[str] = ("y",),
    dtype: int = FLOAT,
    more_inputs: Sequence[onnx.ValueInfoProto] = (),
) -> onnx.ModelProto:
    """Return a model with the input x."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", dtype, shape), *more_inputs],
        [helper.make_tensor_value_info(name, dtype, None) for name in outputs],
        list(weights),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run(
    given: onnx.ModelProto, feeds: dict[str, npt.NDArray], *, optimised: bool = False
) -> dict[str, npt.NDArray]:
    """Return what ONNX Runtime computes."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = given.SerializeToString()
    session = ort.InferenceSession(content, options, ["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))
