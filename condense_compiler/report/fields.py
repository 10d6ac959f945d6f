"""What a field of a JSON file may hold: checks that say which one is wrong, and what belongs there.

A check is called with a value and the place where it stands; it raises a ValueError of one line.
"""

import math
from collections.abc import Callable, Collection, Mapping

FieldCheck = Callable[[object, str], None]

_LARGEST = 2**62


def _require(ok: bool, where: str, expected: str) -> None:
    if not ok:
        raise ValueError(f"{where}: expected {expected}")


def anything(_value: object, _where: str) -> None:
    """Accept every value."""


def text(value: object, where: str) -> None:
    """Accept text."""
    _require(isinstance(value, str), where, "text")


def flag(value: object, where: str) -> None:
    """Accept true and false."""
    _require(isinstance(value, bool), where, "true or false")


def whole(value: object, where: str) -> None:
    """Accept whole numbers from 0."""
    fits = type(value) is int and 0 <= value <= _LARGEST
    _require(fits, where, "a whole number from 0")


def integer(value: object, where: str) -> None:
    """Accept whole numbers, negative ones, too."""
    fits = type(value) is int and -_LARGEST <= value <= _LARGEST
    _require(fits, where, "a whole number")


def number(value: object, where: str) -> None:
    """Accept numbers from 0, infinity among them."""
    fits = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (0 <= value <= _LARGEST or value == math.inf)
    )
    _require(fits, where, "a number from 0")


def one_of(values: Collection[str]) -> FieldCheck:
    """Return a check for one of some words."""

    def check(value: object, where: str) -> None:
        _require(isinstance(value, str) and value in values, where, f"one of {', '.join(values)}")

    return check


def optional(check: FieldCheck) -> FieldCheck:
    """Return a check that accepts null, too."""

    def checked(value: object, where: str) -> None:
        if value is not None:
            check(value, where)

    return checked


def many(check: FieldCheck) -> FieldCheck:
    """Return a check for a list of what another check accepts."""

    def checked(value: object, where: str) -> None:
        _require(isinstance(value, list), where, "a list")
        if isinstance(value, list):
            for index, entry in enumerate(value):
                check(entry, f"{where}[{index}]")

    return checked


def by_name(check: FieldCheck) -> FieldCheck:
    """Return a check for an object whose values another check accepts."""

    def checked(value: object, where: str) -> None:
        _require(isinstance(value, dict), where, "an object")
        if isinstance(value, dict):
            for name, entry in value.items():
                check(entry, _inside(where, name))

    return checked


def record(fields: Mapping[str, FieldCheck]) -> FieldCheck:
    """Return a check for an object that has some fields, and may have others."""

    def checked(value: object, where: str) -> None:
        _require(isinstance(value, dict), where or "the file", "an object")
        if isinstance(value, dict):
            for name, check in fields.items():
                _require(name in value, _inside(where, name), "a value")
                check(value[name], _inside(where, name))

    return checked


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
