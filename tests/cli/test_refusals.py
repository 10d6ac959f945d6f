"""What cannot be done ends with status 2, one line that says what and where, nothing written."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from kit.damage import Damage, empty, folder_instead, nothing_there, random_bytes, text, truncated
from kit.layers import Network
from kit.needs import needs
from onnx import TensorProto, helper, numpy_helper

from .conftest import CONDENSE, LAYERS, Place


def cyclic(path: Path) -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "b"], ["a"], name="first"),
            helper.make_node("Relu", ["a"], ["b"], name="second"),
        ],
        "cyclic",
        [value("x", TensorProto.FLOAT, (1, 3))],
        [value("b", TensorProto.FLOAT, (1, 3))],
    )
    path.write_bytes(helper.make_model(graph).SerializeToString())


def weights_missing(path: Path) -> None:
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (path.parent / "weights.bin").unlink()


def loop(path: Path) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["went"]), helper.make_node("Relu", ["s"], ["t"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, ()),
            helper.make_tensor_value_info("go", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("s", TensorProto.FLOAT, (1, 3)),
        ],
        [
            helper.make_tensor_value_info("went", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("t", TensorProto.FLOAT, (1, 3)),
        ],
    )
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Loop", ["n", "", "x"], ["y"], body=body, name="again")],
        "loop",
        [value("x", TensorProto.FLOAT, (1, 3)), value("n", TensorProto.INT64, ())],
        [value("y", TensorProto.FLOAT, (1, 3))],
        [numpy_helper.from_array(np.ones(1, np.float32), "unused")],
    )
    path.write_bytes(helper.make_model(graph).SerializeToString())


DAMAGED: dict[str, tuple[Damage, str]] = {
    "truncated": (truncated, "not an ONNX model"),
    "random bytes": (random_bytes, "not an ONNX model"),
    "text": (text, "not an ONNX model"),
    "empty": (empty, "empty"),
    "folder": (folder_instead, "is a directory"),
    "missing": (nothing_there, "No such file"),
    "cyclic": (cyclic, "cycl"),
    "weights missing": (weights_missing, "weights.bin"),
    "loop": (loop, "loops are not supported"),
}


@pytest.mark.parametrize("command", ["compile", "plan"])
@pytest.mark.parametrize(("damage", "reason"), DAMAGED.values(), ids=DAMAGED)
def test_model_that_cannot_be_used(place: Place, damage: Damage, reason: str, command: str) -> None:
    damage(place.folder / "net.onnx")
    error = place.refused(command, "net.onnx", alone=command == "compile")
    assert error.startswith("net.onnx: ")
    assert reason in error


USAGE: dict[str, tuple[str, ...]] = {
    "no command given; condense --help": (),
    "No such command 'compil'. Did you mean 'compile'": ("compil", "net.onnx"),
    "No such command 'frobnicate'": ("frobnicate",),
    "Missing argument": ("inspect",),
    "No such option: --taget": ("compile", "net.onnx", "--taget", "reference"),
    "--target": ("compile", "net.onnx", "--target"),
    "unexpected extra argument": ("compile", "net.onnx", "other.onnx"),
    "unknown target 'refrence': did you mean 'reference'?": (
        *("compile", "net.onnx"),
        *("--target", "refrence"),
    ),
    "unknown target 'tpu'": ("compile", "net.onnx", "--target", "tpu"),
    "unknown pass 'clean-up': did you mean 'clean_up'?": (
        *("compile", "net.onnx"),
        *("--passes", "fold_constants,clean-up"),
    ),
    "add --dim batch=N": ("compile", "symbolic.onnx"),
    "no symbolic dimension 'bacth'": ("compile", "symbolic.onnx", "--dim", "bacth=1"),
    "--dim 'batch': write NAME=N": ("compile", "symbolic.onnx", "--dim", "batch"),
    "--dim 'batch=0'": ("compile", "symbolic.onnx", "--dim", "batch=0"),
    "--dim 'batch=-1'": ("compile", "symbolic.onnx", "--dim", "batch=-1"),
    "--dim 'batch=one'": ("compile", "symbolic.onnx", "--dim", "batch=one"),
    "--dim '=1'": ("compile", "symbolic.onnx", "--dim", "=1"),
    "given twice": ("compile", "symbolic.onnx", "--dim", "batch=1", "--dim", "batch=2"),
    "--memory '12XB' is not a size": ("compile", "net.onnx", "--memory", "12XB"),
    "--memory '-1' is not a size": ("compile", "net.onnx", "--memory", "-1"),
    "--memory '' is not a size": ("compile", "net.onnx", "--memory", ""),
    "--output '': give a folder": ("compile", "net.onnx", "-o", ""),
    "is a file": ("compile", "net.onnx", "-o", "net.onnx"),
    "does not exist": ("compile", "net.onnx", "-o", "no/such/folder"),
    "/proc/out: cannot be written": ("compile", "net.onnx", "-o", "/proc/out"),
    "either a model or --buffers": ("plan",),
    "either a model or": ("plan", "net.onnx", "--buffers", "net.csv"),
    "net.csv": ("plan", "--buffers", "net.csv"),
    "not a text file": ("plan", "--buffers", "x.npy"),
    "--seconds 0.0 must be positive": ("plan", "net.onnx", "--seconds", "0"),
    "--order-seconds 0.0 must be": ("compile", "net.onnx", "--order-seconds", "0"),
    "--seconds nan": ("plan", "net.onnx", "--seconds", "nan"),
    "'--seconds'": ("plan", "net.onnx", "--seconds", "soon"),
    "--capacity 'much'": ("plan", "net.onnx", "--capacity", "much"),
    "/proc/plan.csv": ("plan", "net.onnx", "-o", "/proc/plan.csv"),
    "nowhere/report.json: No such file": ("run", "nowhere"),
    "nowhere/report.json": ("verify", "nowhere"),
    "net.onnx/report.json": ("verify", "net.onnx"),
}


@pytest.mark.parametrize(("reason", "arguments"), USAGE.items(), ids=USAGE)
def test_what_was_asked_for_cannot_be_done(
    place: Place, reason: str, arguments: tuple[str, ...]
) -> None:
    assert reason in place.refused(*arguments)


INPUTS: dict[str, tuple[str, ...]] = {
    "input 'input' is missing": (),
    "no input is called 'inptu'": ("--input", "inptu=x.npy"),
    "missing.npy: No such file": ("--input", "input=missing.npy"),
    "net.onnx: not an .npy file": ("--input", "input=net.onnx"),
    "empty.npy: not an .npy file": ("--input", "input=empty.npy"),
    "several arrays": ("--input", "input=many.npz"),
    "but float64 [1, 3, 8, 7] was given": ("--input", "input=double.npy"),
    "but float32 [3, 8, 7] was given": ("--input", "input=flat.npy"),
    "objects.npy: not an .npy file": ("--input", "input=objects.npy"),
    "/proc/y.npz": ("--input", "x.npy", "--output", "/proc/y.npz"),
}


@pytest.mark.parametrize(("reason", "arguments"), INPUTS.items(), ids=INPUTS)
def test_input_that_cannot_be_used(
    compiled: Place, reason: str, arguments: tuple[str, ...]
) -> None:
    folder = compiled.folder
    x = np.load(folder / "x.npy")
    np.save(folder / "double.npy", x.astype(np.float64))
    np.save(folder / "flat.npy", x[0])
    np.save(folder / "objects.npy", np.array([{}]), allow_pickle=True)
    np.savez(folder / "many.npz", x=x, y=x)
    (folder / "empty.npy").touch()
    assert reason in compiled.refused("run", "out", *arguments)


# The world around the command.


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_the_right_to_write(place: Place) -> None:
    (place.folder / "locked").mkdir(mode=0o500)
    assert "no right to write" in place.refused("compile", "net.onnx", "-o", "locked")


def test_disk_that_fills_up_leaves_nothing(place: Place) -> None:
    onnx.save(Network(LAYERS[1:] * 20).build(), place.folder / "large.onnx")
    before = place.contents()
    done = subprocess.run(
        [CONDENSE, "compile", "large.onnx", "-o", "out", "--no-verify"],
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)),
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be written" in done.stderr
    assert place.contents() == before


@needs("a device that is always full", present=Path("/dev/full").exists())
@pytest.mark.parametrize(
    "arguments", [["passes"], ["--version"], ["compile", "net.onnx", "--json", "--no-verify"]]
)
def test_output_that_cannot_be_written(place: Place, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [CONDENSE, *arguments],
            cwd=place.folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_reader_that_goes_away_sees_no_traceback(place: Place) -> None:
    process = subprocess.Popen(
        [CONDENSE, "compile", "net.onnx", "--json", "--no-verify"],
        cwd=place.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(timeout=60)


def interrupt(*_arguments: object, **_options: object) -> None:
    raise KeyboardInterrupt


def test_interruption_while_starting_is_told_in_one_line(place: Place) -> None:
    """Nothing that takes time to import comes before the command hears Ctrl-C."""
    code = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name in ('numpy', 'onnx'):\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from condense_compiler.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place.folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "condense: interrupted\n")


@pytest.mark.parametrize("step", ["condense_compiler.driver.run_passes", "json.dumps"])
def test_interruption_is_told_in_one_line_and_leaves_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """While passes run, and while the folder is written."""
    before = place.contents()
    monkeypatch.setattr(step, interrupt)
    finished = place.call("compile", "net.onnx", "-o", "out", "--no-verify")
    assert (finished.status, finished.err) == (130, "condense: interrupted\n")
    assert place.contents() == before
