"""Random inputs, ONNX Runtime as the judge, and comparison."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

# Largest difference allowed, relative to the largest magnitude in the expected tensor; zero is
# exact, which holds for every type that is not listed.
TOLERANCE: Mapping[type[np.generic], float] = {
    np.float16: 1e-2,
    np.float32: 1e-4,
    np.float64: 1e-9,
}


def random_feeds(
    model: onnx.ModelProto, seed: int = 0, dimensions: Mapping[str, int] | None = None
) -> dict[str, Array]:
    """Return a random tensor for each input that has no stored value.

    Args:
        model: The model to feed.
        seed: Seed of the values.
        dimensions: Size of each symbolic dimension; 1 where it is not given.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    generator = np.random.default_rng(seed)
    feeds = {}
    for value in model.graph.input:
        if value.name in stored:
            continue
        tensor = value.type.tensor_type
        shape = [
            size.dim_value
            if size.HasField("dim_value")
            else (dimensions or {}).get(size.dim_param, 1)
            for size in tensor.shape.dim
        ]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        feeds[value.name] = _draw(generator, shape, dtype)
    return feeds


def _draw(generator: np.random.Generator, shape: list[int], dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "f":
        return generator.standard_normal(shape).astype(dtype)
    low, high = (0, 2) if dtype.kind == "b" else (0, 10)
    return generator.integers(low, high, shape).astype(dtype)


def run_onnxruntime(model: onnx.ModelProto, feeds: Arrays) -> dict[str, Array]:
    """Run a model as it is written: no optimisation, one thread."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors alone
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def assert_close(
    actual: Arrays, expected: Arrays, relative_to_largest: float | None = None
) -> None:
    """Check that two sets of tensors agree in names, types, shapes and values.

    Args:
        actual: What came out.
        expected: What should have.
        relative_to_largest: Largest difference allowed, as a fraction of the largest finite
            magnitude in the expected tensor; from `TOLERANCE` where it is not given.
    """
    assert set(actual) == set(expected), f"outputs {sorted(actual)}, expected {sorted(expected)}"
    for name, wanted in expected.items():
        _assert_one_close(name, actual[name], wanted, relative_to_largest)


def _assert_one_close(name: str, got: Array, wanted: Array, tolerance: float | None) -> None:
    assert got.dtype == wanted.dtype, f"{name}: {got.dtype}, expected {wanted.dtype}"
    assert got.shape == wanted.shape, f"{name}: {got.shape}, expected {wanted.shape}"
    if not wanted.size:
        return
    tolerance = TOLERANCE.get(wanted.dtype.type, 0.0) if tolerance is None else tolerance
    exact = wanted.astype(np.float64)
    finite = np.isfinite(exact)
    largest = np.abs(exact[finite]).max(initial=0.0)
    np.testing.assert_allclose(
        got.astype(np.float64),
        exact,
        rtol=0.0,
        atol=tolerance * largest,
        err_msg=f"{name}: more than {tolerance} of the largest magnitude apart",
    )
