"""Run models in the reference target and in ONNX Runtime, and compare."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_graphsurgeon as gs
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from condense_compiler.network import Network, tensor_bytes
from condense_compiler.program import ScheduledProgram, Step
from condense_compiler.targets.reference import ReferenceExecutable, ReferenceTarget

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

ALIGNMENT_BYTES = 64

# Outputs that are all smaller are compared as if they were this large.
SMALLEST_SCALE = 0.1


def to_model(
    nodes: Sequence[onnx.NodeProto],
    feeds: Arrays,
    constants: Arrays,
    outputs: Sequence[str],
    opset: int,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "test",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in feeds.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("condense", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def run_onnxruntime(model: onnx.ModelProto, feeds: Arrays) -> dict[str, Array]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(feeds)), strict=True))


def place_apart(graph: gs.Graph) -> tuple[dict[str, int], int]:
    """Give every feature map a place of its own."""
    offsets, end = {}, 0
    for name, tensor in graph.tensors().items():
        if name and isinstance(tensor, gs.Variable):
            offsets[name] = end
            size = tensor_bytes(tensor)
            end += -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    return offsets, end


def lower(graph: gs.Graph, poison: bool = True) -> ReferenceExecutable:
    offsets, arena_bytes = place_apart(graph)
    program = ScheduledProgram(
        Network(graph, "test"), tuple(map(Step, graph.nodes)), offsets, arena_bytes
    )
    return ReferenceTarget(poison=poison).lower(program)


def assert_close(expected: Array, actual: Array, tolerance: float) -> None:
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    if not expected.size:
        return
    difference = np.abs(actual.astype(np.float64) - expected.astype(np.float64)).max()
    scale = max(np.abs(expected.astype(np.float64)).max(), SMALLEST_SCALE)
    assert difference <= tolerance * scale


def compare_with_onnxruntime(
    nodes: Sequence[onnx.NodeProto] | onnx.NodeProto,
    feeds: Arrays,
    constants: Arrays | None = None,
    opset: int = 20,
    tolerance: float = 1e-5,
) -> ReferenceExecutable:
    """Run both on all tensors that a model computes; every one of them is compared."""
    nodes = [nodes] if isinstance(nodes, onnx.NodeProto) else nodes
    computed = [name for node in nodes for name in node.output if name]
    model = to_model(nodes, feeds, constants or {}, computed, opset)
    expected = run_onnxruntime(model, feeds)
    graph = gs.import_onnx(model)
    for name, tensor in graph.tensors().items():
        if name in expected:
            tensor.shape, tensor.dtype = list(expected[name].shape), expected[name].dtype
    executable = lower(graph)
    actual = executable.run(feeds)
    for name, value in expected.items():
        assert_close(value, actual[name], tolerance)
    return executable


def evaluate_node(node: onnx.NodeProto, feeds: Arrays, constants: Arrays) -> dict[str, Array]:
    """Run one node whose outputs have the type of its first input."""
    model = to_model([node], feeds, constants, node.output, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    return lower(gs.import_onnx(inferred)).run(feeds)


@pytest.fixture
def floats() -> Callable[..., Array]:
    """Return a function that draws float32 values of a shape, the same in every run of a test."""
    rng = np.random.default_rng(7)
    return lambda *shape: np.asarray(rng.standard_normal(shape), np.float32)


@pytest.fixture(scope="session")
def compare() -> Callable[..., ReferenceExecutable]:
    return compare_with_onnxruntime


@pytest.fixture(scope="session")
def evaluate() -> Callable[..., dict[str, Array]]:
    return evaluate_node


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """Return the functions above, for tests that build their own graphs."""
    return SimpleNamespace(
        assert_close=assert_close,
        lower=lower,
        place_apart=place_apart,
        run_onnxruntime=run_onnxruntime,
        to_model=to_model,
    )
