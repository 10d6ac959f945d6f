"""Valid models that `mutate.py` damages: one for each operator, the kit's, and compiled ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import onnx
from kit.cases import cases
from kit.small_models import RICH_DIMS, rich_model
from onnx import TensorProto, helper, numpy_helper

from condense_compiler.driver import compile_model
from condense_compiler.network.dimensions import fix_dimensions

_EVERY = 23  # of the kit's cases
_COMPILED = 12


@dataclass(frozen=True)
class One:
    """A model of one operator.

    Attributes:
        op: The operator.
        shape: Shape of its first operand, the model's input.
        constants: Its other operands.
        attributes: Its attributes.
        outputs: How many results it has.
        opset: Version of the operator set.
    """

    op: str
    shape: Sequence[int]
    constants: Sequence[Any] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    outputs: int = 1
    opset: int = 18

    def model(self) -> onnx.ModelProto:
        """Return the model: the operator between two others, so that its result is a map."""
        stored = [
            numpy_helper.from_array(np.asarray(value), f"c{index}")
            for index, value in enumerate(self.constants)
            if value is not None
        ]
        names = [f"c{i}" if v is not None else "" for i, v in enumerate(self.constants)]
        results = [f"r{index}" for index in range(self.outputs)]
        nodes = [
            helper.make_node("Relu", ["x"], ["first"]),
            helper.make_node(self.op, ["first", *names], results, **self.attributes),
            helper.make_node("Identity", results[:1], ["y"]),
        ]
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            nodes,
            "one",
            [value("x", TensorProto.FLOAT, self.shape)],
            [helper.make_empty_tensor_value_info("y")],
            stored,
        )
        graph.output[0].type.tensor_type.elem_type = _RESULT_TYPES.get(self.op, TensorProto.FLOAT)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


_RESULT_TYPES = {"QuantizeLinear": TensorProto.UINT8, "ArgMax": TensorProto.INT64}


def _ones(*shape: int) -> Any:
    return np.ones(shape, np.float32)


def _list(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


MAP = (1, 4, 6, 5)
_WINDOW: Mapping[str, Any] = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}

ONES = (
    One("ArgMax", MAP, (), {"axis": 1}),
    One("AveragePool", MAP, (), {**_WINDOW, "count_include_pad": 1}),
    One("AveragePool", MAP, (), {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}, opset=19),
    One("BatchNormalization", MAP, [_ones(4)] * 4),
    One("Clip", MAP, [np.float32(0), np.float32(6)]),
    One("Conv", MAP, [_ones(6, 2, 3, 2), _ones(6)], {**_WINDOW, "group": 2}),
    One("Conv", MAP, [_ones(6, 4, 3, 3)], {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    One("ConvTranspose", MAP, [_ones(4, 2, 3, 2), _ones(2)], {"strides": [2, 2]}),
    One("ConvTranspose", MAP, [_ones(4, 2, 3, 2)], {"strides": [2, 2], "output_shape": [12, 10]}),
    One("CumSum", MAP, [np.int64(1)]),
    One("DepthToSpace", MAP, (), {"blocksize": 2}),
    One("Einsum", (3, 4), (), {"equation": "ij->ji"}),
    One("Expand", (1, 4), [_list(3, 4)]),
    One("Flatten", MAP, (), {"axis": 2}),
    One("GRU", (3, 1, 4), [_ones(1, 6, 4), _ones(1, 6, 2), _ones(1, 12)], {"hidden_size": 2}),
    One("Gather", MAP, [_list(2, 0)], {"axis": 1}),
    One("Gemm", (2, 4), [_ones(4, 3), _ones(3)]),
    One("GlobalAveragePool", MAP),
    One("InstanceNormalization", MAP, [_ones(4), _ones(4)]),
    One("LRN", MAP, (), {"size": 3}),
    One("LSTM", (3, 1, 4), [_ones(1, 8, 4), _ones(1, 8, 2)], {"hidden_size": 2}),
    One("LayerNormalization", MAP, [_ones(5), _ones(5)]),
    One("LogSoftmax", MAP, (), {"axis": 1}, opset=12),
    One("LpNormalization", MAP, (), {"axis": 1, "p": 2}),
    One("LpPool", MAP, (), _WINDOW),
    One("MatMul", (2, 4), [_ones(4, 3)]),
    One("MaxPool", MAP, (), {**_WINDOW, "ceil_mode": 1}),
    One("PRelu", MAP, [_ones(4, 1, 1)]),
    One("Pad", MAP, [_list(0, 0, 1, 2, 0, 0, 0, 1), np.float32(1)]),
    One("Pad", MAP, [_list(0, 0, 1, 2, 0, 0, 0, 1)], {"mode": "reflect"}),
    One("QuantizeLinear", MAP, [_ones(4), np.zeros(4, np.uint8)], {"axis": 1}),
    One("ReduceMean", MAP, [_list(2, 3)]),
    One("ReduceMax", MAP, (), {"axes": [1], "keepdims": 0}, opset=13),
    One("Reshape", MAP, [_list(1, 2, 2, -1)]),
    One("Resize", MAP, [None, np.array([1, 1, 2, 2], np.float32)], {"mode": "nearest"}),
    One("Resize", MAP, [None, None, _list(1, 4, 9, 7)], {"mode": "linear"}),
    One("Slice", MAP, [_list(1), _list(5), _list(2), _list(2)]),
    One("Softmax", MAP, (), {"axis": 1}),
    One("SpaceToDepth", (1, 2, 4, 6), (), {"blocksize": 2}),
    One("Split", MAP, [_list(1, 3)], {"axis": 1}, outputs=2),
    One("Squeeze", (1, 4, 1), [_list(2)]),
    One("Tile", (2, 3), [_list(2, 1)]),
    One("TopK", MAP, [_list(2)], {"axis": 1}, outputs=2),
    One("Transpose", MAP, (), {"perm": [0, 2, 3, 1]}),
    One("Unsqueeze", (2, 3), [_list(1)]),
    One("Upsample", MAP, [np.array([1, 1, 2, 2], np.float32)], opset=9),
)


def seeds() -> Iterator[onnx.ModelProto]:
    """Yield the models: single operators, networks with pooling across channels, compiled ones."""
    yield from (one.model() for one in ONES)
    networks = [_fixed(case.build()) for case in islice(cases(), 0, None, _EVERY)]
    yield from networks
    for network in networks[:: max(1, len(networks) // _COMPILED)]:
        yield compile_model(network, verify_outputs=False).program.network.to_model()
    rich = rich_model()
    fix_dimensions(rich.graph, RICH_DIMS)
    yield rich


def _fixed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a network with every symbolic dimension of its inputs fixed."""
    for value in model.graph.input:
        for dimension in value.type.tensor_type.shape.dim:
            if not dimension.HasField("dim_value"):
                dimension.dim_value = 2
    return model
