"""What a person gives: machines, samples, options, models; and the commands."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from kit.to_quantise import Writer
from onnx import TensorProto, helper, numpy_helper

from condense_compiler import cli
from condense_compiler.driver import compile_model
from condense_compiler.errors import InputError, UnsupportedError
from condense_compiler.targets import find_target
from condense_compiler.targets.accelerator.fallback import MixedProgram
from condense_compiler.targets.accelerator.lowered import BINARY_FILE
from condense_compiler.targets.accelerator.machine import machine_names, read_machine

FLOAT = onnx.TensorProto.FLOAT


def _model(*nodes: onnx.NodeProto, outputs=(1, 4, 6, 6)) -> onnx.ModelProto:
    weights = np.random.default_rng(2).standard_normal((4, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"], name="first", pads=[1] * 4), *nodes],
        "net",
        [helper.make_tensor_value_info("x", FLOAT, (1, 3, 6, 6))],
        [helper.make_tensor_value_info("y", FLOAT, outputs)],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


RELU = _model(helper.make_node("Relu", ["c"], ["y"], name="end"))
SOFTMAX = _model(helper.make_node("Softmax", ["c"], ["y"], name="end", axis=1))
NO_SAMPLES = pytest.mark.filterwarnings("ignore:no calibration samples")


@pytest.mark.parametrize("name", ["default", "small", "large"])
def test_pooling_takes_little_storage(name: str) -> None:
    machine = read_machine(name)
    assert name in machine_names()
    assert machine.pooling_unit_bytes <= 0.002 * machine.on_chip_bytes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows = ", "not TOML"),
        ("rows = 4", "is missing"),
        ("speed = 4", "unknown entry 'speed'"),
    ],
)
def test_machines_are_checked(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "machine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_machine(str(path))


def test_no_such_machine() -> None:
    with pytest.raises(InputError, match="default, large, small"):
        read_machine("huge")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_bits": "3"}, "give 8, 4, 2 or 1"),
        ({"weight_bits": "many"}, "a whole number"),
        ({"feature_maps": "tape"}, "auto or dram"),
        ({"speed": "9"}, "no option 'speed'"),
        ({"allow_fallback": "perhaps"}, "true or false"),
    ],
)
def test_options_are_checked(options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_target("accelerator", options)


def test_without_samples_there_is_a_warning() -> None:
    with pytest.warns(UserWarning, match="give --calibration"):
        compile_model(RELU, "accelerator")


def test_samples_give_the_ranges(tmp_path) -> None:
    path = tmp_path / "samples.npz"
    samples = np.random.default_rng(0).uniform(-3, 5, (6, 3, 6, 6)).astype(np.float32)
    np.savez(path, x=samples)
    compilation = compile_model(RELU, "accelerator", target_options={"calibration": str(path)})
    assert compilation.report.verification.passed
    port = compilation.lowered.network.inputs["x"]
    assert port.map.scale == pytest.approx((samples.max() - samples.min()) / 255, rel=1e-2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [({"z": np.zeros(3)}, "no samples for input 'x'"), ({"x": np.zeros((2, 5))}, "has shape")],
)
def test_samples_are_checked(tmp_path, arrays, message: str) -> None:
    path = tmp_path / "samples.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=message):
        compile_model(RELU, "accelerator", target_options={"calibration": str(path)})


@NO_SAMPLES
def test_values_that_are_not_finite_are_named() -> None:
    nodes = [helper.make_node("Sub", ["x", "x"], ["z"]), helper.make_node("Div", ["z", "z"], ["y"])]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 3, 6, 6)) for n in "xy")
    graph = helper.make_graph(nodes, "ratios", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    with pytest.raises(InputError, match=r"ratios: .* values that are not finite"):
        compile_model(model, "accelerator")


@NO_SAMPLES
def test_errors_name_operator_and_node() -> None:
    with pytest.raises(UnsupportedError, match=r"node 'end' \(Softmax\): the accelerator has no S"):
        compile_model(SOFTMAX, "accelerator")


@NO_SAMPLES
def test_the_rest_runs_on_the_reference_executor() -> None:
    options = {"allow_fallback": "true"}
    compilation = compile_model(SOFTMAX, "accelerator", target_options=options)
    assert isinstance(compilation.lowered, MixedProgram)
    assert compilation.report.verification.passed
    [hosted] = [f for f in compilation.report.target_facts["fallback"] if f["op"] == "Softmax"]
    assert hosted["node"] == "end"
    outputs = compilation.run({"x": np.ones((1, 3, 6, 6), np.float32)})
    assert np.allclose(outputs["y"].sum(axis=1), 1, atol=0.05)


def _condense(monkeypatch, capsys, *arguments: object) -> str:
    monkeypatch.setattr(sys, "argv", ["condense", *map(str, arguments)])
    with pytest.raises(SystemExit) as ending:
        cli.main()
    output = capsys.readouterr()
    assert ending.value.code == 0, output.err
    return output.out


@NO_SAMPLES
def test_commands(tmp_path, monkeypatch, capsys) -> None:
    model, folder = tmp_path / "net.onnx", tmp_path / "out"
    onnx.save(RELU, model)
    np.save(tmp_path / "x.npy", np.ones((1, 3, 6, 6), np.float32))
    _condense(
        monkeypatch, capsys, "compile", model, "-o", folder, "--target", "accelerator",
        "--machine", "small", "--option", "feature_maps=dram",
    )  # fmt: skip
    shown = _condense(
        monkeypatch, capsys, "simulate", folder, "--input", tmp_path / "x.npy",
        "--trace", tmp_path / "trace.json", "--output", tmp_path / "y.npz",
    )  # fmt: skip
    assert "cycles" in shown
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert {"load", "load_weights", "convolve", "store"} <= {event["name"] for event in events}
    _condense(monkeypatch, capsys, "disassemble", folder, "-o", tmp_path / "p.txt")
    _condense(monkeypatch, capsys, "assemble", tmp_path / "p.txt", "-o", tmp_path / "p.bin")
    assert (tmp_path / "p.bin").read_bytes() == (folder / BINARY_FILE).read_bytes()


def test_the_warning_is_one_line_of_the_command(tmp_path) -> None:
    """Without the place in the code that it comes from, and on the error stream."""
    model = tmp_path / "net.onnx"
    onnx.save(RELU, model)
    command = "from condense_compiler.cli import main; main()"
    arguments = ["compile", model, "-o", tmp_path / "out", "--target", "accelerator"]
    done = subprocess.run(
        [sys.executable, "-c", command, *map(str, arguments)],
        cwd=tmp_path,  # where no source of the package lies that it would be imported from
        capture_output=True,
        text=True,
        check=True,
    )
    [line] = done.stderr.splitlines()
    assert line.startswith("condense: warning: no calibration samples: ranges come from 4 random")


def _refused(model: onnx.ModelProto, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        compile_model(model, "accelerator")


@NO_SAMPLES
def test_windows_over_three_axes_are_refused() -> None:
    w = Writer(1, (1, 2, 5, 5, 5))
    w.write("MaxPool", w.conv("x", 2, 3, 3), kernel_shape=[2, 2, 2], output="y")
    _refused(w.model((1, 3, 4, 4, 4)), "accelerator takes one image")


@NO_SAMPLES
def test_one_pixel_spread_for_a_convolution_is_refused() -> None:
    w = Writer(1)
    mean = w.write("GlobalAveragePool", w.conv("x", 5, 6, 3))
    spread = w.write("Expand", mean, w.integers(1, 6, 4, 4))
    w.write("Conv", spread, w.constant(3, 6, 1, 1), output="y")
    _refused(w.model((1, 3, 4, 4)), "an Expand of other than one pixel, for two maps")


@NO_SAMPLES
def test_a_part_of_a_row_seen_otherwise_is_refused() -> None:
    w = Writer(1)
    mean = w.write("GlobalAveragePool", w.conv("x", 5, 12, 3))
    part = w.write("Slice", mean, w.integers(0), w.integers(6), w.integers(1))
    row = w.write("Reshape", part, w.integers(1, 1, 6))
    w.write("Conv", row, w.constant(1, 1, 3), pads=[1, 1], output="y")
    _refused(w.model((1, 1, 6)), "a Reshape of a part of a map")
