import numpy as np
import onnx_graphsurgeon as gs
import pytest

from condense_compiler.operators.aliasing import accumulates, is_addition, overwritable_inputs
from condense_compiler.operators.definition import Kind
from condense_compiler.operators.elementwise import parse
from condense_compiler.operators.epilogue import add_epilogue, first_operand, producer_of
from condense_compiler.operators.registry import definition_of, kind_of
from condense_compiler.operators.registry import parse as parse_node
from condense_compiler.report.records import record_operators

SHAPE = (2, 6, 7, 9)
SILU = ("Sigmoid x", "Mul x %0")


def variable(name: str, shape: tuple[int, ...] = SHAPE) -> gs.Variable:
    return gs.Variable(name, np.float32, shape)


def convolution() -> gs.Node:
    filters = gs.Constant("w", np.ones((6, 6, 3, 3), np.float32))
    attributes = {"pads": [1] * 4, "kernel_shape": [3, 3]}
    return gs.Node("Conv", "conv", attributes, [variable("x"), filters], [variable("y")])


def addition() -> gs.Node:
    return gs.Node("Add", "add", {}, [variable("x"), variable("z")], [variable("y")])


def behind(producer: gs.Node, *lines: str, operands: tuple[np.ndarray, ...] = ()) -> gs.Node:
    node = add_epilogue(producer, "both", parse(lines), operands)
    node.outputs = [variable("result")]
    return node


@pytest.mark.parametrize("producer", [convolution(), addition()])
def test_what_is_true_of_the_operator_is_true_of_the_whole(producer: gs.Node) -> None:
    node = behind(producer, *SILU)
    assert overwritable_inputs(node) == overwritable_inputs(producer) != []
    assert accumulates(node) == accumulates(producer)
    assert is_addition(node) == is_addition(producer)
    assert parse_node(node).macs() == parse_node(producer).macs()
    assert kind_of(node) == kind_of(producer) != Kind.OTHER


def test_the_producer_is_not_of_the_graph() -> None:
    node = behind(convolution(), *SILU)
    [source, filters], [result] = node.inputs, node.outputs
    before = [list(source.outputs), list(filters.outputs), list(result.inputs)]
    producer = producer_of(node)
    assert (producer.op, producer.attrs) == ("Conv", convolution().attrs)
    assert [source.outputs, filters.outputs, result.inputs] == before
    assert [*producer.inputs, *producer.outputs] == [source, filters, result]


def test_operands_follow_the_inputs_of_the_operator() -> None:
    slopes = np.full((6, 1, 1), 0.5, np.float32)
    node = behind(convolution(), "PRelu x $0", operands=(slopes,))
    assert first_operand(node) == 2
    assert len(producer_of(node).inputs) == 2
    assert np.array_equal(node.inputs[2].values, slopes)


@pytest.mark.parametrize(
    ("shape", "able"),
    [
        *[(shape, True) for shape in ((6, 1, 1), (1, 6, 1, 1), (1,), ())],
        *[(shape, False) for shape in ((7, 1), (9,), (2, 1, 1, 1), SHAPE)],
    ],
)
def test_what_has_other_operands_is_not_added_in_place(shape: tuple[int, ...], able: bool) -> None:
    node = behind(convolution(), "Mul x $0", operands=(np.ones(shape, np.float32),))
    assert accumulates(node) == able


def test_inputs_left_out_at_the_end_go() -> None:
    producer = convolution()
    producer.inputs.append(gs.Variable.empty())
    assert len(behind(producer, "Relu x").inputs) == 2


def test_a_sigmoid_is_around_one() -> None:
    assert definition_of(behind(convolution(), *SILU)).around_one
    assert not definition_of(behind(convolution(), "Relu x")).around_one


def test_a_person_reads_what_is_computed() -> None:
    [record] = record_operators([behind(convolution(), *SILU)])
    assert record.op == "Conv + Sigmoid + Mul"
