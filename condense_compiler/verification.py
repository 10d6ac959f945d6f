"""Comparing a compiled network with ONNX Runtime on the model as given."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_graphsurgeon as gs

from condense_compiler.errors import InputError
from condense_compiler.network import Network
from condense_compiler.report.report import Verification

Feeds = Mapping[str, npt.NDArray[Any]]

# Largest difference, as a share of the largest magnitude, that re-ordered arithmetic may cause.
TOLERANCES: Mapping[str, float] = {
    "bfloat16": 2e-2,
    "float16": 5e-3,
    "float32": 1e-4,
    "float64": 1e-9,
}
# A sum that lies between two codes may be rounded to either. ONNX Runtime's optimiser changes the
# outputs of quantised models by that, and so do changes of the input that are far smaller than a
# step. Twice as much is tolerated, and in any case two steps of 8 bits.
_QUANTISED_TOLERANCE = 1e-2
_NUDGE = 1e-5  # relative
_NUDGES = 2
_SEED = 20210423


def random_feeds(network: Network, seed: int = _SEED) -> dict[str, npt.NDArray[Any]]:
    """Return seeded random values for each input: standard normal, or small integers."""
    generator = np.random.default_rng(seed)
    return {tensor.name: _draw(tensor, generator) for tensor in network.graph.inputs}


def _draw(tensor: gs.Tensor, generator: np.random.Generator) -> npt.NDArray[Any]:
    dtype: np.dtype[Any] = np.dtype(tensor.dtype)
    values: npt.NDArray[Any] = generator.standard_normal(tensor.shape)
    if dtype == np.bool_:
        values = values > 0
    elif np.issubdtype(dtype, np.integer):
        values = generator.integers(0, 100, tensor.shape)
    return np.asarray(values, dtype=dtype)


def original_outputs(
    source: str | Path | onnx.ModelProto, feeds: Feeds, *, optimised: bool = False
) -> dict[str, npt.NDArray[Any]]:
    """Run the model as given in ONNX Runtime.

    Args:
        source: The model.
        feeds: Its inputs, by name.
        optimised: Whether ONNX Runtime may optimise it first.

    Raises:
        InputError: ONNX Runtime cannot run the model.
    """
    import onnxruntime as ort  # noqa: PLC0415 - takes a moment, and only verification needs it

    options = ort.SessionOptions()
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    content = source.SerializeToString() if isinstance(source, onnx.ModelProto) else str(source)
    try:
        session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(feeds)), strict=True))
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no other base
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"ONNX Runtime cannot run the model to verify against: {reason}") from None


def verify(
    run: Callable[[Feeds], Mapping[str, npt.NDArray[Any]]],
    source: str | Path | onnx.ModelProto,
    feeds: Feeds,
) -> Verification:
    """Compare every output of a compiled network with the model as given."""
    expected = original_outputs(source, feeds)
    actual = run(feeds)
    tolerances = {name: TOLERANCES.get(str(v.dtype), 0.0) for name, v in expected.items()}
    if _is_quantised(source):
        others = [original_outputs(source, feeds, optimised=True)]
        others += [original_outputs(source, _nudged(feeds, seed)) for seed in range(_NUDGES)]
        for name, values in expected.items():
            moved = (_compare(other[name], values, 0.0).relative_difference for other in others)
            tolerances[name] = max(tolerances[name], 2 * max(moved), _QUANTISED_TOLERANCE)
    results = [_compare(actual[n], values, tolerances[n]) for n, values in expected.items()]
    return max(results, key=lambda result: result.relative_difference - result.tolerance)


def _nudged(feeds: Feeds, seed: int) -> dict[str, npt.NDArray[Any]]:
    """Return inputs that differ from the given ones by next to nothing."""
    generator = np.random.default_rng(seed)
    return {
        name: np.asarray(
            values * (1 + _NUDGE * generator.standard_normal(values.shape)), values.dtype
        )
        if np.issubdtype(values.dtype, np.floating)
        else values
        for name, values in feeds.items()
    }


def _is_quantised(source: str | Path | onnx.ModelProto) -> bool:
    model = source
    if not isinstance(model, onnx.ModelProto):
        model = onnx.load(model, load_external_data=False)
    names = {node.op_type for node in model.graph.node}
    return "QuantizeLinear" in names or any(name.startswith("QLinear") for name in names)


def _compare(
    actual: npt.NDArray[Any], expected: npt.NDArray[Any], tolerance: float
) -> Verification:
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return Verification(np.inf, np.inf, tolerance)
    one, other = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(one - other))
    difference = np.where(np.isnan(difference), np.inf, difference)
    finite = np.abs(other[np.isfinite(other)])
    largest = float(np.max(difference, initial=0.0))
    magnitude = float(np.max(finite, initial=0.0))
    relative = largest / magnitude if magnitude > 0 else largest
    return Verification(largest, relative, tolerance)
