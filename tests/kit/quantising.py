"""Models in 8 bits, as ONNX Runtime's own tool quantises them."""

from pathlib import Path

import onnx
import onnxruntime as ort
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from kit.numerics import Array, Arrays, random_feeds

FORMATS = {"qdq": QuantFormat.QDQ, "qlinear": QuantFormat.QOperator}
_SAMPLES = 3


class _RandomSamples(CalibrationDataReader):
    def __init__(self, model: onnx.ModelProto) -> None:
        self.samples = iter([random_feeds(model, seed) for seed in range(_SAMPLES)])

    def get_next(self) -> Arrays | None:
        return next(self.samples, None)


def quantised(
    model: onnx.ModelProto,
    folder: Path,
    form: str = "qdq",
    *,
    maps: QuantType = QuantType.QUInt8,
    filters: QuantType = QuantType.QInt8,
    per_channel: bool = False,
) -> onnx.ModelProto:
    """Return a model in 8 bits, in one of the `FORMATS`."""
    source, result = folder / "float.onnx", folder / "int8.onnx"
    onnx.save(model, source)
    quantize_static(
        source,
        result,
        _RandomSamples(model),
        quant_format=FORMATS[form],
        activation_type=maps,
        weight_type=filters,
        per_channel=per_channel,
    )
    return onnx.load(result)


def run_optimised(model: onnx.ModelProto, feeds: Arrays) -> list[Array]:
    """Run a model as people do: ONNX Runtime computes with integers where it can."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    outputs: list[Array] = session.run(None, dict(feeds))
    return outputs
