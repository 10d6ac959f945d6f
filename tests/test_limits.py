"""Limits as users meet them: endless files, arrays that claim too much, `--limit`, the page."""

import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
from kit.small_models import relu_model

from condense_compiler.arrays import read_arrays
from condense_compiler.cli import arguments
from condense_compiler.errors import InputError
from condense_compiler.limits import Limits, applied, limits, with_changes
from condense_compiler.network import load_network

PAGE = Path(__file__).parent.parent / "docs" / "limits.md"


def test_the_page_lists_every_limit_with_its_default() -> None:
    rows = [line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    shown = {row[1].strip(" `"): row[2].strip() for row in rows if len(row) == 5 and "`" in row[1]}
    assert shown == {name: f"{most:,}" for name, most in asdict(Limits()).items()}


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


@pytest.mark.parametrize(
    "make",
    [_pipe, lambda _: Path("/dev/zero"), lambda _: Path("/dev/null")],
    ids=["pipe", "zero", "null"],
)
@pytest.mark.parametrize("read", [load_network, read_arrays], ids=["model", "array"])
def test_what_may_never_end_is_not_read(
    tmp_path: Path, make: Callable[[Path], Path], read: Callable[[Path], object]
) -> None:
    with pytest.raises(InputError, match="not a file but a pipe, a device or a socket"):
        read(make(tmp_path))


def test_a_file_above_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(relu_model(), path)
    with applied(Limits(file_bytes=10)), pytest.raises(InputError, match="file_bytes"):
        load_network(path)


def _npy(shape: tuple[int, ...], version: tuple[int, int] = (1, 0)) -> bytes:
    content = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    write = np.lib.format.write_array_header_1_0
    (write if version == (1, 0) else np.lib.format.write_array_header_2_0)(content, header)
    return content.getvalue() + bytes(24)


@pytest.mark.parametrize("shape", [(7,), (10**12,), (2**62, 2**62), (-6,), (0, -(2**70))])
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_an_array_that_is_not_there_is_not_allocated(
    tmp_path: Path, shape: tuple[int, ...], version: tuple[int, int]
) -> None:
    path, archive = tmp_path / "x.npy", tmp_path / "x.npz"
    path.write_bytes(_npy(shape, version))
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x.npy", _npy(shape, version))
    for name in (path, archive):
        with pytest.raises(InputError, match="is said to hold an array of shape") as error:
            read_arrays(name)
        assert len(str(error.value).splitlines()) == 1


def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path) -> None:
    values = np.random.default_rng(7).normal(size=(3, 5))
    np.save(tmp_path / "x.npy", np.asfortranarray(values))
    np.savez_compressed(tmp_path / "x.npz", a=values, b=np.array(3))
    np.testing.assert_array_equal(read_arrays(tmp_path / "x.npy"), values)
    read = read_arrays(tmp_path / "x.npz")
    assert isinstance(read, dict)
    np.testing.assert_array_equal(read["a"], values)
    assert read["b"] == 3


def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(100_000))
    with applied(Limits(file_bytes=50_000)), pytest.raises(InputError, match="unpacked"):
        read_arrays(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("text", "number"),
    [("tensor_bytes=4GiB", 4 << 30), ("tensor_bytes=17", 17), ("tensor_bytes=1e12", 10**12)],
)
def test_limits_are_read_with_units(text: str, number: int) -> None:
    assert with_changes(arguments.parse_limits([text])).tensor_bytes == number


@pytest.mark.parametrize("text", ["tensor_bytes", "=5", "tensors=5", "operators=0", "operators=x"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        with_changes(arguments.parse_limits([text]))


def test_limits_end_with_their_block() -> None:
    with applied(Limits(operators=3)):
        assert limits().operators == 3
        with applied(None):
            assert limits().operators == 3
    assert limits() == Limits()
