"""Reading .npy and .npz files, whatever they claim to hold."""

import io
import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from condense_compiler.errors import InputError
from condense_compiler.limits import limits
from condense_compiler.network.reading import regular_size

Array = npt.NDArray[Any]

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,  # numpy parses headers as Python
    ValueError,
    EOFError,
    SyntaxError,
    OverflowError,
    KeyError,
    TypeError,
    NotImplementedError,
)


def read_arrays(path: Path) -> Array | dict[str, Array]:
    """Return the array of an .npy file, or those of an .npz file by name.

    Raises:
        InputError: The file cannot be read, is damaged, or holds more than the limit for files.
    """
    try:
        limits().check("file_bytes", regular_size(path), str(path))
        if zipfile.is_zipfile(path):
            return _read_archive(path)
        with path.open("rb") as file:
            return _read_array(file, regular_size(path), str(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except _DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: not an .npy file, nor an .npz: {reason}") from error


def _read_archive(path: Path) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        limits().check("file_bytes", sum(m.file_size for m in members), f"{path}, unpacked")
        for member in members:
            name = member.filename.removesuffix(".npy")
            file = io.BytesIO(archive.read(member))
            arrays[name] = _read_array(file, member.file_size, f"{path}: {name!r}")
    return arrays


def _read_array(file: IO[bytes], size_bytes: int, place: str) -> Array:
    """Read an array whose header is checked against the bytes that are there."""
    version = npy.read_magic(file)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran_order, dtype = read_header(file)
    if dtype.hasobject:
        raise InputError(f"{place}: not an .npy file of numbers: it holds Python objects")
    needed = math.prod(shape) * dtype.itemsize
    sound = min(shape, default=0) >= 0 and needed <= size_bytes
    content = file.read(needed) if sound else b""
    if not sound or len(content) < needed:
        raise InputError(
            f"{place}: is said to hold an array of shape {list(shape)}, but has {size_bytes} bytes"
        )
    values = np.frombuffer(content, dtype)
    return values.reshape(shape, order="F" if fortran_order else "C").copy()
