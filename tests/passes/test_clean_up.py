from collections.abc import Callable, Sequence

import numpy as np
import pytest
from kit.rewriting import Rewritten, rewrite
from kit.topology_writer import CHANNELS, IMAGE, TopologyWriter, Write, build

from condense_compiler.passes import find_pass

HEIGHT, WIDTH = IMAGE[2:]


def cleaned(write: Write) -> Rewritten:
    """Clean a model up, and check that its outputs stay the same to the last bit."""
    result = rewrite(build(write), [find_pass("clean_up")])
    result.check_outputs(tolerance=0.0)
    return result


def between(write: Callable[[TopologyWriter, str], str]) -> Write:
    """Write something between two operators that stay."""
    return lambda graph: [graph.write("Tanh", write(graph, graph.write("Sigmoid", "input")))]


def operator(op: str, *constants: object, **attributes: object) -> Write:
    def write(graph: TopologyWriter, tensor: str) -> str:
        inputs = [graph.constant(value) for value in constants]  # type: ignore[arg-type]
        return graph.write(op, tensor, *inputs, **attributes)

    return between(write)


NEUTRAL: dict[str, Write] = {
    "Identity": operator("Identity"),
    "Dropout": operator("Dropout"),
    "Dropout with a mask nobody reads": between(
        lambda graph, tensor: graph.write_many("Dropout", tensor, outputs=2)[0]
    ),
    "Cast to the same type": operator("Cast", to=1),
    "Concat of one": operator("Concat", axis=1),
    "Add of zeros": operator("Add", np.zeros((CHANNELS, 1, 1))),
    "Sub of zero": operator("Sub", 0.0),
    "Mul by one": operator("Mul", 1.0),
    "Div by ones": operator("Div", np.ones((1, CHANNELS, 1, 1))),
    "Expand to its own shape": operator("Expand", [1, 1]),
    "Reshape to its own shape": operator("Reshape", [0, -1, HEIGHT, WIDTH]),
    "Slice of everything": operator("Slice", [0], [2**40], [2], [1]),
    "Pad by nothing": operator("Pad", [0] * 8),
    "Transpose of axes of size one": between(
        lambda graph, tensor: graph.write(
            "Transpose", graph.along("ReduceMean", tensor, [1, 2]), perm=[0, 2, 1, 3]
        )
    ),
}


@pytest.mark.parametrize("write", NEUTRAL.values(), ids=NEUTRAL)
def test_operator_that_does_nothing_is_removed(write: Write) -> None:
    result = cleaned(write)
    assert set(result.operators) <= {"Sigmoid", "ReduceMean", "Tanh"}
    assert len(result.outcomes["clean_up"].rewrites) == 1


KEPT: dict[str, Write] = {
    "Add of almost zeros": operator("Add", np.array([0.0, 0.0, 1e-9]).reshape(3, 1, 1)),
    "Add that enlarges": between(
        lambda graph, tensor: graph.write("Add", tensor, graph.constant(np.zeros((2, 1, 1, 1))))
    ),
    "Mul by minus one": operator("Mul", -1.0),
    "Sub from zero": between(lambda graph, tensor: graph.write("Sub", graph.constant(0.0), tensor)),
    "Div of one": between(lambda graph, tensor: graph.write("Div", graph.constant(1.0), tensor)),
    "Slice backwards": operator("Slice", [-1], [-(2**40)], [3], [-1]),
    "Pad and crop": operator("Pad", [0, 0, 1, 0, 0, 0, -1, 0]),
    "Transpose of equal sizes": between(
        lambda graph, tensor: graph.write(
            "Transpose", graph.slice(tensor, 0, WIDTH, axis=2), perm=[0, 1, 3, 2]
        )
    ),
}


@pytest.mark.parametrize("write", KEPT.values(), ids=KEPT)
def test_operator_that_does_something_stays(write: Write) -> None:
    result = cleaned(write)
    assert result.outcomes["clean_up"].rewrites == ()
    assert result.operators == [node.op_type for node in result.source.graph.node]


def test_a_cast_that_changes_the_type_stays() -> None:
    def write(graph: TopologyWriter, tensor: str) -> str:
        return graph.write("Cast", graph.write("Cast", tensor, to=10), to=1)

    assert cleaned(between(write)).operators == ["Sigmoid", "Cast", "Cast", "Tanh"]


def test_chain_is_removed_as_a_whole() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = graph.write("Sigmoid", "input")
        for op in ("Identity", "Dropout", "Identity"):
            tensor = graph.write(op, tensor)
        return [graph.write("Tanh", tensor), graph.write("Relu", tensor)]

    assert cleaned(write).operators == ["Sigmoid", "Tanh", "Relu"]


def test_output_of_the_network_keeps_its_name() -> None:
    result = cleaned(lambda graph: [graph.write("Identity", graph.write("Sigmoid", "input"))])
    assert result.operators == ["Sigmoid"]
    assert [tensor.name for tensor in result.network.graph.outputs] == ["output"]


def test_output_that_others_read_too_keeps_its_name() -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = graph.write("Sigmoid", "input")
        return [graph.write("Identity", tensor), graph.write("Tanh", tensor)]

    assert sorted(cleaned(write).operators) == ["Sigmoid", "Tanh"]


@pytest.mark.parametrize("first", ["Sigmoid", None])
def test_two_outputs_need_an_operator_between_them(first: str | None) -> None:
    def write(graph: TopologyWriter) -> Sequence[str]:
        tensor = graph.write(first, "input") if first else "input"
        same = graph.write("Identity", tensor)
        return [same, graph.write("Identity", tensor)]

    assert "Identity" in cleaned(write).operators


def test_input_that_is_passed_on_needs_an_operator() -> None:
    assert cleaned(lambda graph: [graph.write("Dropout", "input")]).operators == ["Dropout"]
