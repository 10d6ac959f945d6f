"""What shares memory whatever the order, on small graphs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from condense_compiler.memory.order import file_order
from condense_compiler.memory.sharing import Sharing, resolve_sharing
from condense_compiler.network import load_network

SHAPE = [1, 4, 3, 3]
PLANE = 3 * 3 * 4  # bytes

Shapes = Mapping[str, list[int]]


def resolve(
    nodes: Sequence[onnx.NodeProto],
    outputs: Shapes,
    inputs: Shapes | None = None,
    constants: Mapping[str, npt.NDArray[Any]] | None = None,
) -> Sharing:
    def infos(shapes: Shapes) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]

    graph = helper.make_graph(
        nodes,
        "graph",
        infos(inputs or {"x": SHAPE}),
        infos(outputs),
        [numpy_helper.from_array(v, n) for n, v in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    network = load_network(model)
    return resolve_sharing(network, file_order(network))


def position(sharing: Sharing, name: str, of: str) -> int | None:
    """Return the byte at which `name` starts within `of`; None if they share nothing."""
    group = sharing.positions.group_of(of)
    if sharing.positions.group_of(name) is not group:
        return None
    return group.tensors[name] - group.tensors[of]


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def test_flatten_is_a_view() -> None:
    nodes = [node("Relu", "x", "a"), node("Flatten", "a", "b", axis=1), node("Neg", "b", "y")]
    sharing = resolve(nodes, {"y": [1, 36]})
    assert position(sharing, "b", "a") == 0
    assert sharing.idle == {1}
    assert [w.readers for w in sharing.writings if w.tensor == "a"] == [[2]]


def test_split_parts_lie_in_the_input() -> None:
    nodes = [
        node("Relu", "x", "a"),
        node("Split", "a", "b c", axis=1),
        node("Add", "b c", "y"),
    ]
    assert position(resolve(nodes, {"y": [1, 2, 3, 3]}), "c", "a") == 2 * PLANE


def test_slice_of_channels_lies_in_the_input_but_slice_of_rows_does_not() -> None:
    constants = {"one": np.array([1]), "three": np.array([3]), "rows": np.array([2])}
    nodes = [
        node("Relu", "x", "a"),
        node("Slice", "a one three one", "b"),
        node("Slice", "a one three rows", "c"),
        node("Neg", "b", "y"),
        node("Neg", "c", "z"),
    ]
    sharing = resolve(nodes, {"y": [1, 2, 3, 3], "z": [1, 4, 2, 3]}, constants=constants)
    assert position(sharing, "b", "a") == PLANE
    assert position(sharing, "c", "a") is None


def test_concatenation_is_produced_in_place() -> None:
    nodes = [node("Relu", "x", "a"), node("Neg", "x", "b"), node("Concat", "a b", "y", axis=1)]
    sharing = resolve(nodes, {"y": [1, 8, 3, 3]})
    assert (position(sharing, "a", "y"), position(sharing, "b", "y")) == (0, 4 * PLANE)
    assert sharing.idle == {2}
    assert all(writing.kept for writing in sharing.writings if writing.tensor in "ab")


def test_concatenation_in_a_batch_is_not_contiguous() -> None:
    nodes = [node("Relu", "x", "a"), node("Neg", "x", "b"), node("Concat", "a b", "y", axis=1)]
    sharing = resolve(nodes, {"y": [2, 8, 3, 3]}, {"x": [2, 4, 3, 3]})
    assert position(sharing, "a", "y") is None
    assert sharing.idle == frozenset()


def test_growing_concatenations_nest() -> None:
    """As in DenseNet: every concatenation is the beginning of the next."""
    nodes = [
        node("Relu", "x", "a"),
        node("Neg", "a", "b"),
        node("Concat", "a b", "ab", axis=1),
        node("Abs", "ab", "c"),
        node("Concat", "a b c", "y", axis=1),
    ]
    sharing = resolve(nodes, {"y": [1, 16, 3, 3]})
    assert (position(sharing, "ab", "y"), position(sharing, "c", "y")) == (0, 8 * PLANE)
    assert sharing.copies == ()


def test_tensors_wanted_at_two_places_are_copied_to_one_and_reported() -> None:
    nodes = [
        node("Relu", "x", "a"),
        node("Neg", "x", "b"),
        node("Concat", "a b", "y", axis=1),
        node("Concat", "b a", "z", axis=1, name="second"),
    ]
    sharing = resolve(nodes, {"y": [1, 8, 3, 3], "z": [1, 8, 3, 3]})
    assert 2 in sharing.idle
    assert 3 not in sharing.idle
    assert {copied.node for copied in sharing.copies} == {"second"}


def test_a_tensor_twice_in_one_concatenation_is_copied_once() -> None:
    nodes = [node("Relu", "x", "a"), node("Concat", "a a", "y", axis=1)]
    sharing = resolve(nodes, {"y": [1, 8, 3, 3]})
    assert [copied.tensor for copied in sharing.copies] == ["a"]
    assert position(sharing, "a", "y") == 0


def test_a_constant_part_is_written_by_the_concatenation() -> None:
    nodes = [node("Relu", "x", "a"), node("Concat", "a k", "y", axis=1)]
    constants = {"k": np.ones((1, 1, 3, 3), np.float32)}
    sharing = resolve(nodes, {"y": [1, 5, 3, 3]}, constants=constants)
    assert sharing.idle == frozenset()
    last = sharing.writings[-1]
    assert (last.tensor, last.size, last.writer) == ("y", PLANE, 1)


def test_parts_put_together_again_are_the_tensor_itself() -> None:
    nodes = [
        node("Relu", "x", "a"),
        node("Split", "a", "b c", axis=1),
        node("Concat", "b c", "d", axis=1),
        node("Neg", "d", "y"),
    ]
    sharing = resolve(nodes, {"y": SHAPE})
    assert position(sharing, "d", "a") == 0
    assert sharing.copies == ()


def test_parts_in_another_order_are_copied() -> None:
    nodes = [
        node("Relu", "x", "a"),
        node("Split", "a", "b c", axis=1),
        node("Concat", "c b", "y", axis=1),
    ]
    sharing = resolve(nodes, {"y": SHAPE})
    assert sharing.copies
    assert 2 not in sharing.idle


def test_half_of_a_tensor_cannot_lie_where_its_other_half_is_in_the_way() -> None:
    """Found in ShuffleNet v2: the copy of one part was written over what the other belongs to."""
    nodes = [
        node("Relu", "x", "a"),
        node("Split", "a", "b c", axis=1),
        node("Concat", "k c", "d", axis=1),
        node("Add", "a d", "y"),
    ]
    constants = {"k": np.ones((1, 2, 3, 3), np.float32)}
    sharing = resolve(nodes, {"y": SHAPE}, constants=constants)
    assert position(sharing, "c", "d") is None
    assert [copied.tensor for copied in sharing.copies] == ["c"]
