"""Everything that loading refuses: one line that says what, where, and what to do."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from kit.small_models import FLOAT, constant, graph, model, node, relu_model, value
from onnx import helper

from condense_compiler.errors import InputError, UnsupportedError
from condense_compiler.network import load_network

X, Y = value("x", [2, 3]), value("y", None)


def refusal(source: str | Path | onnx.ModelProto, dims: Mapping[str, int] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_network(source, dims)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.__cause__ is None
    return message


CONTENTS = {
    "empty": b"",
    "text": b"this is not a network\n" * 20,
    "zeros": bytes(500),
    "random": np.random.default_rng(0).bytes(5000),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_files_that_are_not_onnx(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(CONTENTS[kind])
    message = refusal(path)
    assert message.startswith(f"{path}: not an ONNX model")


def test_a_directory(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path)


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.onnx"
    assert refusal(str(path)) == f"{path}: cannot be read: No such file or directory"


def test_an_impossible_path() -> None:
    assert "not a usable path" in refusal("model\0.onnx")


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "model.onnx"
    path.touch()
    monkeypatch.setattr(Path, "read_bytes", deny)  # root may read anything
    assert refusal(path).endswith("cannot be read: Permission denied")


def test_a_file_larger_than_protobuf(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)
    assert "save it with external data" in refusal(path)


DIMENSIONS = [
    ({}, "input 'x': the size of axis 0 (named 'batch') is not fixed; add --dim batch=N"),
    ({"batch": 2}, "input 'x': the size of axis 1 (without a name) is not fixed; add --dim x:1=N"),
    ({"bach": 2}, "no symbolic dimension 'bach'; did you mean 'batch'? It has 'batch', 'x:1'"),
    ({"q": 2}, "no symbolic dimension 'q'; it has 'batch', 'x:1'"),
    ({"batch": 0, "x:1": 3}, "dimension 'batch': 0 is not a size; give a positive integer"),
    ({"batch": -1, "x:1": 3}, "dimension 'batch': -1 is not a size"),
    ({"batch": 2, "x:1": 2**40}, "dimension 'x:1': 1099511627776 is not a size"),
]


@pytest.mark.parametrize(("dims", "expected"), DIMENSIONS)
def test_dimensions(dims: dict[str, int], expected: str) -> None:
    assert expected in refusal(relu_model(["batch", None]), dims)


def test_a_dimension_of_a_model_that_has_none() -> None:
    assert "every input size is already fixed" in refusal(relu_model(), {"batch": 1})


def test_a_negative_size_is_a_dimension_to_be_fixed() -> None:
    assert "--dim x:0=N" in refusal(relu_model([-1, 3]))
    assert load_network(relu_model([-1, 3]), {"x:0": 2}).graph.outputs[0].shape == [2, 3]


def one(op: str, *inputs: str, **attributes: object) -> onnx.ModelProto:
    """Return a model of one node that reads `x`, and whatever constants are needed."""
    names = inputs or ("x",)
    constants = [
        constant("large", np.zeros((40, 40))),
        constant("true", True, np.bool_),
        constant("ratio", 0.5),
        constant("text", ["a"], object) if "text" in names else constant("unused", 0.0),
    ]
    return model([node(op, names, ["y"], name="it", **attributes)], [X], [Y], constants)


def loop() -> onnx.ModelProto:
    body = graph(
        [node("Identity", ["c"], ["d"]), node("Relu", ["v"], ["w"])],
        [
            value("i", [], onnx.TensorProto.INT64),
            value("c", [], onnx.TensorProto.BOOL),
            value("v", [2, 3]),
        ],
        [value("d", [], onnx.TensorProto.BOOL), value("w", [2, 3])],
    )
    times = constant("n", 3, np.int64)
    return model([node("Loop", ["n", "", "x"], ["y"], name="it", body=body)], [X], [Y], [times])


def run_time_if() -> onnx.ModelProto:
    branches = {
        f"{name}_branch": graph([node(op, ["x"], [op])], [], [value(op, [2, 3])])
        for name, op in (("then", "Relu"), ("else", "Neg"))
    }
    return model(
        [node("If", ["c"], ["y"], name="it", **branches)],
        [X, value("c", [], onnx.TensorProto.BOOL)],
        [Y],
    )


def batch_norm(opset: int, outputs: list[str], **attributes: int) -> onnx.ModelProto:
    names = ["scale", "bias", "mean", "var"]
    return model(
        [node("BatchNormalization", ["x", *names], outputs, name="it", **attributes)],
        [X],
        [Y],
        [constant(name, np.ones(3)) for name in names],
        opset=opset,
    )


def cyclic() -> onnx.ModelProto:
    nodes = [
        node("Add", ["x", "b"], ["a"], name="it"),
        node("Relu", ["a"], ["b"]),
        node("Neg", ["b"], ["y"]),
    ]
    return model(nodes, [X], [Y])


def changed(change: Callable[[onnx.ModelProto], object]) -> onnx.ModelProto:
    result = relu_model()
    change(result)
    return result


def twice_initialized(size: int) -> onnx.ModelProto:
    tensors = [constant("w", np.zeros(size)), constant("w", np.ones(size))]
    return model([node("Add", ["x", "w"], ["y"])], [value("x", [size])], [Y], tensors)


def made_twice(*, as_input: bool) -> onnx.ModelProto:
    """Return a model in which a large constant has the name of another tensor."""
    weights = node("Constant", [], ["w"], value=constant("", np.zeros(3000)))
    second = [value("w", [3000])] if as_input else []
    first = [] if as_input else [weights]
    nodes = [*first, weights, node("Add", ["x", "w"], ["y"])]
    return model(nodes, [value("x", [3000]), *second], [Y])


def sparse() -> onnx.ModelProto:
    result = relu_model()
    tensor = result.graph.sparse_initializer.add(dims=[4])
    tensor.values.CopyFrom(constant("w", [1.0]))
    tensor.indices.CopyFrom(constant("i", [2], np.int64))
    return result


def damaged_weights(size: int, **fields: object) -> onnx.ModelProto:
    tensor = constant("w", np.zeros(size))
    tensor.MergeFrom(onnx.TensorProto(**fields))
    return model([node("Add", ["x", "w"], ["y"])], [value("x", [size])], [Y], [tensor])


def typed_input(kind: onnx.TypeProto) -> onnx.ModelProto:
    source = relu_model()
    source.graph.input[0].type.CopyFrom(kind)
    return source


FLOATS = helper.make_tensor_type_proto(FLOAT, [2])
REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    # operators
    "unknown operator": (
        lambda: one("Frobnicate"),
        "'it' (Frobnicate): operator 'Frobnicate' of domain 'ai.onnx' is not known",
    ),
    "unknown domain": (
        lambda: one("Gelu", domain="com.microsoft"),
        "operator 'Gelu' of domain 'com.microsoft' is not known",
    ),
    "operator of a later opset": (
        lambda: model([node("Gelu", ["x"], ["y"])], [X], [Y]),
        "node 'y' (Gelu)",
    ),
    "removed operator": (
        lambda: one("Upsample", "x", "ratio"),
        "node 'it' (Upsample): operator 'Upsample' of domain 'ai.onnx' is no longer",
    ),
    "unknown attribute": (
        lambda: one("Relu", colour=3),
        "node 'it' (Relu): Unrecognized attribute: colour",
    ),
    "sparse attribute": (
        lambda: one("Relu", sparse=onnx.SparseTensorProto()),
        "attribute 'sparse' is a sparse tensor",
    ),
    "run-time If": (run_time_if, "node 'it' (If): its condition is only known at run time"),
    "Loop": (loop, "node 'it' (Loop): loops are not supported"),
    "random": (
        lambda: one("RandomNormalLike"),
        "node 'it' (RandomNormalLike): draws random numbers",
    ),
    "constant random": (
        lambda: model(
            [node("RandomNormal", [], ["r"], name="it", shape=[3]), node("Add", ["x", "r"], ["y"])],
            [X],
            [Y],
        ),
        "node 'it' (RandomNormal): draws random",
    ),
    "training Dropout": (
        lambda: one("Dropout", "x", "ratio", "true"),
        "node 'it' (Dropout): is in training mode",
    ),
    "training BatchNormalization": (
        lambda: batch_norm(15, ["y", "m", "v"], training_mode=1),
        "is in training mode",
    ),
    "old training BatchNormalization": (
        lambda: batch_norm(9, ["y", "m", "v", "sm", "sv"]),
        "is in training mode",
    ),
    # tensors
    "sequence": (
        lambda: model(
            [
                node("SplitToSequence", ["x"], ["s"], name="it"),
                node("SequenceAt", ["s", "i"], ["y"]),
            ],
            [X, value("i", [], onnx.TensorProto.INT64)],
            [Y],
        ),
        "tensor 's', output of node 'it' (SplitToSequence): is a sequence; only tensors",
    ),
    "sequence input": (
        lambda: typed_input(helper.make_sequence_type_proto(FLOATS)),
        "'x' is of type sequence; only tensors",
    ),
    "optional input": (
        lambda: typed_input(helper.make_optional_type_proto(FLOATS)),
        "'x' is of type optional",
    ),
    "string input": (
        lambda: model(
            [node("Identity", ["x"], ["y"])],
            [value("x", [2], onnx.TensorProto.STRING)],
            [value("y", [2], onnx.TensorProto.STRING)],
        ),
        "tensor 'x': element type string is not supported",
    ),
    "input without a shape": (
        lambda: relu_model(None),
        "input 'x' has no shape, not even a number of axes",
    ),
    "shape of run-time values": (
        lambda: model(
            [node("NonZero", ["x"], ["n"], name="it"), node("Cast", ["n"], ["y"], to=FLOAT)],
            [X],
            [Y],
        ),
        "tensor 'n', output of node 'it' (NonZero): its shape is not known",
    ),
    "no elements": (lambda: relu_model([0, 3]), "tensor 'x': has no elements (shape (0, 3))"),
    # the graph
    "cycle": (cyclic, "the graph is cyclic: tensor "),
    "dangling input": (
        lambda: model([node("Relu", ["z"], ["y"], name="it")], [X], [Y]),
        "node 'it' (Relu) reads tensor 'z', which is neither an input",
    ),
    "output of nothing": (lambda: model([node("Relu", ["x"], ["z"])], [X], [Y]), "output 'y'"),
    "tensor made twice": (
        lambda: model([node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])], [X], [Y]),
        "'y' has been used as output names multiple times",
    ),
    "input twice": (
        lambda: changed(lambda m: m.graph.input.append(m.graph.input[0])),
        "'x' has been used as graph input names multiple times",
    ),
    "no inputs": (
        lambda: model([node("Neg", ["k"], ["y"])], [], [Y], [constant("k", [1.0])]),
        "the model has no inputs",
    ),
    "no outputs": (
        lambda: changed(lambda m: m.graph.ClearField("output")),
        "the model has no outputs",
    ),
    "contradiction": (
        lambda: model(
            [node("MatMul", ["x", "k"], ["y"], name="it")],
            [X],
            [Y],
            [constant("k", np.ones((4, 4)))],
        ),
        "shapes do not fit together: node 'it' (MatMul): Incompatible dimensions",
    ),
    # constants
    "two Constant nodes of one name": (
        lambda: made_twice(as_input=False),
        "in single static assignment (SSA) form, however 'w'",
    ),
    "a Constant node named like an input": (
        lambda: made_twice(as_input=True),
        "in single static assignment (SSA) form, however 'w'",
    ),
    "two small constants of one name": (
        lambda: twice_initialized(3),
        "two initializers are called 'w'",
    ),
    "two large constants of one name": (
        lambda: twice_initialized(3000),
        "two initializers are called 'w'",
    ),
    "sparse constant": (sparse, "initializer 'w' is sparse"),
    "short constant": (
        lambda: damaged_weights(5000, dims=[2]),
        "constant 'w' holds 20000 of 40000 bytes",
    ),
    "no element type": (
        lambda: damaged_weights(5, data_type=0),
        "constant 'w' has no known element type (0)",
    ),
    "negative constant": (
        lambda: damaged_weights(5, dims=[-1]),
        "constant 'w' has a negative size: [5, -1]",
    ),
    # versions
    "new opset": (
        lambda: changed(lambda m: setattr(m.opset_import[0], "version", 999)),
        "opset 999 is newer than",
    ),
    "old opset": (
        lambda: changed(lambda m: setattr(m.opset_import[0], "version", 6)),
        "opset 6 is older than 7",
    ),
    "new IR": (
        lambda: changed(lambda m: setattr(m, "ir_version", 999)),
        "IR version 999 is newer than",
    ),
    "no opset": (
        lambda: changed(lambda m: m.ClearField("opset_import")),
        "does not say which version",
    ),
    "two opsets": (
        lambda: changed(lambda m: m.opset_import.add(domain="ai.onnx", version=3)),
        "two versions of the operator set",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_models(case: str) -> None:
    build, expected = REFUSED[case]
    assert expected in refusal(build())


def test_a_cycle_is_named_by_a_tensor_on_it() -> None:
    assert re.search(r"tensor '[ab]', read by node ", refusal(cyclic()))


def test_messages_begin_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(relu_model([0]), path)
    assert refusal(path).startswith(f"{path}: tensor 'x'")


def test_names_with_line_breaks_give_one_line() -> None:
    source = model([node("Frob", ["x"], ["y"], name="a\nb\x1b[31m")], [X], [Y])
    assert "node 'a b [31m'" in refusal(source)


def test_what_is_not_done_here_is_told_from_what_is_wrong() -> None:
    with pytest.raises(UnsupportedError):
        load_network(loop())
    with pytest.raises(InputError) as caught:
        load_network(cyclic())
    assert not isinstance(caught.value, UnsupportedError)
