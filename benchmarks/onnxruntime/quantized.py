"""The networks in int8, as ONNX Runtime's own tool quantizes them (static, QDQ)."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

CALIBRATION_INPUTS = 3


class RandomInputs(CalibrationDataReader):  # type: ignore[misc]  # the package has no types
    """A few random inputs; what they are does not change how long the network takes."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.inputs = self._draw(model)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next input; None behind the last."""
        return next(self.inputs, None)

    @staticmethod
    def _draw(model: onnx.ModelProto) -> Iterator[dict[str, Any]]:
        generator = np.random.default_rng(0)
        [value] = model.graph.input
        shape = [size.dim_value or 1 for size in value.type.tensor_type.shape.dim]
        for _ in range(CALIBRATION_INPUTS):
            yield {value.name: generator.standard_normal(shape, np.float32)}


def quantized(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Return a network with 8-bit weights and feature maps."""
    logging.getLogger().setLevel(logging.ERROR)  # the tool advises to simplify models first
    source, result = folder / "float.onnx", folder / "int8.onnx"
    onnx.save(model, source)
    quantize_static(
        source,
        result,
        RandomInputs(model),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return onnx.load(result)
