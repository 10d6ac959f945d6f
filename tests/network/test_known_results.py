"""Tensors without elements, masks, and weights that are normalised: known when compiling."""

import numpy as np
import onnx
import pytest
from kit.agreement import CHANNELS, agree, convolved, integers
from kit.small_models import constant, node, value
from onnx import TensorProto

import condense_compiler as cc

CUT = [integers("zero", 0), integers("one", 1), integers("eight", 8)]
NOTHING = node("Slice", ["c", "zero", "zero", "one"], ["e"])

EMPTY = {
    "sliced": [NOTHING, node("Concat", ["c", "e"], ["y"], axis=1)],
    "behind the end": [
        node("Slice", ["c", "eight", "eight", "one"], ["e"]),
        node("Concat", ["e", "c", "e"], ["y"], axis=-3),
    ],
    "generated": [
        node("ConstantOfShape", ["shape"], ["e"]),
        node("Concat", ["e", "c"], ["y"], axis=1),
    ],
    "computed from nothing": [
        NOTHING,
        node("Relu", ["e"], ["r"]),
        node("Concat", ["r", "c"], ["y"], axis=1),
    ],
    "summed": [
        NOTHING,
        node("ReduceSum", ["e", "one"], ["s"], keepdims=1),
        node("Add", ["c", "s"], ["y"]),
    ],
    "an output": [NOTHING, node("Relu", ["c"], ["y"])],
}


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("kind", EMPTY)
def test_tensors_without_elements(kind: str, batch: int) -> None:
    shape = [*CUT, integers("shape", batch, 0, 7, 6)]
    outputs = ["y", "e"] if kind == "an output" else ["y"]
    agree(convolved(EMPTY[kind], outputs, shape, batch=batch))


@pytest.mark.parametrize("opset", [7, 11, 13, 18])
@pytest.mark.parametrize("sizes", [[4, 0, 4], [0, 8, 0], [8, 0, 0]])
def test_parts_of_a_split_without_elements(sizes: list[int], opset: int) -> None:
    inputs, attributes = (["c", "sizes"], {}) if opset >= 13 else (["c"], {"split": sizes})
    nodes = [
        node("Split", inputs, ["p", "q", "r"], axis=1, **attributes),
        node("Neg", ["q"], ["n"]),
        node("Concat", ["r", "n", "p"], ["y"], axis=1),
    ]
    constants = [integers("sizes", *sizes)] if opset >= 13 else []
    agree(convolved(nodes, ["y"], constants, opset=opset))


@pytest.mark.parametrize("opset", [7, 10, 12, 13])
@pytest.mark.parametrize("wanted", [["d", "m"], ["m", "r"], ["r"]])
def test_mask_of_a_dropout(opset: int, wanted: list[str]) -> None:
    nodes = [
        node("Dropout", ["c"], ["d", "m"]),
        node("Cast", ["m"], ["f"], to=TensorProto.FLOAT),
        node("Add", ["d", "f"], ["r"]),
    ]
    kinds = {"m": TensorProto.BOOL if opset >= 10 else TensorProto.FLOAT}
    outputs = [value(name, None, kinds.get(name, TensorProto.FLOAT)) for name in wanted]
    agree(convolved(nodes, outputs, opset=opset))


@pytest.mark.parametrize(("ratio", "training"), [(0.0, True), (0.5, False)])
def test_dropout_that_drops_nothing(ratio: float, training: bool) -> None:
    nodes = [node("Dropout", ["c", "ratio", "training"], ["y", "m"])]
    constants = [constant("ratio", ratio), constant("training", training, np.bool_)]
    agree(convolved(nodes, ["y", value("m", None, TensorProto.BOOL)], constants))


@pytest.mark.parametrize("results", [["n"], ["n", "mean", "variance"]])
def test_weights_normalised_as_in_training(results: list[str]) -> None:
    """Weight standardisation, as PyTorch exports it."""
    random = np.random.default_rng(3)
    scale = [constant(name, random.uniform(0.5, 2, CHANNELS)) for name in ("g", "b", "m", "v")]
    filters = constant("f", random.normal(size=(CHANNELS, CHANNELS, 3, 3)))
    nodes = [
        node("Reshape", ["f", "rows"], ["flat"]),
        node("BatchNormalization", ["flat", "g", "b", "m", "v"], results, training_mode=1),
        node("Reshape", ["n", "shape"], ["filters"]),
        node("Conv", ["c", "filters"], ["y"]),
    ]
    if len(results) == 1:
        del nodes[1].attribute[:]
    shapes = [integers("rows", 1, CHANNELS, -1), integers("shape", CHANNELS, CHANNELS, 3, 3)]
    agree(convolved(nodes, ["y"], [filters, *scale, *shapes], opset=15))


KERNELLESS = {
    "bfloat16": (TensorProto.BFLOAT16, "Mul"),
    "double": (TensorProto.DOUBLE, "Softplus"),
}


@pytest.mark.parametrize("kind", KERNELLESS)
def test_constants_in_a_type_that_onnxruntime_does_not_compute(kind: str) -> None:
    data_type, op = KERNELLESS[kind]
    filters = np.random.default_rng(0).normal(size=(4, CHANNELS, 1, 1)).astype(np.float32)
    inputs = ["narrow", "narrow"] if op == "Mul" else ["narrow"]
    nodes = [
        node("Cast", ["f"], ["narrow"], to=data_type),
        node(op, inputs, ["made"]),
        node("Cast", ["made"], ["g"], to=TensorProto.FLOAT),
        node("Conv", ["c", "g"], ["y"]),
    ]
    source = convolved(nodes, ["y"], [constant("f", filters)])
    compilation = cc.compile(source, verify_outputs=False)
    assert [n.op for n in compilation.program.network.graph.nodes] == ["Conv", "Conv"]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(data_type)
    narrow = filters.astype(dtype)
    made = (narrow * narrow if op == "Mul" else np.log1p(np.exp(narrow))).astype(np.float32)
    found = compilation.program.network.graph.nodes[-1].inputs[1].values
    np.testing.assert_allclose(found, made, rtol=1e-6)
