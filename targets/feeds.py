"""Checking what a person feeds to a network."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import onnx_graphsurgeon as gs

from condense_compiler.errors import InputError
from condense_compiler.targets.element_types import numpy_dtype


def check_feeds(inputs: Sequence[gs.Tensor], feeds: Mapping[str, npt.NDArray[Any]]) -> None:
    """Refuse feeds that do not match the inputs of a network.

    Raises:
        InputError: A name is missing or unknown, or a shape or type differs.
    """
    names = [tensor.name for tensor in inputs]
    for name in feeds:
        if name not in names:
            raise InputError(f"no input is called {name!r}; the inputs are {', '.join(names)}")
    for tensor in inputs:
        if tensor.name not in feeds:
            raise InputError(f"input {tensor.name!r} is missing; it is {_describe(tensor)}")
        value = feeds[tensor.name]
        if tuple(value.shape) != tuple(tensor.shape) or value.dtype != numpy_dtype(tensor):
            given = f"{value.dtype} {list(value.shape)}"
            raise InputError(f"input {tensor.name!r} is {_describe(tensor)}, but {given} was given")


def _describe(tensor: gs.Tensor) -> str:
    return f"{numpy_dtype(tensor)} {list(tensor.shape)}"
