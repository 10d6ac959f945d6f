"""From a path to a parsed model: everything that can be wrong with the file itself."""

import stat
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from condense_compiler.errors import InputError
from condense_compiler.limits import limits

_PROTOBUF_LIMIT = 2**31 - 1


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message that says something."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)


def read_model(path: Path) -> onnx.ModelProto:
    """Return the parsed model at `path`, external data not yet read.

    Raises:
        InputError: The file cannot be read, or does not hold an ONNX model.
    """
    content = _read(path)
    if not content:
        raise InputError(f"{path}: not an ONNX model: the file is empty")
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(content)
    except DecodeError:
        raise InputError(
            f"{path}: not an ONNX model, or cut short: its bytes do not decode; "
            "export or copy it again"
        ) from None
    if not model.HasField("graph"):
        raise InputError(f"{path}: not an ONNX model: it holds no graph")
    return model


def regular_size(path: Path) -> int:
    """Return the size of a file in bytes.

    Raises:
        InputError: It is a pipe, a device or a socket, which may never end.
        OSError: It is not there.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: is not a file but a pipe, a device or a socket; give a file")
    return status.st_size


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path}: is a directory; give the .onnx file in it")
    try:
        size = regular_size(path)
        if size > _PROTOBUF_LIMIT:
            raise InputError(
                f"{path}: larger than 2 GiB, the most that one ONNX file can hold; "
                "save it with external data"
            )
        limits().check("file_bytes", size, str(path))
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{path!s}: not a usable path: {error}") from None
