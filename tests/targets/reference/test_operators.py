"""Every operator family against ONNX Runtime."""

import numpy as np
import pytest
from onnx import helper

UNARY = [
    ("Abs", {}), ("Ceil", {}), ("Celu", {"alpha": 0.7}), ("Elu", {"alpha": 0.3}), ("Erf", {}),
    ("Exp", {}), ("Floor", {}), ("Gelu", {}), ("Gelu", {"approximate": "tanh"}),
    ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}), ("HardSwish", {}), ("Identity", {}),
    ("LeakyRelu", {"alpha": 0.1}), ("LeakyRelu", {"alpha": 1.5}), ("LeakyRelu", {"alpha": -0.5}),
    ("Mish", {}), ("Neg", {}), ("Reciprocal", {}), ("Relu", {}), ("Round", {}), ("Selu", {}),
    ("Sigmoid", {}), ("Sign", {}), ("Softplus", {}), ("Softsign", {}), ("Tanh", {}),
    ("ThresholdedRelu", {"alpha": 0.4}), ("Sin", {}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "attributes"), UNARY, ids=str)
@pytest.mark.parametrize("shape", [(1, 3, 7, 5), (2, 2, 129, 131), (), (20000,)], ids=str)
def test_unary(compare, op, attributes, shape, floats):
    node = helper.make_node(op, ["x"], ["y"], **attributes)
    compare(node, {"x": np.asarray(3 * floats(*shape))})


@pytest.mark.parametrize("op", ["Log", "Sqrt"])
def test_unary_of_positive(compare, op, floats):
    compare(helper.make_node(op, ["x"], ["y"]), {"x": np.abs(floats(2, 3, 50, 70)) + 0.01})


BINARY = ["Add", "Div", "Max", "Mean", "Min", "Mul", "Sub", "Sum"]


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize(
    ("left", "right"),
    [((2, 3, 41, 97), (2, 3, 41, 97)), ((2, 3, 5, 4), (3, 1, 1)), ((1,), (2, 6)), ((4, 1), (1, 5))],
    ids=str,
)
def test_binary(compare, op, left, right, floats):
    node = helper.make_node(op, ["a", "b"], ["y"])
    compare(node, {"a": floats(*left), "b": np.abs(floats(*right)) + 0.1})


def test_pow(compare, floats):
    node = helper.make_node("Pow", ["a", "b"], ["y"])
    compare(node, {"a": np.abs(floats(3, 4))}, {"b": np.float32(1.7)})
    compare(node, {"a": floats(3, 4)}, {"b": np.int64(2)})


@pytest.mark.parametrize("op", ["Max", "Min", "Sum", "Mean"])
@pytest.mark.parametrize("count", [1, 3, 4])
def test_variadic(compare, op, count, floats):
    feeds = {f"x{i}": floats(2, 3, 5) for i in range(count)}
    compare(helper.make_node(op, list(feeds), ["y"]), feeds)


@pytest.mark.parametrize("op", ["Add", "Mul", "Sub", "Div", "Max"])
def test_integers(compare, op, floats):
    a = (30 * floats(4, 5)).astype(np.int32)
    compare(helper.make_node(op, ["a", "b"], ["y"]), {"a": a, "b": np.full(5, 3, np.int32)})


@pytest.mark.parametrize(
    ("inputs", "bounds"),
    [
        (["x", "low", "high"], {"low": np.float32(-0.5), "high": np.float32(0.3)}),
        (["x", "", "high"], {"high": np.float32(0.3)}),
        (["x", "low"], {"low": np.float32(-0.5)}),
        (["x"], {}),
    ],
    ids=["both", "high", "low", "none"],
)
def test_clip(compare, inputs, bounds, floats):
    compare(helper.make_node("Clip", inputs, ["y"]), {"x": floats(2, 3, 40, 90)}, bounds)


def test_clip_by_attributes(compare, floats):
    compare(helper.make_node("Clip", ["x"], ["y"], min=0.0, max=0.7), {"x": floats(99)}, opset=9)


def test_prelu(compare, floats):
    compare(
        helper.make_node("PRelu", ["x", "s"], ["y"]),
        {"x": floats(2, 5, 9, 8)},
        {"s": floats(5, 1, 1)},
    )


def test_batch_normalization(compare, floats):
    constants = {name: floats(5) for name in ("scale", "bias", "mean")}
    constants["variance"] = np.abs(floats(5)) + 0.1
    node = helper.make_node("BatchNormalization", ["x", *constants], ["y"], epsilon=1e-3)
    compare(node, {"x": floats(2, 5, 9, 8)}, constants)
    compare(node, {"x": floats(2, 5)}, constants)
    compare(node, {"x": floats(2, 5, 3), "scale": constants.pop("scale")}, constants)


# Starts, ends, axes, steps: forwards over the end, and backwards over the beginning.
SLICE = [[1, -2], [99, -99], [0, 1], [2, -1]]


@pytest.mark.parametrize(
    ("op", "attributes", "shape", "constants"),
    [
        ("Transpose", {"perm": [0, 2, 3, 1]}, (2, 3, 4, 5), {}),
        ("Transpose", {}, (2, 3, 4), {}),
        ("Reshape", {}, (2, 3, 4), {"s": np.array([4, 6])}),
        ("Flatten", {"axis": 2}, (2, 3, 4), {}),
        ("Squeeze", {}, (2, 1, 4), {"a": np.array([1])}),
        ("Unsqueeze", {}, (2, 4), {"a": np.array([0, 3])}),
        ("Expand", {}, (3, 1), {"s": np.array([2, 3, 4])}),
        ("Gather", {"axis": 1}, (3, 5, 2), {"i": np.array([[0, -1], [2, 2]])}),
        ("Gather", {"axis": 0}, (3, 5, 2), {"i": np.array(1)}),
        ("Slice", {}, (6, 7), dict(zip("seat", np.array(SLICE), strict=True))),
        ("Slice", {}, (6, 7), {"s": np.array([-4]), "e": np.array([-1])}),
        ("Pad", {}, (2, 3), {"p": np.array([1, 0, 2, 1])}),
        ("Tile", {}, (2, 3), {"r": np.array([2, 2])}),
        ("DepthToSpace", {"blocksize": 2}, (1, 8, 3, 3), {}),
        ("Dropout", {}, (2, 3), {}),
        ("Softmax", {"axis": 1}, (2, 7, 5), {}),
        ("Softmax", {}, (2, 7, 5), {}),
        ("LRN", {"size": 5, "alpha": 0.3, "beta": 0.6, "bias": 1.5}, (2, 9, 31, 29), {}),
        ("LRN", {"size": 3}, (1, 2, 3, 3), {}),
        ("GlobalAveragePool", {}, (2, 3, 7, 5), {}),
        ("GlobalMaxPool", {}, (2, 3, 7, 5), {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_unary_with_constants(compare, op, attributes, shape, constants, floats):
    compare(
        helper.make_node(op, ["x", *constants], ["y"], **attributes),
        {"x": floats(*shape)},
        constants,
    )


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_softmax_before_opset_13(compare, axis, floats):
    compare(helper.make_node("Softmax", ["x"], ["y"], axis=axis), {"x": floats(3, 4, 5)}, opset=11)


@pytest.mark.parametrize(
    "op", ["ReduceMax", "ReduceMin", "ReduceMean", "ReduceSum", "ReduceL2", "ReduceProd"]
)
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[1], [-1, 2], [0, 1, 2, 3], None], ids=str)
def test_reductions(compare, op, keepdims, axes, floats):
    constants = {} if axes is None else {"axes": np.array(axes)}
    node = helper.make_node(op, ["x", *constants], ["y"], keepdims=keepdims)
    compare(node, {"x": floats(2, 3, 4, 5)}, constants)


def test_reduction_axes_as_attribute(compare, floats):
    node = helper.make_node("ReduceMax", ["x"], ["y"], axes=[2], keepdims=0)
    compare(node, {"x": floats(2, 3, 4)}, opset=11)


def test_reduction_without_axes_that_does_nothing(compare, floats):
    node = helper.make_node("ReduceSum", ["x"], ["y"], noop_with_empty_axes=1)
    compare(node, {"x": floats(2, 3, 4)})


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_and_split(compare, axis, floats):
    shapes = [[2, 3, 4], [2, 3, 4]]
    shapes[1][axis] = 5
    nodes = [
        helper.make_node("Concat", ["a", "b"], ["c"], axis=axis),
        helper.make_node("Split", ["c", "sizes"], ["p", "q"], axis=axis),
    ]
    total = shapes[0][axis] + 5
    constants = {"sizes": np.array([total - 1, 1])}
    compare(nodes, {"a": floats(*shapes[0]), "b": floats(*shapes[1])}, constants)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (6, 4, 5)),
        ((4,), (4, 5)), ((3, 4), (4,)), ((4,), (4,)),
    ],
    ids=str,
)  # fmt: skip
def test_matmul(compare, left, right, floats):
    compare(
        helper.make_node("MatMul", ["a", "b"], ["y"]), {"a": floats(*left)}, {"b": floats(*right)}
    )


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("bias", [None, (), (5,), (3, 1)], ids=str)
def test_gemm(compare, transposed, bias, floats):
    constants = {"b": floats(5, 4) if transposed else floats(4, 5)}
    constants |= {} if bias is None else {"c": np.asarray(floats(*bias))}
    attributes = {"alpha": 0.5, "beta": 2.0} if transposed else {}
    node = helper.make_node(
        "Gemm", ["a", *constants], ["y"], transB=transposed, transA=transposed, **attributes
    )
    compare(node, {"a": floats(4, 3) if transposed else floats(3, 4)}, constants)


POOLING = {"kernel_shape": [3, 2], "pads": [1, 0, 1, 0]}


@pytest.mark.parametrize(
    ("op", "attributes", "types"),
    [
        ("Relu", {}, [np.float64, np.float16]),
        ("Sigmoid", {}, [np.float64, np.float16]),
        ("Softmax", {}, [np.float64, np.float16]),
        ("ReduceMean", {}, [np.float64, np.float16]),
        ("GlobalAveragePool", {}, [np.float16]),
        ("MaxPool", POOLING, [np.float64, np.float16, np.int8, np.uint8]),
        ("AveragePool", POOLING, [np.float16]),
        ("Transpose", {}, [np.float64, np.float16, np.int8, np.int64, np.bool_]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_other_types(compare, op, attributes, types, floats):
    for dtype in types:
        x = (20 if np.dtype(dtype).kind in "iu" else 1) * np.abs(floats(2, 3, 6, 7))
        tolerance = 1e-3 if dtype == np.float16 else 1e-6
        compare(
            helper.make_node(op, ["x"], ["y"], **attributes),
            {"x": x.astype(dtype)},
            tolerance=tolerance,
        )


def test_operators_off_the_main_path(compare, floats):
    nodes = [
        helper.make_node("TopK", ["x", "k"], ["values", "indices"], axis=1),
        helper.make_node("Resize", ["values", "", "scales"], ["y"], mode="nearest"),
    ]
    constants = {"k": np.array([2]), "scales": np.array([1, 1, 2, 2], np.float32)}
    executable = compare(nodes, {"x": floats(1, 4, 3, 3)}, constants)
    assert executable.facts()["computed_by"] == {"onnxruntime": {"TopK": 1}}


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("axis", [None, 1, 2])
def test_quantisation(compare, floats, dtype, axis):
    channels = () if axis is None else (5,)
    shape = (2, 3, 5) if axis == 2 else (2, 5, 3)
    attributes = {} if axis is None else {"axis": axis}
    constants = {
        "scale": (0.02 + np.abs(floats(*channels))).astype(np.float32),
        "zero": np.full(channels, np.iinfo(dtype).max // 2, dtype),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], **attributes),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"], **attributes),
    ]
    executable = compare(nodes, {"x": 50 * floats(*shape)}, constants)
    assert executable.facts()["computed_by"] == {}


def test_quantisation_of_a_number(compare, floats):
    constants = {"scale": np.float32(0.03), "zero": np.uint8(7)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
    ]
    compare(nodes, {"x": np.asarray(floats())}, constants)


def test_weights_that_operators_compute_are_known_ahead(compare, floats):
    """Dequantised filters had no place in the plan, and were not known as weights either."""
    generator = np.random.default_rng(0)
    constants = {
        "stored": generator.integers(-128, 128, (6, 3, 3, 3)).astype(np.int8),
        "scale": generator.random(6).astype(np.float32),
        "zero": np.zeros(6, np.int8),
        "bias_stored": generator.integers(-1000, 1000, 6).astype(np.int32),
        "bias_scale": np.float32(0.01),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["stored", "scale", "zero"], ["w"], axis=0),
        helper.make_node("DequantizeLinear", ["bias_stored", "bias_scale"], ["b"]),
        helper.make_node("Conv", ["x", "w", "b"], ["y"], kernel_shape=[3, 3]),
    ]
    executable = compare(nodes, {"x": floats(1, 3, 8, 7)}, constants)
    assert "w" not in executable.places
    assert executable.constants["w"].shape == (6, 3, 3, 3)


def test_positions_of_maxima(compare, floats):
    outputs, settings = ["y", "positions"], {"kernel_shape": [2, 3], "pads": [1, 0, 0, 2]}
    compare(helper.make_node("MaxPool", ["x"], outputs, **settings), {"x": floats(2, 3, 5, 6)})
    node = helper.make_node("MaxPool", ["x"], outputs, storage_order=1, **settings)
    compare(node, {"x": floats(2, 3, 5, 6)})


def test_dropout_with_mask(compare, floats):
    compare(helper.make_node("Dropout", ["x"], ["y", "mask"]), {"x": floats(2, 3)})


@pytest.mark.parametrize("op", ["HardSigmoid", "HardSwish", "LeakyRelu", "Selu"])
def test_attributes_left_out_are_in_single_precision(compare, floats, op):
    """As those that are given are; on maps in double precision it shows."""
    x = 3 * floats(2, 3, 5).astype(np.float64)
    compare(helper.make_node(op, ["x"], ["y"]), {"x": x}, opset=18, tolerance=1e-13)
