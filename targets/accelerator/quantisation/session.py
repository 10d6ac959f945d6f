"""Sessions of ONNX Runtime on quantised models."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import onnx
import onnxruntime as ort

from condense_compiler.errors import UnsupportedError

_LOG_ERRORS_ONLY = 4  # what it cannot do becomes an exception here, which says so once


def run_as_defined(
    model: onnx.ModelProto, names: Sequence[str], feeds: Mapping[str, npt.NDArray[Any]]
) -> list[npt.NDArray[Any]]:
    """Return what ONNX Runtime computes for some outputs, operator by operator.

    Its optimiser is off: what that makes of a model depends on its version and the processor.

    Raises:
        UnsupportedError: It cannot run the model.
    """
    read = {value.name for value in model.graph.input}
    given = {name: values for name, values in feeds.items() if name in read}
    options = ort.SessionOptions()
    options.log_severity_level = _LOG_ERRORS_ONLY
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        results: list[npt.NDArray[Any]] = session.run(list(names), given)
    except Exception as error:  # noqa: BLE001 - its exceptions share no other base
        raise _refusal(error) from None
    return results


def _refusal(error: Exception) -> UnsupportedError:
    reason = one_line(error)
    return UnsupportedError(f"ONNX Runtime cannot run the quantised model: {reason}")


def one_line(error: Exception) -> str:
    """Return what an exception of ONNX Runtime says, in one line."""
    return " ".join(str(error).split()) or repr(error)
