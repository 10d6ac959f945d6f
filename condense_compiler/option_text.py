"""Options of passes and targets as text: the fields of their frozen dataclasses.

Fields of type int, float, bool, str and Path, and tuples of those, are options. A value is written
as its type says: `4`, `0.5`, `true`, `text`; a tuple in brackets, `[1,2]`. Text with brackets,
commas, spaces, quotes or `=` in it stands in quotes, as JSON writes it.
"""

import contextlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from condense_compiler.errors import InputError
from condense_compiler.plugins import closest_name

Written = str | tuple[str, ...]

_SWITCHES: Mapping[str, bool] = {"true": True, "false": False}
# How each type is read from text, and what to write for it.
_READERS: Mapping[object, tuple[Callable[[str], Any], str]] = {
    bool: (lambda text: _SWITCHES[text.lower()], "true or false"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    str: (str, "text"),
    Path: (Path, "a path"),
}

# The grammar: `name(option=value,...)`.
_BARE = r'[^\s,()\[\]"=]+'
_WORD = rf'(?:"(?:[^"\\]|\\.)*"|{_BARE})'
_VALUE = rf"(?:{_WORD}|\[\s*(?:{_WORD}\s*(?:,\s*{_WORD}\s*)*)?\])"
_OPTION = rf"({_BARE})\s*=\s*({_VALUE})"
_PAIR = rf"\s*{_BARE}\s*=\s*{_VALUE}\s*"
_CALL = re.compile(rf"({_BARE})\s*(?:\(((?:{_PAIR}(?:,{_PAIR})*)?)\)\s*)?(?:,|$)")
_BETWEEN = re.compile(r"[\s,]*")


def configured(owner: str, made: Callable[..., Any], options: Mapping[str, Written]) -> Any:
    """Return a pass or target with some of its fields set.

    Args:
        owner: What it is called in messages, as in "target 'reference'".
        made: Its class.
        options: Values by name.

    Raises:
        InputError: It has no such field, the value is not of its type, or one is missing.
    """
    known = _types(made)
    for name in options.keys() - known.keys():
        hint = closest_name(name, known)
        names = ", ".join(sorted(known)) or "none"
        raise InputError(f"{owner} has no option {name!r}: {hint}its options are {names}")
    for field in _fields(made):
        if field.name not in options and field.default is field.default_factory is MISSING:
            raise InputError(f"{owner} needs the option {field.name!r}")
    values = {name: _read(name, known[name], written) for name, written in options.items()}
    try:
        return made(**values)
    except ValueError as error:
        raise InputError(f"{owner}: {error}") from None


def options_text(owner: object) -> str:
    """Return the options of a pass that are not its default ones, as `read_calls` reads them.

    A value that cannot be written stands as its type, such as `<ndarray>`, and cannot be read.
    """
    types = _types(type(owner))
    written = [
        f"{field.name}={_written(types.get(field.name), getattr(owner, field.name))}"
        for field in _fields(type(owner))
        if not _is_default(field, getattr(owner, field.name))
    ]
    return f"({','.join(written)})" if written else ""


def as_texts(options: Mapping[str, object]) -> dict[str, str]:
    """Return options as the command line gives them, and as a report holds them: as text.

    Raises:
        InputError: A value is no text, number, switch or path, and no tuple of those.
    """
    return {str(name): _as_text(str(name), value) for name, value in options.items()}


def read_calls(text: str) -> list[tuple[str, dict[str, Written]]]:
    """Read names with options, such as `first(size=4,shape=[1,2]),second`, in order.

    Raises:
        InputError: It is not written like that.
    """
    calls: list[tuple[str, dict[str, Written]]] = []
    rest = _BETWEEN.sub("", text, count=1)
    while rest:
        match = _CALL.match(rest)
        if match is None:
            raise InputError(f"{rest!r} cannot be read; write NAME or NAME(OPTION=VALUE,...)")
        calls.append((match[1], _read_options(match[1], match[2] or "")))
        rest = _BETWEEN.sub("", rest[match.end() :], count=1)
    return calls


def _read_options(name: str, text: str) -> dict[str, Written]:
    options: dict[str, Written] = {}
    for option, written in re.findall(_OPTION, text):
        if option in options:
            raise InputError(f"{name}({text}): option {option!r} is given twice")
        options[option] = _words(written) if written.startswith("[") else _unquoted(written)
    return options


def _words(text: str) -> tuple[str, ...]:
    return tuple(map(_unquoted, re.findall(_WORD, text)))


def _unquoted(word: str) -> str:
    if not word.startswith('"'):
        return word
    try:
        return str(json.loads(word))
    except ValueError:
        raise InputError(f"{word} is no text in quotes as JSON has it") from None


def _fields(made: Any) -> Sequence[Field[Any]]:
    """Return what can be given to a class that is a dataclass; nothing for others."""
    return [field for field in fields(made) if field.init] if is_dataclass(made) else []


def _types(made: Any) -> dict[str, Any]:
    """Return the types of the fields that can be written as text."""
    found = _fields(made)
    try:
        hints = get_type_hints(made)
    except NameError:  # of a type that is imported for type checkers alone
        hints = {field.name: field.type for field in found}
    return {field.name: hints[field.name] for field in found if _is_readable(hints[field.name])}


def _is_readable(kind: Any) -> bool:
    parts = [part for part in get_args(kind) if part is not Ellipsis]
    is_tuple = get_origin(kind) is tuple and all(part in _READERS for part in parts)
    return is_tuple or kind in _READERS


def _read(name: str, kind: Any, written: Written) -> Any:
    if kind in _READERS:
        return _read_scalar(name, kind, written)
    words = _words(written) if isinstance(written, str) else written
    parts = get_args(kind)
    if Ellipsis in parts:
        parts = parts[:1] * len(words)
    if len(words) != len(parts):
        raise InputError(f"option {name}=[{','.join(words)}]: expected {len(parts)} values")
    return tuple(_read_scalar(name, *pair) for pair in zip(parts, words, strict=True))


def _read_scalar(name: str, kind: Any, written: Written) -> Any:
    reader, expected = _READERS[kind]
    try:
        if isinstance(written, str):
            return reader(written)
    except (KeyError, ValueError):
        pass
    shown = written if isinstance(written, str) else list(written)
    raise InputError(f"option {name}={shown!r}: expected {expected}")


def _is_default(field: Field[Any], value: object) -> bool:
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return default is value or (type(default) is type(value) and _equal(default, value))


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except ValueError:  # arrays
        return False


def _written(kind: Any, value: object) -> str:
    """Return a value of a field as `read_calls` reads it, if it is one that can be read."""
    if kind is not None and isinstance(value, get_origin(kind) or object):
        with contextlib.suppress(InputError):
            return _quoted(value) if kind in _READERS else _as_text("", value)
    return f"<{type(value).__name__}>"


def _quoted(value: object) -> str:
    text = _as_text("", value)
    return text if re.fullmatch(_BARE, text) else json.dumps(text)


def _as_text(name: str, value: object) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_quoted, value))}]"
    raise InputError(
        f"option {name}={value!r}: expected text, a number, a switch, a path, or a tuple of those"
    )
