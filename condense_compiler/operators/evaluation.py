"""Element-wise programs on values that are known."""

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from condense_compiler.errors import UnsupportedError
from condense_compiler.operators.elementwise import Program
from condense_compiler.operators.function_body import Body

_IR_VERSION = 10


def evaluate(
    program: Program, values: npt.NDArray[np.float32], opset: int
) -> npt.NDArray[np.float32]:
    """Return what a program without operands makes of some values, as ONNX Runtime computes it.

    Raises:
        UnsupportedError: It has no kernel for one of the operators.
    """
    import onnxruntime as ort  # noqa: PLC0415 - takes a moment, and few networks need it

    if not program:
        return values
    body = Body(opset, np.dtype(np.float32), "X")
    body.run(program, [])
    graph = helper.make_graph(
        body.nodes,
        "program",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, values.shape)],
        [helper.make_tensor_value_info(body.value, TensorProto.FLOAT, values.shape)],
    )
    model: onnx.ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=_IR_VERSION
    )
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        return np.asarray(session.run(None, {"X": values})[0], np.float32)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no other base
        operators = ", ".join(node.op_type for node in body.nodes)
        reason = " ".join(str(error).split())
        raise UnsupportedError(f"ONNX Runtime cannot compute {operators}: {reason}") from None
