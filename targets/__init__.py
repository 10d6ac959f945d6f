"""Targets: what a scheduled program is lowered to, one folder each, found by name."""

import difflib
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import numpy.typing as npt

from condense_compiler.errors import InputError
from condense_compiler.program import ScheduledProgram

ENTRY_POINTS = "condense_compiler.targets"

# Built-in targets: name -> "module:class", imported when first asked for.
BUILT_IN: Mapping[str, str] = {
    "reference": "condense_compiler.targets.reference:ReferenceTarget",
}


@runtime_checkable
class Lowered(Protocol):
    """A program, lowered."""

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Compute the graph outputs, by name, from the graph inputs, by name.

        Raises:
            InputError: The feeds do not match the graph inputs.
        """

    def save(self, folder: Path) -> None:
        """Write what the target adds to the output folder, beyond model, plan and report."""

    def facts(self) -> dict[str, object]:
        """Return what the report says about the lowering: JSON values by name."""


@runtime_checkable
class Target(Protocol):
    """A way to run a program: a frozen dataclass whose fields are its options."""

    name: ClassVar[str]

    def lower(self, program: ScheduledProgram) -> Lowered:
        """Turn a scheduled program into what the target runs."""


def target_names() -> tuple[str, ...]:
    """Return the names of all targets that are installed, sorted."""
    return tuple(sorted({*BUILT_IN, *entry_points(group=ENTRY_POINTS).names}))


def find_target(name: str) -> Target:
    """Return a target with its default options.

    Raises:
        InputError: No target has this name.
    """
    return cast(Target, _load(name)())


def _load(name: str) -> Any:
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return getattr(import_module(module), attribute)
    for point in entry_points(group=ENTRY_POINTS, name=name):
        return point.load()
    known = target_names()
    closest = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {closest[0]!r}?" if closest else ""
    raise InputError(f"unknown target {name!r} (known: {', '.join(known)}){hint}")
