"""Inputs to verify with."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_graphsurgeon as gs

from condense_compiler.network import Network

Array = npt.NDArray[Any]
Feeds = Mapping[str, Array]

_SEED = 20210423


def random_feeds(network: Network, seed: int = _SEED) -> dict[str, Array]:
    """Return seeded random values for each input: standard normal, or small integers."""
    generator = np.random.default_rng(seed)
    return {tensor.name: _draw(tensor, generator) for tensor in network.graph.inputs}


def _draw(tensor: gs.Tensor, generator: np.random.Generator) -> Array:
    dtype: np.dtype[Any] = np.dtype(tensor.dtype)
    values: Array = generator.standard_normal(tensor.shape)
    if dtype == np.bool_:
        values = values > 0
    elif np.issubdtype(dtype, np.integer):
        values = generator.integers(0, 100, tensor.shape)
    return np.asarray(values, dtype=dtype)


def dims_of(model: onnx.ModelProto, feeds: Feeds) -> dict[str, int]:
    """Return the sizes that inputs give to a model's symbolic dimensions."""
    sizes: dict[str, int] = {}
    for value in model.graph.input:
        if value.name not in feeds:
            continue
        shape = value.type.tensor_type.shape.dim
        for axis, (dim, size) in enumerate(zip(shape, feeds[value.name].shape, strict=False)):
            if not dim.HasField("dim_value") or dim.dim_value < 0:
                sizes[dim.dim_param or f"{value.name}:{axis}"] = size
    return sizes
