"""Operators whose operands and result are codes, against ONNX Runtime on their definition."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.codes_writer import CodesWriter
from kit.numerics import random_feeds, run_onnxruntime
from kit.rewriting import rewrite
from onnx import numpy_helper

import condense_compiler as cc
from condense_compiler.network import load_network
from condense_compiler.operators.aliasing import overwritable_inputs
from condense_compiler.operators.on_codes import BINARY, ON_CODES_OP, UNARY
from condense_compiler.passes import find_pass
from condense_compiler.targets.reference.kernel import NodeContext
from condense_compiler.targets.reference.operators import kernel_for

TYPES = (np.uint8, np.int8)
SHAPES = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)


def grids(dtype: type[np.generic]) -> st.SearchStrategy[tuple[float, int]]:
    limits = np.iinfo(dtype)
    return st.tuples(st.floats(2.0**-8, 0.125, width=32), st.integers(limits.min, limits.max))


def stored_constant(w: CodesWriter, values: np.ndarray, *, coded: bool) -> str:
    """Store a constant, as it is or quantised."""
    if not coded:
        return w.constant(np.asarray(values, np.float32))
    codes = w.constant(np.asarray(np.rint(np.divide(values, 0.01)) + 3, np.uint8))
    return w.apply("DequantizeLinear", codes, *w.parameters(0.01, 3))[0]


def on_codes(
    draw: st.DrawFn,
    op: str,
    shapes: list[tuple[int, ...]],
    constants: Sequence[np.ndarray] = (),
    **attributes: object,
) -> onnx.ModelProto:
    """Return a model that applies an operator to parts of its input, between quantisations."""
    w, dtype = CodesWriter(), draw(st.sampled_from(TYPES))
    operands = []
    for shape in shapes:
        sizes = w.constant(np.array(shape))
        [part] = w.apply("Slice", "x", w.constant(np.array([0])), w.constant(np.prod([shape], 1)))
        [value] = w.apply("Reshape", part, sizes)
        operands.append(w.requantize(value, w.parameters(*draw(grids(dtype)), dtype)))
    stored = [stored_constant(w, values, coded=draw(st.booleans())) for values in constants]
    [result] = w.apply(op, *operands, *stored, **attributes)
    y = w.requantize(result, w.parameters(*draw(grids(dtype)), dtype))
    opset = {"Gelu": 20, "Swish": 24}.get(op, 18)
    return w.model([y], (max(int(np.prod(shape)) for shape in shapes),), opset)


def check(model: onnx.ModelProto, tolerated_steps: int = 0, *, moves: bool = False) -> None:
    """Compare with ONNX Runtime, rewritten and on the reference executor."""
    result = rewrite(model, [find_pass("stay_in_codes")])
    assert moves or ON_CODES_OP in result.operators
    feeds = {"x": 3 * random_feeds(model)["x"]}
    [expected] = run_onnxruntime(model, feeds).values()
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    step = float(numpy_helper.to_array(stored[model.graph.node[-1].input[1]]))
    for outputs in (result.outputs(feeds), cc.compile(model, verify_outputs=False).run(feeds)):
        [found] = outputs.values()
        assert np.abs(found - expected).max() <= (tolerated_steps + 1e-3) * step


@pytest.mark.parametrize("op", [op for op in UNARY if op != "Identity"])
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_functions(op: str, data: st.DataObject) -> None:
    attributes = {"alpha": 0.3} if op == "LeakyRelu" else {}
    approximated = op not in ("Abs", "Neg", "Relu", "LeakyRelu")
    check(on_codes(data.draw, op, [data.draw(SHAPES)], **attributes), int(approximated))


@pytest.mark.parametrize("op", [op for op in BINARY if op != "PRelu"])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_two_maps(op: str, data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    spread = tuple(size if data.draw(st.booleans()) else 1 for size in shape)
    check(on_codes(data.draw, op, data.draw(st.permutations([shape, spread]))))


MAPS = st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(2, 6), st.integers(2, 6))


@pytest.mark.parametrize("op", ["Add", "Mul", "PRelu", "Sub", "BatchNormalization"])
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_constants_for_each_channel(op: str, data: st.DataObject) -> None:
    shape = data.draw(MAPS)
    generator = np.random.default_rng(data.draw(st.integers(0, 99)))
    is_norm = op == "BatchNormalization"
    size = shape[1:2] if is_norm else data.draw(st.sampled_from([(), (shape[1], 1, 1)]))
    constants = [generator.uniform(0.3, 1.5, size) for _ in range(4 if is_norm else 1)]
    check(on_codes(data.draw, op, [shape], constants), tolerated_steps=int(is_norm))


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_averages(data: st.DataObject) -> None:
    shape = data.draw(MAPS)
    attributes = {
        "kernel_shape": data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        "strides": data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "count_include_pad": data.draw(st.integers(0, 1)),
    }
    check(on_codes(data.draw, "AveragePool", [shape], **attributes), tolerated_steps=1)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_concatenations(data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    shapes = [list(shape) for _ in range(data.draw(st.integers(1, 3)))]
    for part in shapes:
        part[axis] = data.draw(st.integers(1, 4))
    check(on_codes(data.draw, "Concat", [tuple(part) for part in shapes], axis=axis), moves=True)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_averages_of_planes(data: st.DataObject) -> None:
    check(on_codes(data.draw, "GlobalAveragePool", [data.draw(MAPS)]), tolerated_steps=1)


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_other_codes_of_the_same_values(data: st.DataObject) -> None:
    w = CodesWriter()
    value = w.requantize("x", w.parameters(*data.draw(grids(np.uint8))))
    value = w.requantize(value, w.parameters(*data.draw(grids(np.int8)), np.int8))
    model = w.model([value], data.draw(SHAPES))
    result = rewrite(model, [find_pass("stay_in_codes")])
    assert result.operators == ["QuantizeLinear", ON_CODES_OP, "DequantizeLinear"]
    check(model)


def residual_sum(w: CodesWriter) -> str:
    first = w.requantize("x", w.parameters(0.05, 120))
    second = w.requantize(w.apply("Sigmoid", first)[0], w.parameters(0.004, 0))
    return w.requantize(w.apply("Mul", first, second)[0], w.parameters(0.05, 9))


def test_the_result_may_take_the_place_of_either_operand() -> None:
    writer = CodesWriter()
    model = writer.model([residual_sum(writer)], (1, 3, 50, 70))
    network = rewrite(model, [find_pass("stay_in_codes")]).network
    product = [node for node in network.graph.nodes if node.op == ON_CODES_OP][-1]
    assert overwritable_inputs(product) == [0, 3]
    kernel = kernel_for(NodeContext(product, network.opset))
    generator = np.random.default_rng(4)
    inputs = [
        generator.integers(0, 256, tuple(t.shape), np.uint8) if index in (0, 3) else t.values
        for index, t in enumerate(product.inputs)
    ]
    apart = np.empty_like(inputs[0])
    kernel.compute(inputs, [apart], np.empty(0, np.uint8))
    for index in (0, 3):
        given = [value.copy() if value is inputs[index] else value for value in inputs]
        kernel.compute(given, [given[index]], np.empty(0, np.uint8))
        np.testing.assert_array_equal(given[index], apart)


def test_compiled_models_are_read_back(tmp_path) -> None:
    writer = CodesWriter()
    model = writer.model([residual_sum(writer)], (1, 3, 5, 4))
    compilation = cc.compile(model)
    compilation.save(tmp_path)
    [path] = tmp_path.glob("*.onnx")
    again = load_network(path)
    assert [n.op for n in again.graph.nodes].count(ON_CODES_OP) == 2
    feeds = random_feeds(model)
    [found], [expected] = cc.compile(path).run(feeds).values(), compilation.run(feeds).values()
    np.testing.assert_array_equal(found, expected)


def test_pictures_name_what_is_computed() -> None:
    writer = CodesWriter()
    picture = cc.compile(writer.model([residual_sum(writer)], (1, 3, 5, 4))).picture
    named = {feature_map.op for feature_map in picture.after.maps}
    assert {"Sigmoid on codes", "Mul on codes"} <= named
