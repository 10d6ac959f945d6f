"""Samples to calibrate with: read from files, or drawn."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.arrays import read_arrays
from condense_compiler.errors import InputError

Sample = Mapping[str, npt.NDArray[Any]]

DRAWN_SAMPLES = 4
_SEED = 20210423


def drawn_samples(inputs: Sequence[gs.Tensor]) -> list[Sample]:
    """Return seeded samples of a standard normal distribution."""
    generator = np.random.default_rng(_SEED)
    return [
        {t.name: generator.standard_normal(t.shape).astype(t.dtype) for t in inputs}
        for _ in range(DRAWN_SAMPLES)
    ]


def read_samples(path: Path, inputs: Sequence[gs.Tensor]) -> list[Sample]:
    """Read samples: an .npz file of stacked samples by input name, or a folder of single ones.

    Raises:
        InputError: A file cannot be read, or does not match the inputs of the network.
    """
    files = (
        sorted(p for p in path.iterdir() if p.suffix in (".npy", ".npz"))
        if path.is_dir()
        else [path]
    )
    samples = [sample for file in files for sample in _samples_in(file, inputs)]
    if not samples:
        raise InputError(f"{path}: holds no samples; give .npz or .npy files")
    return samples


def _samples_in(path: Path, inputs: Sequence[gs.Tensor]) -> Iterator[Sample]:
    arrays = _read(path, inputs)
    for tensor in inputs:
        if tensor.name not in arrays:
            raise InputError(f"{path}: has no samples for input {tensor.name!r}")
    shapes = {t.name: tuple(t.shape) for t in inputs}
    for name, shape in shapes.items():
        if arrays[name].shape == shape:
            arrays[name] = arrays[name][None]
        elif arrays[name].shape[1:] == shape[1:] and shape[0] == 1:
            arrays[name] = arrays[name][:, None]
        if arrays[name].shape[1:] != shape:
            given = list(arrays[name].shape)
            raise InputError(f"{path}: input {name!r} has shape {list(shape)}, samples {given}")
    count = min(len(arrays[name]) for name in shapes)
    for index in range(count):
        yield {t.name: arrays[t.name][index].astype(t.dtype) for t in inputs}


def _read(path: Path, inputs: Sequence[gs.Tensor]) -> dict[str, npt.NDArray[Any]]:
    loaded = read_arrays(path)
    if not isinstance(loaded, np.ndarray):
        return loaded
    if len(inputs) != 1:
        raise InputError(f"{path}: the network has several inputs; give .npz files")
    return {inputs[0].name: loaded}
