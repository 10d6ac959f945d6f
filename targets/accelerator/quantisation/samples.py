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

Array = npt.NDArray[Any]

DRAWN_SAMPLES = 4
_MOST_BYTES = 1 << 32  # of one input in an archive, unpacked
_NUMBERS = "biuf"  # kinds of types of numpy

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

    Inputs that nothing reads need no samples.

    Raises:
        InputError: A file cannot be read, or does not match the inputs of the network.
    """
    samples = [sample for file in _files(path) for sample in _samples_in(file, inputs)]
    if not samples:
        raise InputError(f"{path}: holds no samples; give .npz or .npy files")
    return samples


def _files(path: Path) -> list[Path]:
    try:
        if path.is_dir():
            return sorted(p for p in path.iterdir() if p.suffix in (".npy", ".npz"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: neither a file nor a folder; give .npz or .npy files")
    return [path]


def _samples_in(path: Path, inputs: Sequence[gs.Tensor]) -> Iterator[Sample]:
    read = [tensor for tensor in inputs if tensor.outputs]
    arrays = _read(path, read)
    stacks = {t.name: _stacked(path, t, arrays.get(t.name)) for t in read}
    zeros = {t.name: np.zeros(t.shape, t.dtype) for t in inputs if not t.outputs}
    for index in range(min((len(stack) for stack in stacks.values()), default=1)):
        yield {name: stack[index] for name, stack in stacks.items()} | zeros


def _stacked(path: Path, tensor: gs.Tensor, array: Array | None) -> Array:
    """Return the samples of an input, one behind the other, in its type."""
    if array is None:
        raise InputError(f"{path}: has no samples for input {tensor.name!r}")
    if array.dtype.kind not in _NUMBERS:
        raise InputError(f"{path}: input {tensor.name!r} takes numbers, not {array.dtype}")
    shape = tuple(tensor.shape)
    if array.shape == shape:
        array = array[None]
    elif array.ndim and shape and shape[0] == 1 and array.shape[1:] == shape[1:]:
        array = array[:, None]
    if not array.ndim or array.shape[1:] != shape:
        given = list(array.shape)
        raise InputError(f"{path}: input {tensor.name!r} has shape {list(shape)}, samples {given}")
    with np.errstate(all="ignore"):
        return array.astype(tensor.dtype)


def _read(path: Path, inputs: Sequence[gs.Tensor]) -> Mapping[str, Array]:
    """Return the arrays of a file, by input."""
    loaded = read_arrays(path)
    if not isinstance(loaded, np.ndarray):
        return loaded
    if len(inputs) != 1:
        raise InputError(f"{path}: the network has several inputs; give .npz files")
    return {inputs[0].name: loaded}
