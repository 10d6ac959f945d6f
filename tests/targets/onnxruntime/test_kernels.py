"""The native kernels compute what the function bodies compute."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.fused import FusedLayer, fast_layers, fused_layers
from kit.numerics import assert_close, run_onnxruntime

from condense_compiler.operators.elementwise import OPERATORS, UNARY, parse
from condense_compiler.operators.fused import ConvPool
from condense_compiler.operators.window import Window
from condense_compiler.targets.onnxruntime import onnxruntime_session

PATHS = ("avx512", "avx2", "portable")
VARIABLE = "CONDENSE_ISA"


def compare(layer: FusedLayer, threads: int = 1) -> None:
    model, feeds = layer.model(), layer.feeds()
    expected = run_onnxruntime(model, feeds)
    session = onnxruntime_session(model, intra_op_num_threads=threads, log_severity_level=3)
    assert_close({"Y": session.run(["Y"], feeds)[0]}, expected)


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(VARIABLE, request.param)
    return str(request.param)


@pytest.mark.usefixtures("path")
@settings(max_examples=500, deadline=None)
@given(fused_layers(), st.sampled_from((1, 2)))
def test_any_layer(layer: FusedLayer, threads: int) -> None:
    compare(layer, threads)


@pytest.mark.usefixtures("path")
@settings(max_examples=200, deadline=None)
@given(fast_layers(), st.sampled_from((1, 2)))
def test_layers_of_the_fast_convolution(layer: FusedLayer, threads: int) -> None:
    compare(layer, threads)


ARGUMENTS = {"Clip": "x -0.5 0.5", "Max": "x $0", "Min": "x $0", "PRelu": "x $0", "Pow": "x 2.0"}
POSITIVE = {"Log", "Sqrt", "Reciprocal"}


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_every_operator_of_programs(operator: str) -> None:
    arguments = ARGUMENTS.get(operator, "x" if operator in UNARY else "x 1.5")
    lines = [f"{operator} {arguments}"]
    if operator in POSITIVE:
        lines = ["Abs x", "Add %0 0.1", f"{operator} %1"]
    if operator == "Round":  # values exactly between two whole numbers are not to be expected
        lines = ["Mul x 3.7", "Round %0"]
    window = Window((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
    recipe = ConvPool(window, 1, "max", 2, before=parse(lines), after=parse(["Mul x 0.5"]))
    compare(FusedLayer(recipe, 1, 3, 8, (9, 11)))


def test_winograd_can_be_turned_off() -> None:
    window = Window((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
    layer = FusedLayer(ConvPool(window, 1, "max", 2), 1, 64, 128, (28, 28), winograd=False)
    model, feeds = layer.model(), layer.feeds()
    expected = run_onnxruntime(model, feeds)
    result = onnxruntime_session(model).run(["Y"], feeds)[0]
    assert_close({"Y": result}, expected, relative_to_largest=3e-6)


def test_a_batch_of_unknown_size() -> None:
    window = Window((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
    layer = FusedLayer(ConvPool(window, 1, "max", 2), 1, 8, 32, (14, 14))
    model = layer.model()
    for axis in (0, 2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"size{axis}"
    session = onnxruntime_session(model)
    for shape in ((1, 8, 14, 14), (3, 8, 5, 31), (2, 8, 1, 1)):
        layer = FusedLayer(layer.recipe, shape[0], 8, 32, shape[2:])
        expected = run_onnxruntime(layer.model(), layer.feeds())
        assert_close({"Y": session.run(["Y"], layer.feeds())[0]}, expected)


def test_an_empty_batch() -> None:
    window = Window((1, 1), (1, 1), (0, 0, 0, 0), (1, 1))
    layer = FusedLayer(ConvPool(window, 1, "max", 2), 1, 3, 4, (2, 2))
    model = layer.model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    result = onnxruntime_session(model).run(["Y"], {"X": np.zeros((0, 3, 2, 2), np.float32)})[0]
    assert result.shape == (0, 2, 2, 2)


def test_shapes_are_inferred() -> None:
    window = Window((3, 3), (2, 2), (1, 1, 1, 1), (1, 1))
    pool = Window((2, 2), (2, 2), (0, 0, 0, 0), (1, 1), ceil_mode=True)
    layer = FusedLayer(ConvPool(window, 1, "max", 2, spatial=pool), 1, 3, 8, (19, 14))
    assert onnxruntime_session(layer.model()).get_outputs()[0].shape == [1, 4, 5, 4]
