import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from kit.numerics import assert_close, run_onnxruntime

from condense_compiler import __version__
from condense_compiler.artefacts import read_program, read_report, read_runnable
from condense_compiler.targets.onnxruntime.target import OnnxRuntimeProgram

from .conftest import Place

COMMANDS = ("compile", "run", "plan", "verify", "passes", "targets")
REPORT_KEYS = {
    "model",
    "target",
    "macs",
    "feature_maps",
    "traffic_bytes",
    "fused",
    "refused",
    "seconds",
}
STAGES = {"load", "prepare", "rewrite", "schedule", "plan", "lower", "verify"}


def test_version(place: Place) -> None:
    assert place.run("--version", status=0).out == f"condense {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_an_example(place: Place, command: str) -> None:
    finished = place.run(command, "--help", status=0)
    assert place.call(command, "-h", status=0).out == finished.out
    assert f"Example: condense {command}" in finished.out
    assert finished.err == ""


def test_help_lists_the_commands(place: Place) -> None:
    assert all(command in place.run("--help", status=0).out for command in COMMANDS)


def test_compile_writes_the_folder_and_says_what_was_saved(place: Place) -> None:
    finished = place.run("compile", "net.onnx", "-o", "out", status=0)
    assert sorted(path.name for path in (place.folder / "out").iterdir()) == [
        "model.onnx",
        "picture.json",
        "plan.csv",
        "report.json",
    ]
    for words in ("net.onnx", "feature-map arena", "fused: 2", "verified", "seconds:"):
        assert words in finished.out
    assert finished.err == ""


@pytest.mark.parametrize("command", [["compile", "net.onnx"], ["passes"], ["plan", "net.onnx"]])
def test_output_is_plain_where_no_terminal_reads_it(place: Place, command: list[str]) -> None:
    finished = place.run(*command, status=0)
    assert "\x1b" not in finished.out + finished.err


def test_folder_is_named_after_the_model_unless_told(place: Place) -> None:
    place.run("compile", "net.onnx", "--no-verify", status=0)
    assert (place.folder / "net.condensed" / "model.onnx").is_file()


@pytest.mark.parametrize("target", ["reference", "onnxruntime"])
def test_json_on_standard_output_is_the_report(place: Place, target: str) -> None:
    finished = place.run("compile", "net.onnx", "-o", "out", "--json", "--target", target, status=0)
    report = json.loads(finished.out)
    assert report == place.json("out/report.json")
    assert report.keys() >= REPORT_KEYS
    assert report["seconds"].keys() >= STAGES
    assert report["traffic_bytes"].keys() >= {"before", "after"}
    before, after = report["feature_maps"]["before"], report["feature_maps"]["after"]
    sizes = {"arena_bytes", "lower_bound_bytes", "sum_bytes"}
    assert before.keys() >= sizes
    assert after.keys() >= sizes | {"optimal", "order_optimal"}
    assert after["arena_bytes"] < before["arena_bytes"]
    assert (report["model"], report["target"]) == ("net.onnx", target)
    assert len(report["fused"]) == 2
    assert report["fused"][0].keys() >= {"node", "pass", "pattern", "virtual_bytes"}


def test_refusals_are_in_the_report(place: Place) -> None:
    model = onnx.load(place.folder / "net.onnx")
    wide = model.graph.node[0].output[0]
    model.graph.output.append(onnx.helper.make_tensor_value_info(wide, 1, None))
    onnx.save(model, place.folder / "wide.onnx")
    finished = place.run("compile", "wide.onnx", "--json", status=0)
    [refused] = json.loads(finished.out)["refused"]
    assert refused.keys() == {"node", "pass", "reason"}
    assert "output of the network" in refused["reason"]


def test_dimension_is_fixed_on_the_command_line(place: Place) -> None:
    place.run("compile", "symbolic.onnx", "-o", "out", "--dim", "batch=3", status=0)
    assert place.json("out/report.json")["request"]["dims"] == {"batch": 3}
    model = onnx.load(place.folder / "out" / "model.onnx")
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 3


def test_passes_are_those_asked_for(place: Place) -> None:
    place.run("compile", "net.onnx", "-o", "out", "--passes", "clean_up, fold_constants", status=0)
    report = place.json("out/report.json")
    assert list(report["rewrites"]) == ["clean_up", "fold_constants"]
    assert report["fused"] == []


def test_no_passes_at_all(place: Place) -> None:
    place.run("compile", "net.onnx", "-o", "out", "--passes", "", status=0)
    report = place.json("out/report.json")
    assert report["rewrites"] == {}
    assert report["verification"]["passed"]


def test_memory_that_is_enough(place: Place) -> None:
    place.run("compile", "net.onnx", "--memory", "1MiB", status=0)


def test_memory_that_is_too_small_is_status_1_with_everything_written(place: Place) -> None:
    finished = place.run("compile", "net.onnx", "-o", "out", "--memory", "0.5KiB", status=1)
    assert "does not fit" in finished.out
    report = place.json("out/report.json")
    assert (report["fits"], report["request"]["memory_limit_bytes"]) == (False, 512)


def test_memory_is_counted_to_the_byte(place: Place) -> None:
    place.call("compile", "net.onnx", "-o", "out", status=0)
    arena = place.json("out/report.json")["feature_maps"]["after"]["arena_bytes"]
    place.call("compile", "net.onnx", "--memory", str(arena), status=0)
    place.call("compile", "net.onnx", "--memory", str(arena - 1), status=1)


def test_compiling_again_replaces_what_was_written_and_leaves_the_rest(compiled: Place) -> None:
    out = compiled.folder / "out"
    (out / "notes.txt").write_text("mine")
    (out / "model.onnx").write_bytes(b"old")
    compiled.run("compile", "net.onnx", "-o", "out", status=0)
    assert (out / "notes.txt").read_text() == "mine"
    onnx.checker.check_model(onnx.load(out / "model.onnx"))
    assert not [path.name for path in compiled.folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("target", ["reference", "onnxruntime"])
def test_compile_run_verify(place: Place, target: str) -> None:
    place.run("compile", "net.onnx", "-o", "out", "--target", target, status=0)
    finished = place.run("run", "out", "--input", "input=x.npy", "--output", "y.npz", status=0)
    assert finished.out.startswith("output: float32 [1, 3, 4, 3], from ")
    feeds = {"input": np.load(place.folder / "x.npy")}
    expected = run_onnxruntime(onnx.load(place.folder / "net.onnx"), feeds)
    with np.load(place.folder / "y.npz") as outputs:
        assert_close(dict(outputs), expected)
    assert "outputs agree" in place.run("verify", "out", status=0).out


def test_name_of_the_only_input_may_be_left_out(compiled: Place) -> None:
    compiled.run("run", "out", "--input", "x.npy", status=0)


def test_verify_tells_when_outputs_differ(compiled: Place) -> None:
    path = compiled.folder / "net.onnx"
    model = onnx.load(path)
    [bias] = [t for t in model.graph.initializer if t.name == "layer2/bias"]
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(6, 9.0, np.float32), bias.name))
    onnx.save(model, path)
    assert "outputs differ" in compiled.run("verify", "out", status=1).out


def test_plan_of_a_model(place: Place) -> None:
    finished = place.run("plan", "net.onnx", "-o", "plan.csv", status=0)
    assert "proved minimal" in finished.out
    header, *rows = (place.folder / "plan.csv").read_text().splitlines()
    assert header == "id,lower,upper,size,alignment,offset"
    assert [row.partition(",")[0] for row in rows][-1] == "output"


def test_plan_of_buffers_can_be_planned_again(place: Place) -> None:
    problem = "id,lower,upper,size\na,0,3,10\nb,2,5,20\nc,4,9,5\nd,0,9,1\n"
    (place.folder / "problem.csv").write_text(problem)
    first = place.run("plan", "--buffers", "problem.csv", "-o", "plan.csv", status=0)
    again = place.run("plan", "--buffers", "plan.csv", "-o", "again.csv", status=0)
    assert "arena 31 B" in first.out
    assert again.out == first.out
    assert (place.folder / "again.csv").read_text() == (place.folder / "plan.csv").read_text()


@pytest.mark.parametrize(("capacity", "status"), [("31", 0), ("1KiB", 0), ("30", 1)])
def test_capacity_is_answered(place: Place, capacity: str, status: int) -> None:
    (place.folder / "problem.csv").write_text("id,lower,upper,size\na,0,3,11\nb,2,5,20\n")
    place.call("plan", "--buffers", "problem.csv", "--capacity", capacity, status=status)


def test_passes_and_targets_are_listed(place: Place) -> None:
    passes = place.run("passes", status=0).out
    assert passes.index("clean_up") < passes.index("cross_channel_pooling")
    targets = place.run("targets", status=0).out
    assert "reference" in targets
    assert "onnxruntime" in targets


def test_model_given_by_a_relative_path_verifies_from_anywhere(place: Place) -> None:
    place.run("compile", "net.onnx", "-o", "out", "--no-verify", status=0)
    assert place.json("out/report.json")["model"] == "net.onnx"
    elsewhere = Place(Path("/"))
    elsewhere.run("verify", str(place.folder / "out"), status=0)


def test_options_of_the_target_are_those_that_were_given(place: Place) -> None:
    options = ("--target", "onnxruntime", "--option", "kernels=false")
    place.run("compile", "net.onnx", "-o", "out", *options, "--no-verify", status=0)
    folder = place.folder / "out"
    report = read_report(folder)
    assert report["request"]["target_options"] == {"kernels": "false"}
    program = read_runnable(folder, report, read_program(folder))
    assert isinstance(program, OnnxRuntimeProgram)
    assert not program.kernels
