"""Options of a target, from text: the fields of its frozen dataclass."""

from collections.abc import Callable, Mapping
from dataclasses import Field, fields
from typing import Any

from condense_compiler.errors import InputError


def _switch(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


_READERS: Mapping[object, tuple[Callable[[str], Any], str]] = {
    bool: (_switch, "true or false"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    str: (str, "text"),
}


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
