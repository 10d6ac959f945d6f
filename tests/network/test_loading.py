from pathlib import Path

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from kit.small_models import (
    FLOAT,
    RICH_DIMS,
    constant,
    graph,
    model,
    node,
    relu_model,
    rich_model,
    value,
)
from onnx import helper
from onnx.reference import ReferenceEvaluator

from condense_compiler.network import Network, load_network, tensor_bytes
from condense_compiler.network.tensors import is_static, variables

LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))


def run(network: Network, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    return ReferenceEvaluator(network.to_model()).run(None, feeds)


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def assert_static(network: Network) -> None:
    for tensor in variables(network.graph):
        assert isinstance(tensor.dtype, np.dtype)
        assert is_static(tensor.shape)
    onnx.checker.check_model(network.skeleton(), full_check=True)


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_real_models_of_the_onnx_package_load(path: Path) -> None:
    network = load_network(path)
    assert_static(network)
    assert network.name == path.stem
    assert network.opset == 9
    assert len(network.graph.inputs) == 1
    assert network.skeleton().ByteSize() < 2**20


def test_large_weights_are_not_computed_by_loading() -> None:
    network = load_network(next(path for path in LIGHT if "vgg19" in path.stem))
    assert sum(node.op == "ConstantOfShape" for node in network.graph.nodes) > 10


def test_what_shapes_depend_on_is_folded_away() -> None:
    network = load_network(rich_model(), RICH_DIMS)
    assert_static(network)
    assert [node.op for node in network.graph.nodes] == [
        "Conv",
        "Relu",
        "Neg",
        "Identity",
        "Identity",
        "Reshape",
    ]
    assert network.graph.outputs[0].shape == [2, 4 * 8 * 8]


def test_loading_changes_no_result() -> None:
    source = rich_model()
    x = draw(2, 3, 8, 8)
    expected = ReferenceEvaluator(source).run(None, {"x": x})
    np.testing.assert_array_equal(run(load_network(source, RICH_DIMS), {"x": x})[0], expected[0])


def test_loading_leaves_the_given_model_alone() -> None:
    source = rich_model()
    before = source.SerializeToString(deterministic=True)
    load_network(source, RICH_DIMS).graph.nodes[0].name = "renamed"
    assert source.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("taken", [True, False])
def test_the_branch_taken_replaces_its_if(taken: bool) -> None:
    # Each branch returns a constant of its own, and twice a tensor that it also reads itself. The
    # name of that tensor is used in the outer graph, too, by a node that comes later.
    def branch(op: str, size: float) -> onnx.GraphProto:
        return graph(
            [node(op, ["t"], ["u"]), node("Add", ["u", f"{op}_k"], [f"{op}_v"])],
            [],
            [value(name, None) for name in (f"{op}_k", "u", "u", f"{op}_v")],
            [constant(f"{op}_k", [size])],
        )

    results = ["own", "first", "second", "sum"]
    source = model(
        [
            node("Relu", ["x"], ["t"]),
            node(
                "If",
                ["condition"],
                results,
                then_branch=branch("Neg", 2.0),
                else_branch=branch("Exp", 3.0),
            ),
            node("Tanh", ["sum"], ["u"]),
        ],
        [value("x", [2, 3])],
        [value(name, None) for name in (*results, "u")],
        [constant("condition", taken, np.bool_)],
    )
    network = load_network(source)
    assert_static(network)
    x = draw(2, 3)
    t = np.maximum(x, 0)
    u, k = (-t, 2.0) if taken else (np.exp(t), 3.0)
    for found, expected in zip(
        run(network, {"x": x}), [[k], u, u, u + k, np.tanh(u + k)], strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_branches_not_taken_no_longer_read_tensors() -> None:
    network = load_network(rich_model(), RICH_DIMS)
    own = {id(node) for node in network.graph.nodes}
    readers = [reader for t in network.graph.tensors().values() for reader in t.outputs]
    assert {id(reader) for reader in readers} <= own


def test_the_slice_that_shape_asks_for_is_folded() -> None:
    nodes = [
        node("Shape", ["x"], ["s"], start=-1),
        node("Concat", ["minus", "s"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["y"]),
    ]
    source = model(
        nodes, [value("x", [2, 3, 5])], [value("y", None)], [constant("minus", [-1], np.int64)]
    )
    network = load_network(source)
    assert [n.op for n in network.graph.nodes] == ["Reshape"]
    assert network.graph.outputs[0].shape == [6, 5]


def test_opset_11_dynamic_resize_chain_becomes_static() -> None:
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Slice", ["shape", "two", "four"], ["pixels"]),
        node("Cast", ["pixels"], ["float"], to=FLOAT),
        node("Mul", ["float", "factor"], ["scaled"]),
        node("Floor", ["scaled"], ["floored"]),
        node("Cast", ["floored"], ["wanted"], to=onnx.TensorProto.INT64),
        node("Slice", ["shape", "zero", "two"], ["head"]),
        node("Concat", ["head", "wanted"], ["sizes"], axis=0),
        node("Resize", ["x", "none", "none", "sizes"], ["y"], mode="nearest"),
    ]
    constants = [
        constant("zero", [0], np.int64),
        constant("two", [2], np.int64),
        constant("four", [4], np.int64),
        constant("factor", [1.5, 2.0]),
        constant("none", []),
    ]
    source = model(nodes, [value("x", [1, 2, 5, 4])], [value("y", None)], constants, opset=11)
    network = load_network(source)
    assert [n.op for n in network.graph.nodes] == ["Resize"]
    assert network.graph.outputs[0].shape == [1, 2, 7, 8]


def test_nodes_get_unique_names() -> None:
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Relu", ["a"], ["b"], name="same"),
        node("Relu", ["b"], ["c"], name="same"),
        node("Relu", ["c"], ["y"], name="Relu_0"),
    ]
    network = load_network(model(nodes, [value("x", [1])], [value("y", [1])]))
    names = [node.name for node in network.graph.nodes]
    assert len(set(names)) == 4
    assert names[1] == "same"
    assert names[3] == "Relu_0"


def test_unsorted_nodes_are_sorted() -> None:
    source = model(
        [node("Neg", ["a"], ["y"]), node("Relu", ["x"], ["a"])],
        [value("x", [2])],
        [value("y", [2])],
    )
    assert [node.op for node in load_network(source).graph.nodes] == ["Relu", "Neg"]


def test_dead_nodes_go_and_unused_inputs_stay() -> None:
    source = model(
        [node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["unused"])],
        [value("x", [2]), value("z", [3])],
        [value("y", [2])],
    )
    network = load_network(source)
    assert [node.op for node in network.graph.nodes] == ["Relu"]
    assert [tensor.name for tensor in network.graph.inputs] == ["x", "z"]


def test_outputs_that_are_inputs_constants_or_given_twice() -> None:
    weights = draw(20, 20)
    source = model(
        [node("Relu", ["x"], ["y"]), node("Add", ["k", "k"], ["sum"])],
        [value("x", [2, 3])],
        [value(name, None) for name in ("y", "x", "w", "sum", "y")],
        [constant("w", weights), constant("k", [1.0])],
    )
    network = load_network(source)
    assert_static(network)
    x = draw(2, 3)
    expected = [np.maximum(x, 0), x, weights, [2.0], np.maximum(x, 0)]
    for found, wanted in zip(run(network, {"x": x}), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_empty_attributes_and_omitted_inputs_survive() -> None:
    nodes = [
        node("Clip", ["x", "", "top"], ["a"]),
        helper.make_node("ReduceMax", ["a"], ["y"], keepdims=0),
    ]
    nodes[1].attribute.append(helper.make_attribute("axes", [], attr_type=onnx.AttributeProto.INTS))
    source = model(
        nodes, [value("x", [2, 3])], [value("y", None)], [constant("top", 0.5)], opset=13
    )
    again = load_network(source).to_model()
    assert list(again.graph.node[0].input) == ["x", "", "top"]
    axes = next(a for a in again.graph.node[1].attribute if a.name == "axes")
    assert axes.type == onnx.AttributeProto.INTS


@pytest.mark.parametrize("opset", [9, 11])
def test_the_mask_of_a_dropout_is_dropped(opset: int) -> None:
    source = model(
        [node("Dropout", ["x"], ["y", "mask"], ratio=0.5)],
        [value("x", [2])],
        [value("y", [2])],
        opset=opset,
    )
    assert [t.name for t in load_network(source).graph.nodes[0].outputs] == ["y"]


def test_an_initializer_that_is_also_an_input_is_a_constant() -> None:
    source = model(
        [node("Add", ["x", "w"], ["y"])],
        [value("x", [300]), value("w", [300])],
        [value("y", [300])],
        [constant("w", draw(300))],
    )
    network = load_network(source)
    assert [tensor.name for tensor in network.graph.inputs] == ["x"]
    assert isinstance(network.graph.nodes[0].inputs[1], gs.Constant)


def test_domain_ai_onnx_is_the_default_domain() -> None:
    source = relu_model()
    source.graph.node[0].domain = source.opset_import[0].domain = "ai.onnx"
    network = load_network(source)
    assert not network.graph.nodes[0].domain
    assert network.opset == 18
    onnx.checker.check_model(network.to_model(), full_check=True)


ELEMENT_TYPES = [
    (onnx.TensorProto.FLOAT16, 2),
    (onnx.TensorProto.BFLOAT16, 2),
    (onnx.TensorProto.DOUBLE, 8),
    (onnx.TensorProto.INT8, 1),
    (onnx.TensorProto.UINT8, 1),
    (onnx.TensorProto.FLOAT8E4M3FN, 1),
    (onnx.TensorProto.FLOAT8E5M2FNUZ, 1),
    (onnx.TensorProto.INT4, 0.5),
]


@pytest.mark.parametrize("size", [7, 5001])
@pytest.mark.parametrize(("data_type", "item_bytes"), ELEMENT_TYPES)
def test_every_element_type_survives(data_type: int, item_bytes: float, size: int) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(data_type)
    weights = onnx.numpy_helper.from_array((np.arange(size) % 7).astype(dtype), "w")
    nodes = [
        node("Reshape", ["x", "shape"], ["y"]),
        node("Reshape", ["w", "shape"], ["z"]),
    ]
    source = model(
        nodes,
        [value("x", [1, size], data_type)],
        [value("y", [size], data_type), value("z", [size], data_type)],
        [weights, constant("shape", [-1], np.int64)],
        opset=21,
    )
    network = load_network(source)
    assert_static(network)
    assert network.graph.inputs[0].dtype == dtype
    assert tensor_bytes(network.graph.inputs[0]) == int(np.ceil(item_bytes * size))
    for touched in (False, True):
        found = next(
            t
            for t in network.graph.tensors().values()
            if isinstance(t, gs.Constant) and t.dtype == dtype
        )
        assert tensor_bytes(found) == int(np.ceil(item_bytes * size))
        if touched:
            assert found.values.dtype == dtype
        written = next(t for t in network.to_model().graph.initializer if t.name == found.name)
        assert written.data_type == data_type
        np.testing.assert_array_equal(
            onnx.numpy_helper.to_array(written), onnx.numpy_helper.to_array(weights)
        )


def test_loading_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    source = model(
        [node("Cast", ["w"], ["c"], to=FLOAT), node("Add", ["x", "c"], ["y"])],
        [value("x", [3])],
        [value("y", [3])],
        [helper.make_tensor("w", onnx.TensorProto.BFLOAT16, [3], [1.0, 2.0, 3.0])],
    )
    network = load_network(source)
    for tensor in network.graph.tensors().values():
        if isinstance(tensor, gs.Constant):
            _ = tensor.values
    network.to_model()
    assert capfd.readouterr() == ("", "")


def test_what_would_be_large_is_not_computed() -> None:
    # Inference cannot follow this chain, so the size is known only after some folding.
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Cast", ["shape"], ["float"], to=FLOAT),
        node("Pow", ["float", "six"], ["power"]),
        node("Cast", ["power"], ["large"], to=onnx.TensorProto.INT64),
        node("ConstantOfShape", ["large"], ["zeros"]),
        node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        node("Add", ["x", "sum"], ["y"]),
    ]
    source = model(nodes, [value("x", [20])], [value("y", None)], [constant("six", 6.0)])
    network = load_network(source)
    assert network.graph.outputs[0].shape == [20]
    assert [n.op for n in network.graph.nodes] == ["ConstantOfShape", "ReduceSum", "Add"]
    assert tensor_bytes(network.graph.nodes[0].outputs[0]) == 4 * 20**6
