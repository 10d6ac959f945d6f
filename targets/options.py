"""Options of a target, from text: the fields of its frozen dataclass."""

import os
from collections.abc import Callable, Mapping
from dataclasses import Field, fields
from typing import Any

import numpy as np

from condense_compiler.errors import InputError


def _switch(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


_READERS: Mapping[object, tuple[Callable[[str], Any], str]] = {
    bool: (_switch, "true or false"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    str: (str, "text"),
}


def as_texts(options: Mapping[str, object]) -> dict[str, str]:
    """Return options as the command line gives them, and as a report holds them: as text.

    Raises:
        InputError: A value is no text, number, switch or path.
    """
    return {str(name): _as_text(str(name), value) for name, value in options.items()}


def _as_text(name: str, value: object) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    raise InputError(f"option {name}={value!r}: expected text, a number, a switch or a path")


def configured(name: str, target: Callable[..., Any], options: Mapping[str, str]) -> Any:
    """Return a target with some of its fields set.

    Raises:
        InputError: It has no such field, or the value is not of its type.
    """
    known = {field.name: field for field in fields(target) if field.type in _READERS}  # type: ignore[arg-type]
    for option in options.keys() - known.keys():
        names = ", ".join(sorted(known)) or "none"
        raise InputError(f"target {name!r} has no option {option!r}; its options are {names}")
    return target(**{option: _read(known[option], text) for option, text in options.items()})


def _read(field: Field[Any], text: str) -> Any:
    reader, expected = _READERS[field.type]
    try:
        return reader(text)
    except (KeyError, ValueError):
        raise InputError(f"option {field.name}={text!r}: expected {expected}") from None
