"""Finding passes and targets by name: our own, and those that other packages install."""

import difflib
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Any

from condense_compiler.errors import InputError


def installed_names(group: str) -> list[str]:
    """Return the names that other packages offer in an entry-point group."""
    return sorted(entry_points(group=group).names)


def load_installed(group: str, name: str) -> Any | None:
    """Return what another package offers under a name; None if there is nothing."""
    for point in entry_points(group=group, name=name):
        return point.load()
    return None


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that nothing has, with the closest one that exists."""
    names = ", ".join(sorted(known))
    return InputError(f"unknown {kind} {name!r}: {closest_name(name, known)}known are {names}")


def closest_name(name: str, known: Iterable[str]) -> str:
    """Return a question after the closest name that exists; nothing where none is close."""
    closest = difflib.get_close_matches(name, sorted(known), n=1)
    return f"did you mean {closest[0]!r}? " if closest else ""
