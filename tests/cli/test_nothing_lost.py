"""What a command reads is never written over, whatever it is called."""

import io
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

from condense_compiler.cli import compiling

from .conftest import CONDENSE, Place

pytestmark = pytest.mark.filterwarnings("ignore:no calibration samples")

COMPILE = ("compile", "--no-verify")


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where work would be done before the refusal."""

    def compile_request(*_arguments: object, **_options: object) -> None:
        raise AssertionError("work was done")

    monkeypatch.setattr(compiling, "compile_request", compile_request)


def external(place: Place, name: str, weights: str) -> None:
    model = onnx.load(place.folder / "net.onnx")
    path = place.folder / name
    onnx.save(model, path, save_as_external_data=True, location=weights, size_threshold=0)


@pytest.mark.usefixtures("early")
@pytest.mark.parametrize("folder", [".", "../{name}", "link", "{whole}", "in/.."])
@pytest.mark.parametrize(
    ("source", "weights"),
    [
        ("model.onnx", ""),
        ("report.json", ""),
        ("other.onnx", "plan.csv"),
        ("other.onnx", "model.onnx"),
        ("other.onnx", "model.onnx.data"),
    ],
)
def test_a_model_is_not_compiled_over_itself(
    place: Place, folder: str, source: str, weights: str
) -> None:
    (place.folder / "in").mkdir()
    (place.folder / "link").symlink_to(".")
    if weights:
        external(place, source, weights)
    else:
        (place.folder / source).write_bytes((place.folder / "net.onnx").read_bytes())
    given = folder.format(name=place.folder.name, whole=place.folder)
    error = place.refused(*COMPILE, source, "-o", given)
    assert f"{weights or source} there is read" in error
    assert "give another folder" in error


@pytest.mark.usefixtures("early")
def test_a_model_is_not_compiled_over_its_twin(place: Place) -> None:
    (place.folder / "out").mkdir()
    (place.folder / "out" / "model.onnx").hardlink_to(place.folder / "net.onnx")
    assert "model.onnx there is read" in place.refused(*COMPILE, "net.onnx", "-o", "out")
    (place.folder / "out" / "model.onnx").unlink()
    (place.folder / "out" / "model.onnx").symlink_to("../net.onnx")
    assert "model.onnx there is read" in place.refused(*COMPILE, "net.onnx", "-o", "out")


@pytest.mark.usefixtures("early")
@pytest.mark.parametrize("name", ["quantised.onnx", "program.bin", "program.3.bin"])
def test_files_of_the_target_count(place: Place, name: str) -> None:
    (place.folder / "net.onnx").rename(place.folder / name)
    arguments = (*COMPILE, name, "-o", ".", "--target", "accelerator")
    assert f"{name} there is read" in place.refused(*arguments)


def test_what_would_be_removed_counts(compiled: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of an earlier compilation go; not if one of them is the model."""
    monkeypatch.chdir(compiled.folder)
    assert "model.onnx there is read" in compiled.refused(*COMPILE, "out/model.onnx", "-o", "out")
    extra = compiled.folder / "out" / "quantised.onnx"
    options = ("--target", "accelerator")
    compiled.call("compile", "net.onnx", "-o", "out", *options, status=0)
    assert extra.is_file()
    assert "quantised.onnx there is read" in compiled.refused(
        *COMPILE, "out/quantised.onnx", "-o", "out"
    )


def test_a_folder_that_holds_the_model_can_be_compiled_to(place: Place) -> None:
    before = (place.folder / "net.onnx").read_bytes()
    for _ in range(2):
        place.call("compile", "net.onnx", "-o", ".", status=0)
    place.call("verify", ".", status=0)
    assert (place.folder / "net.onnx").read_bytes() == before
    assert not [path for path in place.folder.iterdir() if path.name.startswith(".")]


OUTPUTS: dict[str, tuple[str, ...]] = {
    "plan": ("plan", "net.onnx", "-o"),
    "view": ("view", "net.onnx", "-o"),
    "buffers": ("plan", "--buffers", "out/plan.csv", "-o"),
    "folder": ("view", "out", "-o"),
    "run": ("run", "out", "--input", "x.npy", "--output"),
}
LOST = [
    ("plan", "net.onnx"),
    ("plan", "link.svg"),
    ("plan", "weights.bin"),
    ("view", "link.svg"),
    ("view", "twin.svg"),
    ("buffers", "out/plan.csv"),
    ("buffers", "out/../out/plan.csv"),
    ("run", "x.npy"),
    ("run", "out/model.onnx"),
    ("run", "out/report.json"),
    ("folder", "picture.svg"),
]


@pytest.mark.parametrize(("command", "name"), LOST)
def test_outputs_do_not_take_the_place_of_inputs(
    compiled: Place, command: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(compiled.folder)
    external(compiled, "net.onnx", "weights.bin")
    Path("link.svg").symlink_to("net.onnx")
    Path("twin.svg").hardlink_to("net.onnx")
    Path("picture.svg").symlink_to("out/picture.json")
    assert "is what is read" in compiled.refused(*OUTPUTS[command], name)


def test_accelerator_outputs_do_not_take_the_place_of_inputs(place: Place) -> None:
    place.call("compile", "net.onnx", "-o", "out", "--target", "accelerator", status=0)
    place.call("disassemble", "out", "-o", "program.txt", status=0)
    for arguments in (
        ("disassemble", "out", "-o", "out/program.bin"),
        ("disassemble", "out/program.bin", "-o", "out/program.bin"),
        ("assemble", "program.txt", "-o", "program.txt"),
        ("simulate", "out", "--input", "x.npy", "--trace", "x.npy"),
        ("simulate", "out", "--input", "x.npy", "--output", "out/program.bin"),
    ):
        assert "is what is read" in place.refused(*arguments)
    twice = ("simulate", "out", "--input", "x.npy", "--output", "y", "--trace", "./y")
    assert "given for two outputs" in place.refused(*twice)


@pytest.mark.parametrize(
    ("command", "start"),
    [("plan", b"id,lower"), ("view", b"<!DOCTYPE"), ("run", b"PK"), ("folder", b"<!DOCTYPE")],
)
@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_standard_output(compiled: Place, command: str, start: bytes, name: str) -> None:
    before = compiled.contents()
    written = compiled.folder.parent / f"{command}.out"
    with written.open("wb") as out:
        done = subprocess.run(
            [CONDENSE, *OUTPUTS[command], name],
            cwd=compiled.folder,
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 0
    assert (done.stderr == b"") == (start == b"<!DOCTYPE")
    content = written.read_bytes()
    assert content.startswith(start)
    if command == "run":
        with np.load(io.BytesIO(content)) as arrays:
            assert arrays.files == ["output"]
    assert compiled.contents() == before


def test_a_folder_is_not_standard_output(place: Place) -> None:
    assert "a folder cannot be written to" in place.refused(*COMPILE, "net.onnx", "-o", "-")


@pytest.mark.parametrize("command", ["plan", "run"])
def test_devices_stay_devices(compiled: Place, command: str) -> None:
    compiled.call(*OUTPUTS[command], "/dev/null", status=0)
    assert Path("/dev/null").is_char_device()
    assert "is a folder" in compiled.refused(*OUTPUTS[command], "out")
