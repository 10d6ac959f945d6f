"""One node, or several, of each operator that has a definition."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]
SHAPE = (2, 4, 7, 6)


@dataclass(frozen=True)
class OperatorCase:
    """A node.

    Attributes:
        op: Its type.
        attributes: Its attributes.
        operands: Constants behind the maps; None: left out.
        maps: Shapes of the maps that it reads.
        outputs: How many results it has.
        opset: Version of the operators.
        dtype: Element type of the maps.
    """

    op: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    operands: tuple[Array | None, ...] = ()
    maps: tuple[tuple[int, ...], ...] = (SHAPE,)
    outputs: int = 1
    opset: int = 18
    dtype: npt.DTypeLike = np.float32

    def __str__(self) -> str:
        details = [f"{name}={value}" for name, value in self.attributes.items()]
        return " ".join([self.op, *details])

    def names(self) -> list[str]:
        """Return the names of the maps."""
        return [f"x{number}" for number in range(len(self.maps))]

    def node(self) -> onnx.NodeProto:
        """Return the node."""
        given = [f"c{i}" if value is not None else "" for i, value in enumerate(self.operands)]
        outputs = [f"y{number}" for number in range(self.outputs)]
        return helper.make_node(
            self.op, [*self.names(), *given], outputs, self.op, **self.attributes
        )

    def constants(self) -> list[onnx.TensorProto]:
        """Return the operands that are given."""
        given = enumerate(self.operands)
        return [numpy_helper.from_array(v, f"c{i}") for i, v in given if v is not None]

    def model(self) -> onnx.ModelProto:
        """Return a network of the node, shapes inferred."""
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        graph = helper.make_graph(
            [self.node()],
            "one",
            [
                helper.make_tensor_value_info(name, kind, shape)
                for name, shape in zip(self.names(), self.maps, strict=True)
            ],
            [onnx.ValueInfoProto(name=f"y{number}") for number in range(self.outputs)],
            self.constants(),
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8
        )
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def floats(*values: float) -> Array:
    return np.array(values, np.float32)


def weights(*shape: int) -> Array:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def _moving() -> Iterator[OperatorCase]:
    yield OperatorCase("Concat", {"axis": 1}, maps=(SHAPE, SHAPE))
    yield OperatorCase("Concat", {"axis": -2}, maps=(SHAPE, (2, 4, 3, 6), SHAPE))
    for mode in ("DCR", "CRD"):
        yield OperatorCase("DepthToSpace", {"blocksize": 2, "mode": mode})
    yield OperatorCase("SpaceToDepth", {"blocksize": 2}, maps=((2, 4, 6, 8),))
    yield OperatorCase("Dropout")
    yield OperatorCase("Expand", operands=(ints(2, 4, 7, 6),), maps=((1, 4, 7, 1),))
    yield OperatorCase("Expand", operands=(ints(2, 4, 5, 6),), maps=((2, 4, 1, 6),))
    yield OperatorCase("Tile", operands=(ints(1, 2, 1, 3),))
    yield OperatorCase("Tile", operands=(ints(1, 1, 2, 1),))
    yield OperatorCase("Flatten", {"axis": 3})
    yield OperatorCase("Gather", {"axis": 1}, (ints(2, -4, 1),))
    yield OperatorCase("Gather", {"axis": 2}, (ints(5, 3, -3, 3),))
    yield OperatorCase("Gather", {"axis": 1}, (np.array(-2),))
    yield OperatorCase("GatherElements", {"axis": 1}, (np.full((2, 2, 7, 6), 3),))
    yield OperatorCase("GatherND", {"batch_dims": 1}, (ints(1, 3).reshape(2, 1),))
    yield OperatorCase("Identity")
    for mode in ("constant", "edge", "reflect"):
        yield OperatorCase("Pad", {"mode": mode}, (ints(0, 0, 2, 1, 0, 0, 1, 0),))
        yield OperatorCase("Pad", {"mode": mode}, (ints(0, 1, 0, 1, 0, 0, 0, 0),))
    yield OperatorCase("Pad", {}, (ints(-2, -1), None, ints(2)))
    yield OperatorCase("Reshape", operands=(ints(2, 4, 7, 2, 3),))
    yield OperatorCase("Reshape", operands=(ints(2, 2, 2, 42),))
    yield OperatorCase("ReverseSequence", {}, (ints(1, 2, 1, 1),), maps=((3, 4, 5),))
    steps = ints(1, 0), ints(9, -9), ints(2, 1), ints(2, -1)
    yield OperatorCase("Slice", operands=(ints(1), ints(3), ints(1)))
    yield OperatorCase("Slice", operands=steps)
    yield OperatorCase("Slice", operands=(ints(-2), ints(-99), ints(2), ints(-2)))
    yield OperatorCase("Split", {"axis": 1}, (ints(1, 3),), outputs=2)
    yield OperatorCase("Split", {"axis": 2}, (ints(2, 1, 4),), outputs=3)
    yield OperatorCase("Squeeze", {}, (ints(4),), maps=((2, 4, 7, 6, 1),))
    yield OperatorCase("Unsqueeze", {}, (ints(4),))
    yield OperatorCase("Transpose", {"perm": [1, 0, 2, 3]})
    yield OperatorCase("Transpose", {"perm": [0, 2, 1, 3]})


def _resizing() -> Iterator[OperatorCase]:
    coordinates = (
        *("align_corners", "asymmetric", "half_pixel", "half_pixel_symmetric"),
        "pytorch_half_pixel",
    )
    for mode in ("nearest", "linear", "cubic"):
        for way in coordinates:
            settings = {"mode": mode, "coordinate_transformation_mode": way}
            for scale in (2.0, 0.5, 1.7):
                yield OperatorCase("Resize", settings, (None, floats(1, 1, scale, scale)), opset=19)
    yield OperatorCase("Upsample", {}, (floats(1, 1, 2, 3),), opset=9)


def _windows() -> Iterator[OperatorCase]:
    for window in (
        {"strides": [2, 1], "pads": [1, 0, 2, 1]},
        {"dilations": [2, 1], "pads": [2, 0, 1, 0]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"auto_pad": "VALID"},
    ):
        yield OperatorCase("Conv", window, (weights(3, 4, 3, 2),))
        yield OperatorCase("ConvTranspose", window, (weights(4, 3, 3, 2),))
        for op in ("AveragePool", "LpPool", "MaxPool"):
            if op != "AveragePool" or "dilations" not in window:
                yield OperatorCase(op, {"kernel_shape": [3, 2], **window})
    yield OperatorCase("Conv", {"group": 4}, (weights(4, 1, 3, 3),))
    yield OperatorCase("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1})
    filters = {"output_padding": [1, 1], "strides": [3, 2]}
    yield OperatorCase("ConvTranspose", filters, (weights(4, 3, 2, 2),))
    yield OperatorCase(
        "ConvTranspose",
        {"output_shape": [14, 12], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
        (weights(4, 3, 3, 3),),
    )
    for op in ("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"):
        yield OperatorCase(op)


def _elementwise() -> Iterator[OperatorCase]:
    for op in (
        *("Abs", "Ceil", "Celu", "Cos", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish"),
        *("LeakyRelu", "Log", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid"),
        *("Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu"),
    ):
        yield OperatorCase(op)
    yield OperatorCase("Gelu", opset=20)
    for op in ("Add", "Div", "Max", "Mean", "Min", "Mul", "Pow", "Sub", "Sum"):
        yield OperatorCase(op, maps=(SHAPE, SHAPE))
        yield OperatorCase(op, maps=(SHAPE, (7, 6)))
        yield OperatorCase(op, maps=(SHAPE, (4, 1, 1)))
        yield OperatorCase(op, operands=(weights(6),))
    yield OperatorCase("PRelu", operands=(weights(4, 7, 1),))
    yield OperatorCase("Where", maps=(), operands=(weights(7, 6) > 0, weights(7, 6), weights(1)))
    yield OperatorCase("Cast", {"to": onnx.TensorProto.DOUBLE})
    yield OperatorCase("Clip", operands=(np.float32(-1), np.float32(1)))
    yield OperatorCase("QuantizeLinear", {}, (np.float32(0.1), np.uint8(3)))


def _others() -> Iterator[OperatorCase]:
    for op in (
        *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"),
        *("ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
    ):
        for axes, keeps in ((ints(1), 1), (ints(-1), 0), (ints(2), 1), (ints(1, 3), 0)):
            yield OperatorCase(op, {"keepdims": keeps}, (axes,))
        yield OperatorCase(op)
    yield OperatorCase("TopK", {"axis": 1}, (ints(2),), outputs=2)
    yield OperatorCase("Gemm", {"transB": 1}, (weights(5, 6),), maps=((3, 6),))
    yield OperatorCase("MatMul", {}, (weights(6, 5),))
    yield OperatorCase("Einsum", {"equation": "nchw,c->nhw"}, (weights(4),))
    terms = [weights(4), weights(4), weights(4), np.abs(weights(4))]
    yield OperatorCase("BatchNormalization", {}, tuple(terms))
    yield OperatorCase("LRN", {"size": 3})
    for op in ("Hardmax", "LogSoftmax", "LpNormalization", "Softmax"):
        yield OperatorCase(op, {"axis": 1})
    yield OperatorCase("InstanceNormalization", {}, (weights(4), weights(4)))
    yield OperatorCase("LayerNormalization", {}, (weights(6), weights(6)))
    yield OperatorCase("MeanVarianceNormalization", {"axes": [0, 2, 3]})


def _quantised() -> Iterator[OperatorCase]:
    scale, zero = np.float32(0.1), np.uint8(3)
    filters = np.clip(weights(3, 4, 3, 2) * 40, -128, 127).astype(np.int8)
    window = {"strides": [2, 1], "pads": [1, 0, 2, 1]}
    operands = (scale, zero, filters, scale, np.int8(0), np.float32(9), zero)
    yield OperatorCase("QLinearConv", window, operands, dtype=np.uint8)
    codes = np.abs(filters).astype(np.uint8)
    yield OperatorCase("ConvInteger", window, (codes,), dtype=np.uint8)
    yield OperatorCase("DequantizeLinear", {}, (scale, zero), dtype=np.uint8)
    matrix = codes[:, 0].reshape(6, 3)
    yield OperatorCase("MatMulInteger", {}, (matrix,), dtype=np.uint8)
    product = (scale, zero, matrix, scale, zero, np.float32(9), zero)
    yield OperatorCase("QLinearMatMul", {}, product, dtype=np.uint8)


def _sharing() -> Iterator[OperatorCase]:
    one = ((1, 4, 7, 6),)
    yield OperatorCase("Concat", {"axis": 1}, maps=((1, 2, 7, 6), *one, (1, 1, 7, 6)))
    yield OperatorCase("Gather", {"axis": 1}, (ints(-2),), maps=one)
    yield OperatorCase("Slice", {}, (ints(-3), ints(-1), ints(1)), maps=one)
    yield OperatorCase("Split", {"axis": -3}, (ints(1, 3),), maps=one, outputs=2)
    yield OperatorCase("Transpose", {"perm": [0, 2, 3, 1]}, maps=((1, 1, 7, 6),))


MOVING = [*_moving(), *_resizing()]
_COMPUTING = (*_windows(), *_elementwise(), *_others(), *_quantised())
CASES = [case for case in (*MOVING, *_sharing(), *_COMPUTING) if case.maps]
