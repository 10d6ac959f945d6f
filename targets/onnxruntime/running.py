"""Running a session on values of any element type, such as bfloat16 and the 8-bit floats."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs
import onnxruntime as ort

from condense_compiler.errors import UnsupportedError
from condense_compiler.network.tensors import PACKED_BITS, element_type
from condense_compiler.targets.bound_session import binding_types, is_native, run_bound
from condense_compiler.targets.element_types import numpy_dtype

Feeds = Mapping[str, npt.NDArray[Any]]


def run_session(
    session: ort.InferenceSession,
    inputs: Sequence[gs.Tensor],
    outputs: Sequence[gs.Tensor],
    feeds: Feeds,
) -> dict[str, npt.NDArray[Any]]:
    """Return the values of the outputs, by name.

    Raises:
        UnsupportedError: ONNX Runtime does not run the model, or has no such element type.
    """
    for tensor in (*inputs, *outputs):
        if element_type(tensor) in PACKED_BITS:
            raise UnsupportedError(
                f"{tensor.name!r}: type {numpy_dtype(tensor)} takes a part of a byte, "
                "which ONNX Runtime takes and gives in operators alone"
            )
    names = [tensor.name for tensor in outputs]
    try:
        if all(is_native(tensor) for tensor in (*inputs, *outputs)):
            return dict(zip(names, session.run(names, dict(feeds)), strict=True))
        return _run_bound(session, inputs, outputs, feeds)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no other base
        reason = " ".join(str(error).split())
        raise UnsupportedError(f"ONNX Runtime cannot run the model: {reason}") from None


def _run_bound(
    session: ort.InferenceSession,
    inputs: Sequence[gs.Tensor],
    outputs: Sequence[gs.Tensor],
    feeds: Feeds,
) -> dict[str, npt.NDArray[Any]]:
    read = [session_input.name for session_input in session.get_inputs()]
    given = {t.name: np.asarray(feeds[t.name], order="C") for t in inputs if t.name in read}
    results = {tensor.name: np.empty(tensor.shape, numpy_dtype(tensor)) for tensor in outputs}
    run_bound(session, binding_types(*inputs, *outputs), given, results)
    return results
