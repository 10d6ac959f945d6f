"""Folders: `run` and `verify` take the binaries and the quantised model that were saved there."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from condensation_net import build
from kit.command import Condense
from kit.damage import seal
from onnx import helper, numpy_helper

from condense_compiler.artefacts import read_program, read_report, read_runnable
from condense_compiler.compilation import Compilation
from condense_compiler.driver import compile_model
from condense_compiler.errors import InputError
from condense_compiler.targets.accelerator.fallback import AcceleratedPart, PartedProgram
from condense_compiler.targets.accelerator.folder import read_binary
from condense_compiler.targets.accelerator.isa.binary import to_bytes
from condense_compiler.targets.accelerator.loaded import LoadedProgram

pytestmark = pytest.mark.filterwarnings("ignore:no calibration samples")

FLOAT = onnx.TensorProto.FLOAT
LIMIT = 3000


def mixed_model() -> onnx.ModelProto:
    """Return a network whose softmax, right in the middle, no accelerator runs."""
    generator = np.random.default_rng(7)
    weights = {
        "v": generator.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "w": generator.standard_normal((5, 4, 3, 3)).astype(np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "v"], ["a"], name="first", pads=[1] * 4),
            helper.make_node("Softmax", ["a"], ["b"], name="middle", axis=1),
            helper.make_node("Conv", ["b", "w"], ["c"], name="second", pads=[1] * 4),
            helper.make_node("Relu", ["c"], ["y"], name="end"),
        ],
        "mixed",
        [helper.make_tensor_value_info("x", FLOAT, (1, 3, 7, 5))],
        [helper.make_tensor_value_info("y", FLOAT, (1, 5, 7, 5))],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture(scope="module")
def pure() -> Compilation:
    return compile_model(
        build(k=2, width=0.25, size=32),
        "accelerator",
        memory_limit_bytes=LIMIT,
        target_options={"machine": "large", "weight_bits": "4"},
    )


@pytest.fixture(scope="module")
def mixed() -> Compilation:
    options = {"allow_fallback": "true", "machine": "small"}
    return compile_model(mixed_model(), "accelerator", target_options=options)


def loaded(folder: Path) -> LoadedProgram | PartedProgram:
    runnable = read_runnable(folder, read_report(folder), read_program(folder))
    assert isinstance(runnable, LoadedProgram | PartedProgram)
    return runnable


def feeds_of(compilation: Compilation) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(3)
    [tensor] = compilation.program.network.graph.inputs
    return {tensor.name: generator.standard_normal(tensor.shape).astype(np.float32)}


def test_the_saved_binary_runs_on_its_machine(pure: Compilation, tmp_path: Path) -> None:
    pure.save(tmp_path / "out")
    program = loaded(tmp_path / "out")
    assert isinstance(program, LoadedProgram)
    assert program.binary == pure.lowered.code.binary
    assert program.binary.machine.name == "large"
    assert program.binary.chip_bytes <= LIMIT
    feeds = feeds_of(pure)
    for name, values in pure.run(feeds).items():
        np.testing.assert_array_equal(program.run(feeds)[name], values)
    assert program.verify(feeds) == pure.lowered.verify(feeds)


def test_saved_parts_run_with_the_reference_executor_between(
    mixed: Compilation, tmp_path: Path
) -> None:
    mixed.save(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"program.0.bin", "program.2.bin", "quantised.onnx"} <= names
    program = loaded(tmp_path / "out")
    assert isinstance(program, PartedProgram)
    binaries = [part.binary for part in program.parts if isinstance(part, AcceleratedPart)]
    assert len(binaries) == 2
    assert {binary.machine.name for binary in binaries} == {"small"}
    feeds = feeds_of(mixed)
    for name, values in mixed.run(feeds).items():
        np.testing.assert_array_equal(program.run(feeds)[name], values)
    assert program.verify(feeds).passed


def larger_steps(path: Path) -> None:
    """Change what a binary computes, under right checksums."""
    binary = read_binary(path)
    ports = (replace(p, scale=2 * p.scale) if p.is_output else p for p in binary.ports)
    path.write_bytes(to_bytes(replace(binary, ports=tuple(ports))))


@pytest.mark.parametrize(("kind", "name"), [("pure", "program.bin"), ("mixed", "program.2.bin")])
def test_what_runs_is_what_lies_in_the_folder(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, name: str
) -> None:
    compilation = request.getfixturevalue(kind)
    compilation.save(tmp_path / "out")
    larger_steps(tmp_path / "out" / name)
    feeds, program = feeds_of(compilation), loaded(tmp_path / "out")
    expected, found = compilation.run(feeds), program.run(feeds)
    assert any(not np.array_equal(expected[n], found[n]) for n in expected)
    assert not program.verify(feeds).passed


def test_the_saved_quantised_model_is_what_is_verified_against(
    pure: Compilation, tmp_path: Path
) -> None:
    pure.save(tmp_path / "out")
    path = tmp_path / "out" / "quantised.onnx"
    model = onnx.load(path)
    weights = next(t for t in model.graph.initializer if len(t.dims) == 4)
    values = numpy_helper.to_array(weights)
    weights.CopyFrom(numpy_helper.from_array(values[::-1].copy(), weights.name))
    onnx.save(model, path)
    assert not loaded(tmp_path / "out").verify(feeds_of(pure)).passed


def test_what_an_earlier_compilation_wrote_goes(
    pure: Compilation, mixed: Compilation, tmp_path: Path, condense: Condense
) -> None:
    out = tmp_path / "out"
    pure.save(out)
    (out / "notes.txt").write_text("mine")
    assert condense("disassemble", out, "-o", tmp_path / "program.txt").status == 0
    mixed.save(out)
    names = {path.name for path in out.iterdir()}
    assert {"notes.txt", "program.0.bin", "program.2.bin"} <= names
    assert "program.bin" not in names
    pure.save(out)
    assert not any(path.name.startswith("program.0") for path in out.iterdir())
    assert (out / "notes.txt").read_text() == "mine"


def test_a_binary_that_the_report_does_not_name_is_not_run(
    mixed: Compilation, pure: Compilation, tmp_path: Path, condense: Condense
) -> None:
    pure.save(tmp_path / "one")
    mixed.save(tmp_path / "out")
    binary = (tmp_path / "one" / "program.bin").read_bytes()
    (tmp_path / "out" / "program.bin").write_bytes(binary)
    assert isinstance(loaded(tmp_path / "out"), PartedProgram)
    assert "a network in parts" in condense("simulate", tmp_path / "out").err
    (tmp_path / "one" / "program.bin").write_bytes(binary[:-1])
    assert "changed since" in condense("simulate", tmp_path / "one").err


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(bytes(content))


def other_program(path: Path) -> None:
    binary = read_binary(path)
    [first, *rest] = binary.ports
    path.write_bytes(to_bytes(replace(binary, ports=(replace(first, name="other"), *rest))))


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (truncated, "its header says"),
    "flipped bit": (flipped, "checksum"),
    "missing": (Path.unlink, "No such file"),
    "of another network": (other_program, "does not belong to the model"),
}


@pytest.mark.parametrize(("kind", "name"), [("pure", "program.bin"), ("mixed", "program.0.bin")])
@pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("command", ["run", "verify"])
def test_damaged_binaries_are_one_line(  # noqa: PLR0917 - four parameters, three fixtures
    request: pytest.FixtureRequest,
    tmp_path: Path,
    condense: Condense,
    kind: str,
    name: str,
    damage: Callable[[Path], None],
    reason: str,
    command: str,
) -> None:
    compilation = request.getfixturevalue(kind)
    compilation.save(tmp_path / "out")
    damage(tmp_path / "out" / name)
    seal(tmp_path / "out")
    [(_, values)] = feeds_of(compilation).items()
    np.save(tmp_path / "x.npy", values)
    inputs = ["--input", tmp_path / "x.npy"] if command == "run" else []
    outcome = condense(command, tmp_path / "out", *inputs)
    assert outcome.status == 2
    [line] = outcome.err.splitlines()
    assert name in line
    assert reason in line


@pytest.mark.parametrize("damage", [truncated, Path.unlink])
def test_damaged_quantised_models_are_one_line(
    pure: Compilation, tmp_path: Path, condense: Condense, damage: Callable[[Path], None]
) -> None:
    pure.save(tmp_path / "out")
    damage(tmp_path / "out" / "quantised.onnx")
    seal(tmp_path / "out")
    outcome = condense("verify", tmp_path / "out")
    assert outcome.status == 2
    [line] = outcome.err.splitlines()
    assert "quantised.onnx" in line


@pytest.mark.parametrize("hosted", [None, 3, [3], [{}], [{"node": "middle", "reason": 3}]])
def test_reports_that_do_not_tell_what_runs_elsewhere(
    mixed: Compilation, tmp_path: Path, hosted: object
) -> None:
    mixed.save(tmp_path / "out")
    path = tmp_path / "out" / "report.json"
    facts = {"target_facts": {"fallback": hosted}}
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))
    with pytest.raises(InputError, match="does not tell what runs elsewhere"):
        loaded(tmp_path / "out")


def test_commands_on_folders(tmp_path: Path, condense: Condense) -> None:
    onnx.save(mixed_model(), tmp_path / "net.onnx")
    np.save(tmp_path / "x.npy", np.ones((1, 3, 7, 5), np.float32))
    out = tmp_path / "out"
    options = ("--target", "accelerator", "--machine", "small", "--allow-fallback")
    assert condense("compile", tmp_path / "net.onnx", "-o", out, *options).status == 0
    report = json.loads((out / "report.json").read_text())
    assert report["request"]["target_options"] == {"machine": "small", "allow_fallback": "true"}
    (tmp_path / "net.onnx").unlink()  # nothing but the folder is needed
    ran = condense("run", out, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npz")
    assert ran.status == 0
    assert ran.out.startswith("y: float32 [1, 5, 7, 5]")
    verified = condense("verify", out)
    assert verified.status == 0
    assert "outputs agree with the integer executor" in verified.out
    assert f"chip memory {report['feature_maps']['after']['arena_bytes']:,} bytes" in verified.out
    simulated = condense("simulate", out, "--input", tmp_path / "x.npy")
    assert simulated.status == 2
    assert "give one of them, such as program.0.bin" in simulated.err
    part = out / "program.0.bin"
    assert condense("simulate", part, "--input", tmp_path / "x.npy").status == 0


def test_warnings_are_one_line(tmp_path: Path) -> None:
    onnx.save(mixed_model(), tmp_path / "net.onnx")
    command = "from condense_compiler.cli import main; main()"
    options = ("--target", "accelerator", "--allow-fallback", "--no-verify")
    done = subprocess.run(
        [sys.executable, "-c", command, "compile", "net.onnx", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    [line] = done.stderr.splitlines()
    assert line.startswith("condense: warning: no calibration samples: ")
