"""Outputs that nobody reads, first ones too, and outputs that are more than results."""

import numpy as np
import onnx
import pytest
from kit.agreement import CHANNELS, agree, convolved, integers
from kit.small_models import constant, model, node, value
from onnx import TensorProto

import condense_compiler as cc

GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}
HIDDEN = 5


def recurrent(
    op: str, results: list[str], read: list[str], direction: str = "forward"
) -> onnx.ModelProto:
    """Return a recurrent layer behind a convolution, some of whose results are read."""
    ways, rows = 1 + (direction == "bidirectional"), GATES[op] * HIDDEN
    random = np.random.default_rng(2)
    return model(
        [
            node("Conv", ["x", "f"], ["c"], pads=[1, 1]),
            node("Transpose", ["c"], ["t"], perm=[2, 0, 1]),
            node(op, ["t", "w", "r"], results, hidden_size=HIDDEN, direction=direction),
            *(node("Neg", [name], [f"{name}_out"]) for name in read),
        ],
        [value("x", [2, 3, 7])],
        [value(f"{name}_out", None) for name in read],
        [
            constant("f", random.normal(0, 0.3, (4, 3, 3))),
            constant("w", random.normal(0, 0.3, (ways, rows, 4))),
            constant("r", random.normal(0, 0.3, (ways, rows, HIDDEN))),
        ],
        opset=14,
    )


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("first", ["", "all"])
def test_recurrent_layer_of_which_the_last_state_is_read(
    op: str, direction: str, first: str
) -> None:
    agree(recurrent(op, [first, "last"], ["last"], direction))


@pytest.mark.parametrize("results", [["", "", "cell"], ["all", "last", "cell"], ["", "h", "cell"]])
def test_cell_state_alone_is_read(results: list[str]) -> None:
    agree(recurrent("LSTM", results, ["cell"], "bidirectional"))


def test_all_states_and_the_last_are_read() -> None:
    agree(recurrent("LSTM", ["all", "last"], ["all", "last"]))


def test_indices_alone_are_read() -> None:
    largest = node("TopK", ["c", "k"], ["v", "i"], axis=1)
    cast = node("Cast", ["i"], ["y"], to=TensorProto.FLOAT)
    agree(convolved([largest, cast], ["y"], [integers("k", 2)]))
    pooled = node("MaxPool", ["c"], ["v", "i"], kernel_shape=[2, 2])
    agree(convolved([pooled, cast], ["y"]))


@pytest.mark.parametrize("opset", [7, 13])
@pytest.mark.parametrize("read", ["a", "b", "d"])
@pytest.mark.parametrize("batch", [1, 2])
def test_one_part_of_a_split_is_read(opset: int, read: str, batch: int) -> None:
    sizes = [2, 2, 4]
    inputs, attributes = (["c", "sizes"], {}) if opset >= 13 else (["c"], {"split": sizes})
    split = node("Split", inputs, ["a", "b", "d"], axis=1, **attributes)
    constants = [integers("sizes", *sizes)] if opset >= 13 else []
    relu = node("Relu", [read], ["y"])
    agree(convolved([split, relu], ["y"], constants, opset=opset, batch=batch))


def test_empty_names_behind_the_result_are_no_training() -> None:
    parameters = [constant(n, np.random.default_rng(4).uniform(0.5, 2, CHANNELS)) for n in "gbmv"]
    norm = node("BatchNormalization", ["c", *"gbmv"], ["y", "", "", "", ""])
    source = convolved([norm], ["y"], parameters, opset=9)
    trimmed = convolved([node("BatchNormalization", ["c", *"gbmv"], ["y"])], ["y"], parameters)
    feeds = {"x": np.random.default_rng(5).normal(size=(1, 3, 7, 6)).astype(np.float32)}
    [compilation] = agree(trimmed, ["reference"])
    found = cc.compile(source).run(feeds)  # ONNX Runtime itself does not survive the empty names
    np.testing.assert_array_equal(found["y"], compilation.run(feeds)["y"])


OUTPUTS = {
    "an input": ["c", "x"],
    "a constant": ["c", "w"],
    "twice the same": ["c", "c"],
    "read inside": ["c", "r", "y"],
    "a view and what it shows": ["c", "flat", "y"],
    "copies": ["c", "copy", "copy_of_copy"],
    "only an input": ["x"],
    "a copy of an input": ["copied_input"],
    "a copy of a constant": ["copied_constant", "c"],
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_outputs_that_are_more_than_results(kind: str) -> None:
    nodes = [
        node("Relu", ["c"], ["r"]),
        node("Reshape", ["r", "shape"], ["flat"]),
        node("Neg", ["flat"], ["y"]),
        node("Identity", ["c"], ["copy"]),
        node("Identity", ["copy"], ["copy_of_copy"]),
        node("Identity", ["x"], ["copied_input"]),
        node("Identity", ["w"], ["copied_constant"]),
    ]
    agree(convolved(nodes, OUTPUTS[kind], [integers("shape", 1, -1)]))
