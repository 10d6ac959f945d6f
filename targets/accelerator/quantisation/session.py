"""Sessions of ONNX Runtime with the options that it has by default."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx
import onnxruntime as ort

from condense_compiler.errors import UnsupportedError

_LOG_ERRORS_ONLY = 4  # what it cannot do becomes an exception here, which says so once


def run_with_defaults(
    model: onnx.ModelProto, names: Sequence[str], feeds: Mapping[str, npt.NDArray[Any]]
) -> list[npt.NDArray[Any]]:
    """Return what ONNX Runtime computes for some outputs.

    Raises:
        UnsupportedError: It cannot run the model.
    """
    read = {value.name for value in model.graph.input}
    given = {name: values for name, values in feeds.items() if name in read}
    session = _session(model)
    try:
        results: list[npt.NDArray[Any]] = session.run(list(names), given)
    except Exception as error:  # noqa: BLE001 - its exceptions share no other base
        raise _refusal(error) from None
    return results


def optimised_graph(model: onnx.ModelProto) -> onnx.GraphProto:
    """Return the graph of a model as ONNX Runtime optimises it.

    Raises:
        UnsupportedError: It cannot run the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        _session(model, written_to=path)
        return onnx.load(path, load_external_data=False).graph


def _session(model: onnx.ModelProto, written_to: Path | None = None) -> ort.InferenceSession:
    """Return a session.

    Args:
        model: The model.
        written_to: Where to write the model as it was optimised.
    """
    options = ort.SessionOptions()
    options.log_severity_level = _LOG_ERRORS_ONLY
    if written_to is not None:
        options.optimized_model_filepath = str(written_to)
    try:
        return ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - its exceptions share no other base
        raise _refusal(error) from None


def _refusal(error: Exception) -> UnsupportedError:
    reason = one_line(error)
    return UnsupportedError(f"ONNX Runtime cannot run the quantised model: {reason}")


def one_line(error: Exception) -> str:
    """Return what an exception of ONNX Runtime says, in one line."""
    return " ".join(str(error).split()) or repr(error)
