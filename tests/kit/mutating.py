"""Changing JSON, text and bytes at random, as files are damaged or written by somebody else."""

import copy
import json
from typing import Any

import numpy as np

Generator = np.random.Generator

STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 10**30, -0.5, 0.5, 1e300),
    *(float("nan"), float("inf"), "", "x", "../x", "/etc/passwd", "\ud800", "\0", "a\nb", "9" * 30),
    *([], [None], [[]], [1, "x"], {}, {"a": None}, {"": {}}),
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside a value."""
    entries: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    inside = [place for key, entry in entries for place in _places(entry, (*path, key))]
    return [(*path, key) for key, _ in entries] + inside


def mutated(content: Any, generator: Generator) -> Any:
    """Return JSON values with one of them replaced, removed, repeated or exchanged."""
    changed = copy.deepcopy(content)
    places = _places(changed)
    place = places[generator.integers(len(places))]
    parent = changed
    for key in place[:-1]:
        parent = parent[key]
    key = place[-1]
    match int(generator.integers(5)):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        case 2:
            other = changed
            for step in places[generator.integers(len(places))]:
                other = other[step]
            parent[key] = copy.deepcopy(other)
        case _:
            parent[key] = STRANGE[generator.integers(len(STRANGE))]
    return changed


def mutated_text(content: str, generator: Generator) -> str:
    """Return the text of a table with cells changed, lines repeated or removed."""
    lines = content.splitlines()
    number = int(generator.integers(len(lines)))
    cells = lines[number].split(",")
    match int(generator.integers(4)):
        case 0:
            del lines[number]
        case 1:
            lines.insert(number, lines[int(generator.integers(len(lines)))])
        case _:
            value = STRANGE[generator.integers(len(STRANGE))]
            cells[generator.integers(len(cells))] = str(value)
            lines[number] = ",".join(cells)
    return "\n".join(lines) + "\n"


def mutated_bytes(content: bytes, generator: Generator) -> bytes:
    """Return bytes of which some are changed, removed or repeated."""
    changed = bytearray(content)
    for _ in range(int(generator.integers(1, 4))):
        if not changed:
            break
        start = int(generator.integers(len(changed)))
        end = start + int(generator.integers(1, 16))
        match int(generator.integers(3)):
            case 0:
                changed[start:end] = generator.bytes(end - start)
            case 1:
                del changed[start:end]
            case _:
                changed[start:start] = changed[start:end]
    return bytes(changed)


def dumped(content: Any) -> bytes:
    """Return JSON as a file holds it."""
    return json.dumps(content).encode()
