"""Sessions of ONNX Runtime that run the fused operators with native kernels."""

import warnings
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort

from condense_compiler.errors import InputError
from condense_compiler.targets.onnxruntime.library import custom_ops_library, why_unsuitable

_MODEL_FILE = "model.onnx"


def onnxruntime_session(
    model: str | Path | onnx.ModelProto, **session_options: Any
) -> ort.InferenceSession:
    """Create a session of ONNX Runtime whose fused operators run in native kernels.

    Where the kernels cannot be used, a warning says why, and the plain operators inside the fused
    ones run instead.

    Options that are not given are ONNX Runtime's own.

    Args:
        model: A folder that `condense compile` wrote, an ONNX file, or a model in memory.
        session_options: Attributes of `onnxruntime.SessionOptions` by name, and session
            configuration entries, whose names have dots.

    Raises:
        InputError: There is no such session option, or no such model.
    """
    options = session_options_of(session_options)
    register_kernels(options)
    return create_session(model if isinstance(model, onnx.ModelProto) else _file(model), options)


def _file(model: str | Path) -> Path:
    path = Path(model)
    path = path / _MODEL_FILE if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return path


def create_session(
    model: Path | onnx.ModelProto, options: ort.SessionOptions
) -> ort.InferenceSession:
    """Create a session."""
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def session_options_of(values: dict[str, Any]) -> ort.SessionOptions:
    """Return session options with some attributes and configuration entries set.

    Raises:
        InputError: There is no such attribute.
    """
    options = ort.SessionOptions()
    for name, value in values.items():
        if "." in name:
            options.add_session_config_entry(name, str(value))
        elif hasattr(options, name):
            setattr(options, name, value)
        else:
            raise InputError(f"onnxruntime.SessionOptions has no attribute {name!r}")
    return options


def register_kernels(options: ort.SessionOptions) -> None:
    """Register the native kernels; warn where they cannot be used."""
    reason = why_unsuitable()
    if reason is None:
        options.register_custom_ops_library(custom_ops_library())
        return
    warnings.warn(
        f"fused operators run without native kernels: {reason}", RuntimeWarning, stacklevel=3
    )
