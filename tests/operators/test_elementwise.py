from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from condense_compiler.errors import InputError
from condense_compiler.operators.elementwise import (
    INPUT,
    OPERATORS,
    UNARY,
    WITH_CONSTANTS,
    Instruction,
    Program,
    parse,
)

Array = npt.NDArray[np.float64]

CHANNELS = 3
GRID = np.concatenate([-np.geomspace(40.0, 1e-3, 60), [0.0], np.geomspace(1e-3, 40.0, 60)])
ATTRIBUTES = {
    "Celu": ("alpha",),
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "LeakyRelu": ("alpha",),
    "Selu": ("alpha", "gamma"),
    "ThresholdedRelu": ("alpha",),
}
CHAINED = sorted(OPERATORS - {"Clip", "Swish"})  # Swish is newer than what the evaluator knows


def evaluate(program: Program, x: Array, operands: Sequence[Array]) -> Array:
    """Run a program as an ONNX graph, node by node, on x: (channels, values)."""
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, Array] = {}
    names = {INPUT: "x"}
    for index, step in enumerate(program.instructions):
        for argument in step.arguments:
            if argument not in names:
                values = operands[int(argument[1:])] if argument[0] == "$" else float(argument)
                names[argument] = f"c{len(constants)}"
                constants[names[argument]] = np.asarray(values, np.float64)
        inputs = [names[argument] for argument in step.arguments]
        names[f"%{index}"] = f"y{index}"
        attributes: dict[str, Any] = dict(step.attributes)
        nodes.append(helper.make_node(step.op, inputs, [f"y{index}"], **attributes))
    kind = onnx.TensorProto.DOUBLE
    graph = helper.make_graph(
        [*nodes, helper.make_node("Identity", [nodes[-1].output[0] if nodes else "x"], ["y"])],
        "program",
        [helper.make_tensor_value_info("x", kind, x.shape)],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    with np.errstate(all="ignore"):
        [result] = ReferenceEvaluator(model).run(None, {"x": x})
    return np.asarray(np.broadcast_to(result, x.shape), np.float64)


def literals() -> st.SearchStrategy[str]:
    return st.floats(-4.0, 4.0).map(lambda value: repr(float(value)))


@st.composite
def instructions(draw: st.DrawFn, previous: list[str], ops: Sequence[str]) -> Instruction:
    op = draw(st.sampled_from(ops))
    tensor = st.sampled_from(previous) if draw(st.integers(0, 3)) == 0 else st.just(previous[-1])
    if op in UNARY:
        names = draw(st.lists(st.sampled_from(ATTRIBUTES.get(op, ("",))), unique=True))
        settings = tuple((n, draw(st.floats(-2.0, 2.0))) for n in sorted(names) if n)
        return Instruction(op, (draw(tensor),), settings)
    if op == "Clip":
        return Instruction(op, (draw(tensor), draw(literals()), draw(literals())))
    other = draw(literals() | st.sampled_from(("$0", "$1")) | tensor)
    pair = (draw(tensor), other)
    first = op == "PRelu" or draw(st.booleans())
    return Instruction(op, pair if first else pair[::-1])


@st.composite
def programs(draw: st.DrawFn, ops: Sequence[str] = CHAINED, longest: int = 4) -> Program:
    """Draw a program; most are chains, with `$0` and `$1` for operands."""
    steps: list[Instruction] = []
    for index in range(draw(st.integers(0, longest))):
        previous = [INPUT, *(f"%{i}" for i in range(index))]
        steps.append(draw(instructions(previous, ops)))
    return Program(tuple(steps))


def operand_lists() -> st.SearchStrategy[list[Array]]:
    values = st.lists(st.floats(-3.0, 3.0), min_size=CHANNELS, max_size=CHANNELS)
    one = values.map(lambda row: np.array(row).reshape(CHANNELS, 1))
    return st.lists(one, min_size=2, max_size=2)


@given(programs([*CHAINED, "Clip", "Swish"]))
def test_text_is_read_back_as_the_same_program(program: Program) -> None:
    assert parse(program.lines()) == program


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e-07", "-1.5e+20", "3"])
def test_unusual_numbers_are_read_back(value: str) -> None:
    assert parse([f"Add x {value}"]).lines() == [f"Add x {value}"]


@pytest.mark.parametrize(
    "line",
    ["Foo x", "relu x", "Add x y", "Add x $", "Add x %0", "Add x %-1", "Add x 1,5", "Add x $a"],
)
def test_line_that_means_nothing_is_refused(line: str) -> None:
    with pytest.raises(InputError, match="line 1"):
        parse(["Relu x", line.replace("%0", "%1")])


def rises(values: Array) -> bool:
    """Tell whether rows never fall, but for rounding."""
    slack = 1e-12 * np.abs(values).max(initial=0.0)
    return bool(np.all(np.diff(values, axis=1) >= -slack))


@settings(max_examples=2000, deadline=None)
@given(programs(), operand_lists())
def test_program_said_not_to_decrease_does_not(program: Program, operands: list[Array]) -> None:
    if not program.is_non_decreasing(operands):  # most; to assume it would draw too many again
        return
    values = evaluate(program, np.tile(GRID, (CHANNELS, 1)), operands)
    assert not np.all(np.isfinite(values)) or rises(values)


@pytest.mark.parametrize("alpha", [-1.5, -1e-3, 0.0, 0.3, 2.0])
@pytest.mark.parametrize("op", sorted(UNARY.keys() - {"Swish"}))
def test_operator_said_not_to_decrease_does_not(op: str, alpha: float) -> None:
    settings = ((ATTRIBUTES[op][-1] if op == "Selu" else "alpha", alpha),)
    program = Program((Instruction(op, (INPUT,), settings if op in ATTRIBUTES else ()),))
    values = evaluate(program, GRID[None], [])
    if program.is_non_decreasing([]):
        assert np.all(np.isfinite(values) | (values == np.inf))
        assert rises(np.minimum(values, 1e300))


@pytest.mark.parametrize("op", sorted(WITH_CONSTANTS.keys() - {"Clip"}))
@pytest.mark.parametrize("value", [-1.5, 0.0, 0.5, 2.0])
@pytest.mark.parametrize("first", [False, True])
def test_operator_with_a_number_said_not_to_decrease_does_not(
    op: str, value: float, first: bool
) -> None:
    arguments = (repr(value), INPUT) if first else (INPUT, repr(value))
    program = Program((Instruction(op, arguments),))
    if program.is_non_decreasing([]):
        assert rises(evaluate(program, GRID[None], []))


RISING: tuple[list[str], ...] = (
    *(["Relu x"], ["LeakyRelu x alpha=0.1"], ["Sigmoid x"], ["Clip x 0.0 6.0"], ["Add x 1.0"]),
    *(["Mul x 0.5"], ["Mul 0.5 x"], ["Div x 2.0"], ["Sub x 1.0"], ["Max x 0.1"], ["PRelu x $0"]),
    *([], ["Mul x $0", "Add %0 $1", "HardSigmoid %1", "Tanh %2"]),
)


@pytest.mark.parametrize("lines", RISING, ids=" ".join)
def test_common_activations_are_known_not_to_decrease(lines: list[str]) -> None:
    assert parse(lines).is_non_decreasing([np.array([0.1, 0.2]), np.array([-1.0, 1.0])])


FALLING_OR_UNKNOWN: tuple[list[str], ...] = (
    *(["Neg x"], ["Abs x"], ["Mul x -0.5"], ["Mul x $1"], ["Sub 1.0 x"], ["Div 1.0 x"]),
    *(["PRelu x $1"], ["LeakyRelu x alpha=-0.1"], ["HardSwish x"], ["Mul x x"], ["Max x x"]),
    *(["Sigmoid x", "Mul x %0"], ["Relu x", "Relu x"], ["Log x"], ["Sqrt x"], ["Div x 0.0"]),
)


@pytest.mark.parametrize("lines", FALLING_OR_UNKNOWN, ids=" ".join)
def test_everything_else_gets_the_safe_answer(lines: list[str]) -> None:
    assert not parse(lines).is_non_decreasing([np.array([0.1, 0.2]), np.array([-1.0, 1.0])])


@settings(deadline=None)
@given(programs(), programs(), operand_lists(), operand_lists())
def test_one_program_behind_another(
    first: Program, second: Program, operands: list[Array], others: list[Array]
) -> None:
    x = np.tile(np.linspace(-2.0, 2.0, 9), (CHANNELS, 1))
    used = sorted({int(a[1:]) for s in first.instructions for a in s.arguments if a[0] == "$"})
    assume(used in ([], [0], [0, 1]))  # as passes number them: without gaps
    expected = evaluate(second, evaluate(first, x, operands), others)
    joined = first.followed_by(second)
    actual = evaluate(joined, x, [*operands[: first.operand_count()], *others])
    np.testing.assert_array_equal(actual, expected)
