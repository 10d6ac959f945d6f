"""Inputs and outputs as quantised values."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from kit.codes_writer import CodesWriter
from kit.command import runner
from kit.numerics import random_feeds, run_onnxruntime
from kit.quantising import quantised
from kit.to_quantise import Writer
from onnx import TensorProto

import condense_compiler as cc
from condense_compiler.errors import InputError

SHAPE = (2, 4, 9, 8)
GRID = {"input": (0.05, 100), "output": (0.03, 7)}
Move = Callable[[CodesWriter, str], str]

MOVES: dict[str, Move] = {
    "at once": lambda _w, t: t,
    "transposed": lambda w, t: w.apply("Transpose", t)[0],
    "flattened": lambda w, t: w.apply("Flatten", w.apply("Identity", t)[0])[0],
}


def model(before: Move, behind: Move, dtype: type[np.generic] = np.uint8) -> onnx.ModelProto:
    """Return a network with movements in front of its quantisation and behind the other."""
    w = CodesWriter()
    values = w.requantize(before(w, "x"), w.parameters(*GRID["input"], dtype))
    [result] = w.apply("Sigmoid", w.apply("Neg", values)[0])
    return w.model([behind(w, w.requantize(result, w.parameters(*GRID["output"], dtype)))], SHAPE)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("before", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("behind", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("target", ["reference", "onnxruntime"])
def test_quantised_values_go_in_and_come_out(
    before: Move, behind: Move, dtype: type[np.generic], target: str
) -> None:
    given = model(before, behind, dtype)
    compilation = cc.compile(given, target, io="quantised")
    assert compilation.report.verification is not None
    assert compilation.report.verification.passed
    facts = {value.name: value for value in compilation.report.quantised_values}
    [output] = (value.name for value in given.graph.output)
    assert {facts["x"].dtype, facts[output].dtype} == {np.dtype(dtype).name}
    assert (facts["x"].scale, facts["x"].zero_point) == pytest.approx(GRID["input"])
    assert (facts[output].scale, facts[output].zero_point) == pytest.approx(GRID["output"])
    limits = np.iinfo(dtype)
    codes = np.random.default_rng(1).integers(limits.min, limits.max + 1, SHAPE).astype(dtype)
    values = (codes.astype(np.float32) - np.float32(GRID["input"][1])) * np.float32(0.05)
    [expected] = run_onnxruntime(given, {"x": values}).values()
    [found] = compilation.run({"x": codes}).values()
    assert found.dtype == dtype
    meant = (found.astype(np.float32) - np.float32(GRID["output"][1])) * np.float32(0.03)
    assert np.abs(meant - expected).max() <= 0.03 * 1.001


def test_the_largest_map_may_be_the_input_in_floating_point(tmp_path: Path) -> None:
    w = Writer(shape=(1, 3, 40, 40))
    w.write("Relu", w.conv(w.write("Relu", w.conv("x", 3, 4, 3)), 4, 2, 1), output="y")
    given = quantised(w.model((1, 2, 40, 40)), tmp_path)
    plain, small = cc.compile(given), cc.compile(given, io="quantised")
    assert plain.report.after.arena_bytes >= 4 * 3 * 40 * 40
    assert small.report.after.arena_bytes < plain.report.after.arena_bytes / 2


def test_what_is_read_as_values_too_stays() -> None:
    """An input that another operator reads is no quantised value; the output is one."""
    w = CodesWriter()
    values = w.requantize("x", w.parameters(*GRID["input"]))
    [total] = w.apply("Add", values, "x")
    given = w.model([w.requantize(total, w.parameters(*GRID["output"]))], SHAPE)
    compilation = cc.compile(given, io="quantised")
    [value] = compilation.report.quantised_values
    assert value.name == given.graph.output[0].name
    assert compilation.run(random_feeds(given))[value.name].dtype == np.uint8


def test_a_float_model_has_none() -> None:
    w = CodesWriter()
    given = w.model(w.apply("Relu", "x"), SHAPE)
    with pytest.raises(InputError, match="no input or output of the model is quantised"):
        cc.compile(given, io="quantised")


def test_scales_that_the_network_computes_are_not_known() -> None:
    w = CodesWriter()
    [scale] = w.apply("Exp", w.constant(np.float32(-3)))
    [codes] = w.apply("QuantizeLinear", "x", scale, w.constant(np.uint8(3)))
    given = w.model(w.apply("DequantizeLinear", codes, scale, w.constant(np.uint8(3))), SHAPE)
    with pytest.raises(InputError, match="one scale that the file holds"):
        cc.compile(given, io="quantised")


def test_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    condense = runner(monkeypatch, capsys)
    path = tmp_path / "model.onnx"
    onnx.save(model(MOVES["at once"], MOVES["at once"]), path)
    out = tmp_path / "out"
    compiled = condense("compile", path, "-o", out, "--io", "quantised")
    assert compiled.status == 0, compiled.err
    assert "uint8, (value - 100) * 0.05" in compiled.out
    report = json.loads((out / "report.json").read_text())
    assert report["request"]["io"] == "quantised"
    assert [value["zero_point"] for value in report["quantised_values"]] == [100, 7]
    kept = onnx.load(out / "model.onnx").graph
    assert kept.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    assert kept.output[0].type.tensor_type.elem_type == TensorProto.UINT8
    verified = condense("verify", out)
    assert verified.status == 0, verified.err
    wrong = condense("compile", path, "-o", out, "--io", "int8")
    assert wrong.status == 2
    assert "given or quantised" in wrong.err
