"""Kernel and body agree on infinities, zeros, tiny values, and what is no number."""

import numpy as np
import numpy.typing as npt
import pytest
from kit.fused import FusedLayer
from kit.numerics import run_onnxruntime

from condense_compiler.operators.elementwise import OPERATORS, UNARY, parse
from condense_compiler.operators.fused import REDUCTIONS, ConvPool
from condense_compiler.operators.window import Window
from condense_compiler.targets.onnxruntime import onnxruntime_session

Array = npt.NDArray[np.float32]

VALUES = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 3e38, -3e38, 88, -88, 104, -104, 20, -0.7],
    np.float32,
)
ARGUMENTS = {
    "Clip": "x -0.5 0.5",
    "Max": "x 0.5",
    "Min": "x 0.5",
    "PRelu": "x 0.3",
    "Pow": "x 2.0",
}
POINT = Window((1, 1), (1, 1), (0,) * 4, (1, 1))
SAME = Window((3, 3), (1, 1), (1,) * 4, (1, 1))
# ONNX Runtime's ReduceMax loses a member beside one that is no number in larger groups.
MOST_MEMBERS = 4


def assert_alike(layer: FusedLayer, data: Array) -> None:
    """Check kernel against body: the same values are no numbers or infinite, others are close."""
    model, feeds = layer.model(), layer.feeds() | {"X": data}
    expected = run_onnxruntime(model, feeds)["Y"]
    found = onnxruntime_session(model, intra_op_num_threads=1).run(["Y"], feeds)[0]
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(
        np.where(np.isinf(found), found, 0), np.where(np.isinf(expected), expected, 0)
    )
    finite = np.isfinite(expected)
    largest = np.abs(expected[finite]).max(initial=1e-30)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-5, atol=1e-6 * largest)


def each_value_alone(pixels: tuple[int, int]) -> Array:
    return np.resize(VALUES, (1, 1, *pixels))


@pytest.fixture(params=("avx512", "avx2", "portable"))
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CONDENSE_ISA", request.param)
    return str(request.param)


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("operator", sorted(OPERATORS))
@pytest.mark.parametrize("place", ["before", "after"])
def test_every_operator(operator: str, place: str) -> None:
    arguments = ARGUMENTS.get(operator, "x" if operator in UNARY else "x 1.5")
    program = parse([f"{operator} {arguments}"])
    for reduction, window in [("max", 1), ("mean", 2)]:
        programs = {place: program}
        recipe = ConvPool(POINT, 1, reduction, window, **programs)
        assert_alike(FusedLayer(recipe, 1, 1, 8, (9, 11), bias=False), each_value_alone((9, 11)))


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("window", range(1, MOST_MEMBERS + 1))
def test_every_reduction(reduction: str, window: int) -> None:
    weights = tuple(np.linspace(0.5, 0.1, window)) if reduction == "ordinal" else ()
    recipe = ConvPool(POINT, 1, reduction, window, rank_weights=weights)
    layer = FusedLayer(recipe, 1, len(VALUES), 5 * window, (9, 11))
    generator = np.random.default_rng(0)
    for value in VALUES:  # in some pixels of some channels
        data = layer.input()
        data[generator.random(data.shape) < 0.05] = value
        assert_alike(layer, data)


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("pixels", [(14, 17), (4, 5)])
@pytest.mark.parametrize("reduction", ["max", "min", "mean", "l2"])
def test_values_spread_no_further_than_their_windows(
    reduction: str, pixels: tuple[int, int]
) -> None:
    """Also where the layer is one for the fast convolution, whose transforms spread them."""
    layer = FusedLayer(ConvPool(SAME, 1, reduction, 2), 2, 16, 32, pixels)
    for value in (np.nan, np.inf, -np.inf):
        data = layer.input()
        data[1, 3, 2, 1] = value
        assert_alike(layer, data)


POOLINGS = {
    "pairs": Window((2, 2), (2, 2), (0,) * 4, (1, 1)),
    "padded": Window((3, 3), (2, 2), (1,) * 4, (1, 1)),
    "overlapping": Window((3, 3), (1, 1), (1,) * 4, (1, 1)),
    "uneven": Window((3, 2), (1, 2), (1, 1, 0, 0), (1, 1)),
}


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("spatial", POOLINGS.values(), ids=POOLINGS)
def test_infinite_maps_are_max_pooled(spatial: Window) -> None:
    layer = FusedLayer(ConvPool(POINT, 1, "max", 1, spatial=spatial), 1, 1, 4, (12, 12))
    for value in (np.inf, -np.inf):
        some = layer.input()
        some[..., 3:7, 2:9] = value
        for data in (some, np.full_like(some, value)):
            assert_alike(layer, data)


def test_maps_without_a_number_stay_so() -> None:
    """Which of some values survives beside one that is no number, ONNX Runtime leaves open."""
    for spatial in POOLINGS.values():
        layer = FusedLayer(ConvPool(POINT, 1, "max", 1, spatial=spatial), 1, 1, 4, (12, 12))
        data = np.full((1, 1, 12, 12), np.nan, np.float32)
        found = onnxruntime_session(layer.model()).run(["Y"], layer.feeds() | {"X": data})[0]
        assert np.isnan(found).all()
