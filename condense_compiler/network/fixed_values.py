"""Values of inputs that are fixed when compiling, such as a flag that selects a branch."""

import json
import re
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx

from condense_compiler.errors import InputError
from condense_compiler.network.dimensions import key_of
from condense_compiler.network.tensors import PACKED_BITS, numpy_type, type_name

Array = npt.NDArray[Any]

_MOST_ELEMENTS = 2**16
_NOT_FIXED = {onnx.TensorProto.STRING, onnx.TensorProto.UNDEFINED, *PACKED_BITS}


def fixed_tensor(
    declared: onnx.ValueInfoProto, value: object, dims: Mapping[str, int]
) -> onnx.TensorProto:
    """Return the constant that stands for an input.

    Args:
        declared: The input.
        value: A number, a truth value, nested lists of them, or an array. One number stands for
            all elements of an input of known shape.
        dims: Sizes of symbolic dimensions.

    Raises:
        InputError: The value is none of these, or does not suit the input's type or shape.
    """
    name, kind = declared.name, declared.type.tensor_type
    if declared.type.WhichOneof("value") != "tensor_type" or kind.elem_type in _NOT_FIXED:
        raise InputError(f"input '{name}' cannot be fixed: it does not hold numbers")
    given = _as_array(name, value)
    typed = _typed(name, given, kind.elem_type)
    if kind.HasField("shape"):
        typed = _shaped(typed, declared, dims)
    return onnx.numpy_helper.from_array(np.ascontiguousarray(typed).reshape(typed.shape), name)


def read_value(text: str) -> object:
    """Read a value as people write it: a number, true or false, or a list, nested or not.

    Raises:
        ValueError: It is none of these.
    """
    stripped = text.strip()
    lowered = _WORD.sub(lambda word: _WORDS.get(word[0].lower(), word[0]), stripped)
    for form in (lowered, f"[{lowered}]"):
        try:
            value: object = json.loads(form)
        except (ValueError, RecursionError):
            continue
        if _holds_numbers(value):
            return value
    raise ValueError(f"{text!r} is not a value")


def _holds_numbers(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_holds_numbers, value))
    return isinstance(value, bool | int | float)


def values_as_text(values: Mapping[str, object]) -> dict[str, str]:
    """Return values of inputs, by name, as `read_value` reads them.

    Raises:
        InputError: One is no number, truth value, list or array, or holds too many of them.
    """
    return {name: json.dumps(_as_array(name, value).tolist()) for name, value in values.items()}


# What people and Python call the constants that JSON, as Python reads it, has other names for.
_WORDS = {"true": "true", "false": "false", "nan": "NaN", "inf": "Infinity", "infinity": "Infinity"}
_WORD = re.compile(r"[A-Za-z]+(?!\w)")


def _as_array(name: str, value: object) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:  # lists of several lengths
        array = np.asarray(None)
    if array.size > _MOST_ELEMENTS:
        raise InputError(
            f"input '{name}': {array.size} values are too many to fix; at most {_MOST_ELEMENTS}"
        )
    if array.size == 0 and array.dtype.kind == "f":
        return array
    if array.dtype.kind not in "biuf" and not _is_extended(array.dtype):
        raise InputError(
            f"input '{name}': {value!r} is not a value; give a number, true or false, or a list"
        )
    return array


def _is_extended(dtype: np.dtype[Any]) -> bool:
    """Tell whether a type is one of the small floating-point types that numpy itself lacks."""
    return hasattr(ml_dtypes, dtype.name)


def _typed(name: str, given: Array, element: int) -> Array:
    """Return the values in the input's element type."""
    dtype = numpy_type(element)
    kinds = {"b": "truth values", "i": "integers", "u": "integers"}
    wanted = kinds.get(dtype.kind, "numbers")
    suits = {
        "truth values": given.dtype.kind == "b" or bool(np.isin(given, (0, 1)).all()),
        "integers": given.dtype.kind in "iu" or not given.size,
        "numbers": given.dtype.kind != "b",
    }
    if not suits[wanted]:
        raise InputError(
            f"input '{name}' holds {wanted} ({type_name(element)}), which {_shown(given)} is not"
        )
    if wanted == "integers" and given.size:
        limits = np.iinfo(dtype)
        if int(given.min()) < limits.min or int(given.max()) > limits.max:
            raise InputError(
                f"input '{name}': {_shown(given)} does not fit its type {type_name(element)}"
            )
    with np.errstate(over="ignore"):
        typed = given.astype(dtype)
    if wanted == "numbers" and bool(
        np.any(np.isfinite(given) & ~np.isfinite(typed.astype(np.float64)))
    ):
        raise InputError(
            f"input '{name}': {_shown(given)} does not fit its type {type_name(element)}"
        )
    return typed


def _shaped(values: Array, declared: onnx.ValueInfoProto, dims: Mapping[str, int]) -> Array:
    """Return the values in the input's shape; a single one is repeated."""
    sizes = [
        dims.get(key_of(declared, axis))
        if not dimension.HasField("dim_value") or dimension.dim_value < 0
        else dimension.dim_value
        for axis, dimension in enumerate(declared.type.tensor_type.shape.dim)
    ]
    if values.ndim == 0 and None not in sizes:
        shape = [size for size in sizes if size is not None]
        return np.broadcast_to(values, shape)
    fits = len(sizes) == values.ndim and all(
        size in (None, found) for size, found in zip(sizes, values.shape, strict=True)
    )
    if not fits:
        shown = "x".join("?" if size is None else str(size) for size in sizes) or "one number"
        raise InputError(
            f"input '{declared.name}' is {shown}; the value given has shape {values.shape}"
        )
    return values


def _shown(given: Array) -> str:
    text = " ".join(str(given.tolist()).split())
    return text if len(text) <= 40 else f"{text[:37]}..."
