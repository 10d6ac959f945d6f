from pathlib import Path

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from kit.small_models import RICH_DIMS, constant, model, node, relu_model, rich_model, value
from onnx import helper
from onnx_graphsurgeon.logger import G_LOGGER

from condense_compiler.driver import compile_model
from condense_compiler.network import Network, load_network
from condense_compiler.network.silence import quiet_libraries


def large_model() -> onnx.ModelProto:
    weights = np.random.default_rng(4).normal(size=(30, 30))
    return model(
        [node("MatMul", ["x", "w"], ["a"], name="first"), node("Add", ["a", "b"], ["y"])],
        [value("x", [2, 30])],
        [value("y", [2, 30])],
        [constant("w", weights), constant("b", [1.0])],
    )


def test_what_a_model_says_about_itself_is_kept() -> None:
    source = relu_model()
    source.producer_name, source.producer_version = "exporter", "1.2"
    source.doc_string, source.graph.doc_string = "model", "graph"
    source.domain, source.model_version = "org.example", 7
    source.metadata_props.add(key="author", value="somebody")
    source.opset_import.add(domain="ai.onnx.ml", version=3)
    result = load_network(source).copy().to_model()
    for field in ("producer_name", "producer_version", "doc_string", "domain", "model_version"):
        assert getattr(result, field) == getattr(source, field)
    assert list(result.metadata_props) == list(source.metadata_props)
    assert list(result.opset_import) == list(source.opset_import)
    assert result.graph.doc_string == "graph"
    assert result.graph.name == source.graph.name


def test_the_ir_version_knows_overloads() -> None:
    source = relu_model()
    source.ir_version = 8
    assert load_network(source).to_model().ir_version == 10
    source.ir_version = 11
    assert load_network(source).to_model().ir_version == 11


def test_a_skeleton_has_large_constants_as_inputs() -> None:
    network = load_network(large_model())
    skeleton = network.skeleton()
    assert [tensor.name for tensor in skeleton.graph.input] == ["x", "w"]
    assert [tensor.name for tensor in skeleton.graph.initializer] == ["b"]
    assert {v.name for v in skeleton.graph.value_info} == {"a"}
    onnx.checker.check_model(skeleton, full_check=True)
    assert [tensor.name for tensor in network.to_model().graph.initializer] == ["w", "b"]


def test_a_copy_is_independent_and_shares_weights() -> None:
    network = load_network(large_model())
    network.graph.nodes[1].attrs["axes"] = [1]
    before = network.to_model().SerializeToString(deterministic=True)
    copy = network.copy()
    assert copy.to_model().SerializeToString(deterministic=True) == before
    copy.graph.nodes[0].name = "other"
    copy.graph.nodes[0].inputs[1].name = "renamed"
    copy.graph.outputs[0].shape[0] = 9
    copy.graph.nodes[1].attrs["axes"][0] = 9
    copy.graph.nodes.pop()
    copy.graph.import_domains.append(helper.make_opsetid("more", 1))
    copy.header.doc_string = "changed"
    copy.to_model()
    assert network.to_model().SerializeToString(deterministic=True) == before
    first, second = (
        n.graph.nodes[0].inputs[1]._values for n in (network, load_network(large_model()))
    )
    assert first is copy.graph.nodes[0].inputs[1]._values
    assert first is not second


def test_constants_that_share_values_keep_their_names() -> None:
    network = load_network(large_model())
    weights = network.graph.nodes[0].inputs[1]
    network.graph.nodes[1].inputs[1] = gs.Constant("shared", weights._values)
    names = [tensor.name for tensor in network.to_model().graph.initializer]
    assert names == ["w", "shared"]


def test_domains_of_new_nodes_are_imported() -> None:
    network = load_network(relu_model())
    network.graph.nodes[0].domain = "somewhere"
    imports = {entry.domain: entry.version for entry in network.to_model().opset_import}
    assert imports == {"": 18, "somewhere": 1}


def test_saving_and_loading_give_the_same_network(tmp_path: Path) -> None:
    network = load_network(rich_model(), RICH_DIMS)
    network.save(tmp_path / "rich.onnx")
    again = load_network(tmp_path / "rich.onnx")
    assert again.name == "rich"
    assert again.to_model().SerializeToString(
        deterministic=True
    ) == network.to_model().SerializeToString(deterministic=True)


def fused_model() -> onnx.ModelProto:
    """Return a compiled model: two operators of our domain, told apart by their overloads."""
    weights = np.random.default_rng(3).normal(size=(8, 4, 1, 1)).astype(np.float32)
    nodes: list[onnx.NodeProto] = []
    for source, result, op in (("x", "a", "ReduceMax"), ("a", "y", "ReduceMin")):
        nodes += [
            node("Conv", [source, "w"], [f"{result}_wide"]),
            node("Reshape", [f"{result}_wide", "shape"], [f"{result}_groups"]),
            node(op, [f"{result}_groups", "axis"], [result], keepdims=0),
        ]
    constants = [
        helper.make_tensor("shape", onnx.TensorProto.INT64, [5], [1, 4, 2, 5, 3]),
        helper.make_tensor("axis", onnx.TensorProto.INT64, [1], [2]),
    ]
    source = model(
        nodes, [value("x", [1, 4, 5, 3])], [value("y", None)], [constant("w", weights), *constants]
    )
    return compile_model(source, verify_outputs=False).program.network.to_model()


def test_operators_of_this_project_stay_and_lose_their_functions() -> None:
    network = load_network(fused_model())
    assert [n.op for n in network.graph.nodes] == ["ConvPool", "ConvPool"]
    assert [n.outputs[0].shape for n in network.graph.nodes] == [[1, 4, 5, 3]] * 2
    assert not network.graph.functions


def test_a_compiled_network_stays_what_it_is() -> None:
    first = fused_model()
    again = load_network(first).to_model()
    assert list(again.functions) == list(first.functions)
    assert list(again.graph.node) == list(first.graph.node)


def test_functions_are_attached_last() -> None:
    source = fused_model()
    network = load_network(source)

    def attach(exported: onnx.ModelProto, graph: gs.Graph) -> None:
        for proto, given, original in zip(
            exported.graph.node, source.graph.node, graph.nodes, strict=True
        ):
            assert proto.name == original.name
            proto.overload = given.overload
        exported.functions.extend(source.functions)

    for exported in (network.to_model(attach), network.skeleton(attach)):
        onnx.checker.check_model(exported, full_check=True)
    assert load_network(network.to_model(attach)).graph.outputs[0].shape == [1, 4, 5, 3]


def test_other_functions_are_inlined_next_to_ours() -> None:
    """A function of our domain that is not ours is inlined like any other."""
    source = fused_model()
    for domain in ("condense", "local"):
        body = [node("Relu", ["X"], ["Y"])]
        opsets = [helper.make_opsetid("", 18)]
        source.functions.append(helper.make_function(domain, "Keep", ["X"], ["Y"], body, opsets))
    source.opset_import.append(helper.make_opsetid("local", 1))
    source.graph.node.append(node("Keep", ["y"], ["z"], domain="condense"))
    source.graph.node.append(node("Keep", ["z"], ["end"], domain="local"))
    source.graph.output[0].name = "end"
    network = load_network(source)
    assert [n.op for n in network.graph.nodes] == ["ConvPool", "ConvPool", "Relu", "Relu"]


def test_libraries_may_speak_again_after_loading() -> None:
    before = G_LOGGER.severity
    with quiet_libraries():
        assert before < G_LOGGER.severity
    load_network(relu_model())
    assert before == G_LOGGER.severity
    with pytest.raises(ZeroDivisionError), quiet_libraries():
        _ = 1 / 0
    assert before == G_LOGGER.severity


def test_a_network_can_be_made_from_a_graph() -> None:
    graph = load_network(relu_model()).graph
    assert Network(graph, "made").to_model().graph.node[0].op_type == "Relu"
