"""Element-wise functions: in place, in half precision, in blocks."""

import math
from math import prod

import ml_dtypes
import numpy as np
import pytest
from onnx import helper

from condense_compiler.operators.elementwise import OPERATORS, UNARY, parse
from condense_compiler.targets.reference.blocks import blocks
from condense_compiler.targets.reference.functions import FUNCTIONS
from condense_compiler.targets.reference.programs import BoundProgram, bind

ARGUMENTS = {"Clip": 3, "Max": 3, "Mean": 3, "Min": 3, "Sum": 3}


def arguments_of(op, floats):
    count = 1 if op in UNARY else ARGUMENTS.get(op, 2)
    return [np.abs(floats(40, 50)) + 0.1 for _ in range(count)]


def test_every_operator_of_programs_has_a_function():
    assert FUNCTIONS.keys() >= OPERATORS


@pytest.mark.parametrize("op", sorted(FUNCTIONS))
def test_output_may_take_the_place_of_any_input(op, floats):
    arguments = arguments_of(op, floats)
    expected = np.empty_like(arguments[0])
    FUNCTIONS[op](expected, *arguments)
    for place in range(len(arguments)):
        given = [argument.copy() for argument in arguments]
        FUNCTIONS[op](given[place], *given)
        np.testing.assert_array_equal(given[place], expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erf(dtype):
    x = np.concatenate([np.linspace(-8, 8, 10_001), [0, 1e-6, -1e-20, np.inf, -np.inf]])
    x = x.astype(dtype)
    actual = np.empty_like(x)
    FUNCTIONS["Erf"](actual, x)
    expected = np.array([math.erf(value) for value in x])
    np.testing.assert_allclose(actual, expected, rtol=1e-7 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("op", ["Sigmoid", "HardSwish", "Gelu", "Add", "Clip", "Softmax"])
@pytest.mark.parametrize(
    ("dtype", "unit"),
    [(np.float16, 2**-11), (ml_dtypes.bfloat16, 2**-8)],
    ids=["float16", "bfloat16"],
)
def test_half_precision_is_rounded_once(evaluate, floats, op, dtype, unit):
    x, y = (floats(3, 40, 300).astype(dtype) for _ in range(2))
    second = {"Add": {"y": y}, "Clip": {"low": dtype(-0.5)}}.get(op, {})
    actual = evaluate(helper.make_node(op, ["x", *second], ["z"]), {"x": x}, second)["z"]
    wide = {name: value.astype(np.float32) for name, value in ({"x": x} | second).items()}
    exact = evaluate(helper.make_node(op, ["x", *second], ["z"]), {"x": wide.pop("x")}, wide)["z"]
    assert actual.dtype == dtype
    np.testing.assert_array_equal(actual, exact.astype(dtype))
    assert np.abs(actual.astype(np.float32) - exact).max() <= unit * np.abs(exact).max()


@pytest.mark.parametrize(
    "shape", [(), (5,), (100,), (3, 7), (2, 3, 50), (4, 1, 2, 9), (2, 0, 3)], ids=str
)
@pytest.mark.parametrize("limit", [1, 7, 20, 1000])
def test_blocks_cover_an_array_once(shape, limit):
    seen = np.zeros(shape, np.int64)
    for index in blocks(shape, limit):
        assert index == (...,) or len(index) == len(shape)  # no axes, yet an array
        assert seen[index].size <= limit
        seen[index] += 1
    assert (seen == 1).all()


def test_programs_run_block_by_block(floats):
    values, operand = floats(40, 3000), floats(40, 1, 1)
    bound = bind(parse(["Mul x $0", "Sigmoid %0", "Mul x %1"]), [operand], values.dtype)
    scaled = values.astype(np.float64) * operand.reshape(40, 1)
    expected = values / (1 + np.exp(-scaled))
    chosen = np.array([7, 3, 3, 39])
    some = values[chosen]
    bound.select(chosen).run(some)
    np.testing.assert_allclose(some, expected[chosen], rtol=1e-5, atol=1e-6)
    bound.run(values)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)


def test_programs_take_one_operand_for_all_channels():
    values = np.ones((3, 4), np.float32)
    bound: BoundProgram = bind(parse(["Add x $0"]), [np.full((1, 1, 1), 2.0)], values.dtype)
    bound.select(np.arange(3)).run(values)
    assert values.sum() == prod(values.shape) * 3
