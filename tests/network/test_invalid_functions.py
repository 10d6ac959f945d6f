"""Functions that are not what they seem: of our names, of standard names, or endless."""

import numpy as np
import onnx
import pytest
from kit.small_models import constant, model, node, value
from onnx import helper

from condense_compiler.driver import compile_model
from condense_compiler.errors import InputError
from condense_compiler.network import load_network


def _with_function(domain: str, name: str, body: list[onnx.NodeProto]) -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(domain or "other", 1)]
    source = model(
        [node(name, ["x"], ["y"], domain=domain)], [value("x", [2, 3])], [value("y", None)]
    )
    source.functions.append(helper.make_function(domain, name, ["a"], ["b"], body, opsets))
    if domain:
        source.opset_import.append(helper.make_opsetid(domain, 1))
    return source


def test_a_function_that_shadows_an_operator_is_refused() -> None:
    source = _with_function("", "Relu", [node("Neg", ["a"], ["b"])])
    with pytest.raises(InputError, match="'Relu' has the name of a standard operator"):
        load_network(source)


def test_a_function_that_calls_itself_is_refused() -> None:
    source = _with_function("own", "Again", [node("Again", ["a"], ["b"], domain="own")])
    with pytest.raises(InputError, match="'Again' calls itself"):
        load_network(source)


@pytest.mark.parametrize("name", ["ConvPool", "QLinearConvPool", "OnCodes"])
def test_a_function_of_our_name_without_our_attributes_is_refused(name: str) -> None:
    source = _with_function("condense", name, [node("Relu", ["a"], ["b"])])
    with pytest.raises(InputError, match=f"{name} of domain 'condense'") as error:
        load_network(source)
    assert len(str(error.value).splitlines()) == 1


def _compiled() -> onnx.ModelProto:
    weights = np.random.default_rng(3).normal(size=(8, 4, 3, 3)).astype(np.float32)
    shape = helper.make_tensor("shape", onnx.TensorProto.INT64, [5], [1, 4, 2, 5, 3])
    nodes = [
        node("Conv", ["x", "w"], ["wide"], pads=[1, 1, 1, 1]),
        node("Reshape", ["wide", "shape"], ["groups"]),
        node("ReduceMax", ["groups", "axis"], ["y"], keepdims=0),
    ]
    axis = helper.make_tensor("axis", onnx.TensorProto.INT64, [1], [2])
    source = model(
        nodes, [value("x", [1, 4, 5, 3])], [value("y", None)], [constant("w", weights), shape, axis]
    )
    return compile_model(source, verify_outputs=False).program.network.to_model()


DAMAGES: dict[str, object] = {
    "kernel_shape": [3],
    "strides": [1, 1, 1],
    "pads": [1, 1, 1],
    "dilations": [0, 1],
    "group": -1,
    "window": 3,
    "reduction": "most",
    "members": [0, 1, 2, 99],
    "before": "Relu x\n\nRelu",
    "after": 3.5,
    "pool_kernel_shape": [2, 2],
    "unheard_of": 1,
}


@pytest.mark.parametrize(("name", "content"), DAMAGES.items(), ids=DAMAGES)
def test_a_damaged_attribute_of_a_compiled_model_is_refused(name: str, content: object) -> None:
    source = _compiled()
    [call] = source.graph.node
    kept = [attribute for attribute in call.attribute if attribute.name != name]
    del call.attribute[:]
    call.attribute.extend([*kept, helper.make_attribute(name, content)])
    with pytest.raises(InputError, match="ConvPool") as error:
        load_network(source)
    assert len(str(error.value).splitlines()) == 1


def test_a_function_that_is_not_the_body_of_its_operator_is_refused() -> None:
    source = _compiled()
    source.functions[0].node[-1].op_type = "ReduceMin"
    with pytest.raises(InputError, match="its function is another one"):
        load_network(source)
