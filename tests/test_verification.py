"""What counts as the same output."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from kit.layers import Layer, Network
from kit.numerics import Array, random_feeds
from kit.quantising import quantised
from onnx import TensorProto, helper, numpy_helper

import condense_compiler as cc
from condense_compiler.report.report import Verification
from condense_compiler.report.report_text import difference_text
from condense_compiler.verification import original_outputs, verify
from condense_compiler.verification.comparing import (
    CAPS,
    FLOORS,
    QUANTISED_CAP,
    QUANTISED_TOLERANCE,
    TOLERANCES,
)

MODELS = Path(__file__).parent / "data" / "verification"
Change = Callable[[Array], Array]


@pytest.fixture
def network() -> onnx.ModelProto:
    return Network((Layer("reduce_max", 4, 2, before=("leaky_relu",)),), opset=18).build()


def changed(model: onnx.ModelProto, change: Change) -> Verification:
    """Verify a run whose outputs are those of the model, changed."""
    feeds = random_feeds(model)
    outputs = original_outputs(model, feeds)
    return verify(lambda _: {n: change(v) for n, v in outputs.items()}, model, feeds)


def shifted(share: float) -> Change:
    """Return a change by a share of the largest magnitude."""

    def change(values: Array) -> Array:
        moved = values.copy()
        moved.flat[0] += values.dtype.type(share * np.abs(values).max())
        return moved

    return change


def model_of(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int],
    dtype: int = TensorProto.FLOAT,
    output: int | None = None,
    constants: Sequence[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    """Return a model from x to y."""
    x = helper.make_tensor_value_info("x", dtype, shape)
    y = helper.make_tensor_value_info("y", output or dtype, None)
    graph = helper.make_graph(list(nodes), "g", [x], [y], list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def amplifying(times: float, dtype: type = np.float32) -> onnx.ModelProto:
    """Return a network that turns a unit in the last place into `times` as much."""
    constants = [numpy_helper.from_array(np.array([times], dtype), "times")]
    nodes = [helper.make_node("Mul", ["x", "times"], ["m"]), helper.make_node("Sin", ["m"], ["y"])]
    data_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return model_of(nodes, (1, 500), data_type, constants=constants)


@pytest.mark.parametrize("share", [0.5, 2.0])
def test_a_difference_counts_beyond_the_tolerance(network: onnx.ModelProto, share: float) -> None:
    result = changed(network, shifted(share * TOLERANCES["float32"]))
    assert result.passed == (share < 1)
    assert result.output == "output"
    assert result.tolerance == TOLERANCES["float32"]


@pytest.mark.parametrize("share", [0.5, 2.0])
def test_what_moves_the_original_is_allowed_a_few_times(share: float) -> None:
    model = amplifying(2.0**12)
    moved = changed(model, shifted(0.01)).moved
    assert moved is not None
    assert moved > TOLERANCES["float32"]
    result = changed(model, shifted(share * 4 * moved))
    assert result.passed == (share < 1)
    assert result.tolerance == pytest.approx(4 * moved)
    assert "next to nothing moves the network as given by" in difference_text(result)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_allowance_has_a_cap(dtype: type) -> None:
    """However sensitive a network is, really wrong results are told."""
    model = amplifying(1 / np.finfo(dtype).eps, dtype)
    cap = CAPS[np.dtype(dtype).name]
    right, wrong = (changed(model, shifted(share * cap)) for share in (0.9, 1.1))
    assert (right.passed, wrong.passed) == (True, False)
    assert right.tolerance == wrong.tolerance == cap


@pytest.mark.parametrize("name", ["half_inside", "small_sigmoid", "few_codes"])
@pytest.mark.parametrize("target", ["reference", "onnxruntime"])
def test_networks_that_gave_false_alarms(name: str, target: str) -> None:
    """Float16 inside of float32; sigmoids of a millionth; an output with 47 different codes."""
    assert cc.compile(MODELS / f"{name}.onnx", target).report.verification.passed


@pytest.mark.parametrize("name", ["half_inside", "small_sigmoid", "few_codes"])
@pytest.mark.parametrize("change", [np.negative, lambda v: np.roll(v, 1), lambda v: v * 1.5])
def test_the_same_networks_with_wrong_results_are_told(name: str, change: Change) -> None:
    model = onnx.load(MODELS / f"{name}.onnx")
    assert not changed(model, lambda v: change(v).astype(v.dtype)).passed


def test_small_differences_of_numbers_around_one_have_an_absolute_floor() -> None:
    """A sigmoid of -17 is right to the last bit of one, whichever way it is computed."""
    constants = [numpy_helper.from_array(np.array([-17.0], np.float32), "c")]
    nodes = [helper.make_node("Add", ["x", "c"], ["a"]), helper.make_node("Sigmoid", ["a"], ["y"])]
    model = model_of(nodes, (1, 3), constants=constants)
    floor = np.float32(FLOORS["float32"])
    assert changed(model, lambda values: values + floor * np.float32(0.9)).passed
    assert not changed(model, lambda values: values + floor * np.float32(1.5)).passed


@pytest.mark.parametrize("target", ["reference", "onnxruntime"])
def test_small_sigmoids_may_be_scaled_afterwards(target: str) -> None:
    constants = [
        numpy_helper.from_array(np.array([value], np.float32), name)
        for name, value in (("c", -10.0), ("thousand", 1000.0))
    ]
    nodes = [
        helper.make_node("Add", ["x", "c"], ["a"]),
        helper.make_node("Sigmoid", ["a"], ["s"]),
        helper.make_node("Mul", ["s", "thousand"], ["y"]),
    ]
    model = model_of(nodes, (1, 400), constants=constants)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert cc.compile(model, target).report.verification.passed
    result = changed(model, shifted(3e-4))
    assert (result.passed, changed(model, shifted(3e-3)).passed) == (True, False)


def test_small_outputs_of_other_operators_have_none() -> None:
    constants = [numpy_helper.from_array(np.array([1e-8], np.float32), "c")]
    model = model_of([helper.make_node("Mul", ["x", "c"], ["y"])], (1, 50), constants=constants)
    assert not changed(model, shifted(2e-4)).passed
    assert changed(model, shifted(5e-5)).passed


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values[..., :-1],
        lambda values: values.reshape(-1),
        lambda values: values.astype(np.float64),
        lambda values: np.where(values == values.max(), np.float32(np.nan), values),
        lambda values: np.where(values == values.max(), np.float32(np.inf), values),
    ],
)
def test_shapes_types_and_places_of_nan_are_compared(
    network: onnx.ModelProto, change: Change
) -> None:
    result = changed(network, change)
    assert not result.passed
    assert result.to_dict()["relative_difference"] is None
    assert (
        difference_text(result) == "'output': shapes, types, or places of NaN and infinity differ"
    )


def test_the_page_states_what_is_allowed() -> None:
    page = (Path(__file__).parents[1] / "docs" / "verification.md").read_text(encoding="utf-8")
    for name, tolerance in TOLERANCES.items():
        assert f"| {name} | {tolerance:.0e} | {CAPS[name]:.0e} | {FLOORS[name]:.0e} |" in page
    assert f"| 8-bit codes | {QUANTISED_TOLERANCE:.0e} | {QUANTISED_CAP:.1e} | |" in page


def test_a_missing_output_is_told(network: onnx.ModelProto) -> None:
    assert not verify(lambda _: {}, network, random_feeds(network)).passed


def test_nan_and_infinity_in_the_same_places_agree() -> None:
    nodes = [helper.make_node("Log", ["x"], ["y"])]  # NaN for what is negative
    assert changed(model_of(nodes, (1, 50)), lambda values: values.copy()).passed


@pytest.mark.parametrize("share", [0.5, 2.0])
def test_differences_of_nearly_equal_numbers_are_right_to_the_last_bit_of_those(
    share: float,
) -> None:
    """Moving the input alone would move both numbers alike, and their difference not at all."""
    constants = [
        numpy_helper.from_array(np.array([value], np.float32), f"c{number}")
        for number, value in enumerate((1.5, 1.5 * (1 + 1e-4)))
    ]
    nodes = [helper.make_node("Mul", ["x", f"c{number}"], [f"m{number}"]) for number in range(2)]
    model = model_of([*nodes, helper.make_node("Sub", ["m0", "m1"], ["y"])], (1, 300))
    model.graph.initializer.extend(constants)
    moved = changed(model, shifted(0.04)).moved
    assert moved is not None
    assert moved > TOLERANCES["float32"]
    assert changed(model, shifted(share * 4 * moved)).passed == (share < 1)


def test_noise_has_an_absolute_floor() -> None:
    """Exactly nothing as given, and the last bit of one when computed in another order."""
    one = numpy_helper.from_array(np.array([1.0], np.float32), "one")
    nodes = [
        helper.make_node("Mul", ["x", "one"], ["m"]),
        helper.make_node("Sub", ["m", "x"], ["d"]),
        helper.make_node("Mul", ["d", "one"], ["e"]),
        helper.make_node("Add", ["e", "tiny"], ["y"]),
    ]
    tiny = numpy_helper.from_array(np.array([1e-9], np.float32), "tiny")
    model = model_of(nodes, (1, 300), constants=[one, tiny])
    floor = np.float32(FLOORS["float32"])
    assert changed(model, lambda values: values + floor * np.float32(0.9)).passed
    assert not changed(model, lambda values: values + floor * np.float32(1.5)).passed


def test_indices_may_differ_where_next_to_nothing_decides() -> None:
    """The larger of two numbers that are equal but for the last bit is the one or the other."""
    tie = numpy_helper.from_array(np.full((2, 1), 2.0**23, np.float32), "tie")
    nodes = [
        helper.make_node("Add", ["x", "tie"], ["a"]),
        helper.make_node("ArgMax", ["a"], ["y"], axis=0),
    ]
    model = model_of(nodes, (2, 1000), output=TensorProto.INT64, constants=[tie])
    assert not changed(model, lambda values: 1 - values).passed
    plain = model_of(nodes[1:], (2, 1000), output=TensorProto.INT64)
    plain.graph.node[0].input[0] = "x"
    feeds = random_feeds(plain)
    feeds["x"][1, 3] = np.nextafter(feeds["x"][0, 3], np.float32(9))
    outputs = original_outputs(plain, feeds)

    def flipped(index: int) -> dict[str, Array]:
        values = outputs["y"].copy()
        values[0, index] ^= 1
        return {"y": values}

    assert verify(lambda _: flipped(3), plain, feeds).passed
    assert not verify(lambda _: flipped(4), plain, feeds).passed


def test_what_is_computed_from_integers_is_moved() -> None:
    model = amplifying(2.0**12)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.node[0].input[0] = "f"
    model.graph.node.insert(0, helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT))
    assert changed(model, shifted(2e-3)).passed
    assert not changed(model, shifted(2e-1)).passed


@pytest.mark.parametrize("steps", [1, 4])
def test_codes_may_differ_by_two_steps(
    network: onnx.ModelProto, steps: int, tmp_path: Path
) -> None:
    """A sum between two codes is rounded to either, and no runtime agrees with another."""
    given = quantised(network, tmp_path)

    def change(values: Array) -> Array:
        moved = values.copy()
        moved.flat[0] += steps * np.diff(np.unique(values)).min()  # values of codes are even
        return moved

    result = changed(given, change)
    assert result.passed == (steps <= 2)
    assert result.tolerance <= QUANTISED_CAP


def test_the_allowance_of_codes_has_a_cap(tmp_path: Path) -> None:
    layers = tuple(Layer("reduce_max", 16, 2, before=("leaky_relu",)) for _ in range(12))
    given = quantised(Network(layers, opset=18).build(), tmp_path)
    assert not changed(given, shifted(1.1 * QUANTISED_CAP)).passed
