"""Samples to calibrate with: what is missing, wrong or damaged is one line."""

import io
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from kit.floating import FLOAT, SHAPE, conv, filters, model
from onnx import helper

from condense_compiler.errors import InputError
from condense_compiler.limits import Limits, applied
from condense_compiler.network import load_network
from condense_compiler.targets.accelerator.quantisation.samples import read_samples

DATA = Path(__file__).parents[2] / "data" / "accelerator"
IMAGE = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)


def _inputs(*more):
    return load_network(
        model([conv("x", "y")], [filters("w", 4, 3, 3, 3)], more_inputs=more)
    ).graph.inputs


def _archive(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


@pytest.mark.parametrize("stack", [IMAGE, np.stack([IMAGE[0]] * 3), np.stack([IMAGE] * 2)])
def test_samples_may_be_stacked(tmp_path: Path, stack: np.ndarray) -> None:
    np.savez(tmp_path / "s.npz", x=stack.astype(np.float64))
    found = read_samples(tmp_path / "s.npz", _inputs())
    assert {(s["x"].shape, s["x"].dtype.name) for s in found} == {(SHAPE, "float32")}


def test_an_input_that_nothing_reads_needs_no_samples(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", IMAGE)
    size = helper.make_tensor_value_info("size", FLOAT, (1, 2))
    [found] = read_samples(tmp_path / "s.npy", _inputs(size))
    assert found["size"].shape == (1, 2)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"z": IMAGE}, "no samples for input 'x'"),
        ({"x": IMAGE[:, :2]}, "has shape"),
        ({"x": np.float32(1)}, "has shape"),
        ({"x": np.array(["a"])}, "takes numbers"),
        ({"x": np.empty((0, *SHAPE), np.float32)}, "holds no samples"),
    ],
)
def test_samples_that_do_not_match_are_refused(tmp_path: Path, arrays, reason: str) -> None:
    (tmp_path / "s.npz").write_bytes(_archive(**arrays))
    with pytest.raises(InputError, match=reason):
        read_samples(tmp_path / "s.npz", _inputs())


def test_samples_of_too_many_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.npz").write_bytes(_archive(x=IMAGE))
    with applied(Limits(file_bytes=1000)), pytest.raises(InputError, match="--limit file_bytes="):
        read_samples(tmp_path / "s.npz", _inputs())


def test_a_member_that_is_no_array_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.npz", "w") as archive:
        archive.writestr("x", b"text")
    with pytest.raises(InputError, match=r"not an \.npy file, nor an \.npz"):
        read_samples(tmp_path / "s.npz", _inputs())


@pytest.mark.parametrize("path", ["/dev/null", "/nowhere/s.npz"])
def test_what_is_no_file_is_refused(path: str) -> None:
    with pytest.raises(InputError, match=path):
        read_samples(Path(path), _inputs())


@pytest.mark.parametrize("path", sorted(DATA.glob("calibration_*.npz")), ids=lambda path: path.stem)
def test_archives_that_broke_the_reader(path: Path) -> None:
    image = helper.make_tensor_value_info("x1", FLOAT, (1, 3, 2, 2))
    given = model([conv("x1", "y")], [filters("w", 4, 3, 3, 3)], more_inputs=[image])
    with pytest.raises(InputError) as caught:
        read_samples(path, load_network(given).graph.inputs)
    assert "\n" not in str(caught.value)


def _refusal(path: Path, inputs) -> str:
    try:
        read_samples(path, inputs)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, suffix: str) -> None:
    whole = io.BytesIO()
    np.save(whole, IMAGE)
    content = whole.getvalue() if suffix == "npy" else _archive(x=IMAGE)
    path, inputs = tmp_path / f"s.{suffix}", _inputs()
    draw = random.Random(4)  # noqa: S311 - no secrets here
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        position = draw.randrange(160 if draw.random() < 0.6 else len(damaged))
        if draw.random() < 0.6:
            damaged[position] = draw.randrange(256)
        else:
            del damaged[position : position + draw.randrange(1, 60)]
        path.write_bytes(damaged)
        message = _refusal(path, inputs)
        refused += bool(message)
        assert "\n" not in message
    assert refused > 100
