"""Sessions of ONNX Runtime with the options that it has by default."""

import tempfile
from pathlib import Path

import onnx
import onnxruntime as ort

_LOG_ERRORS_ONLY = 3


def default_session(model: onnx.ModelProto, written_to: Path | None = None) -> ort.InferenceSession:
    """Return a session.

    Args:
        model: The model.
        written_to: Where to write the model as it was optimised.
    """
    options = ort.SessionOptions()
    options.log_severity_level = _LOG_ERRORS_ONLY
    if written_to is not None:
        options.optimized_model_filepath = str(written_to)
    return ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def optimised_graph(model: onnx.ModelProto) -> onnx.GraphProto:
    """Return the graph of a model as ONNX Runtime optimises it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        default_session(model, written_to=path)
        return onnx.load(path, load_external_data=False).graph
