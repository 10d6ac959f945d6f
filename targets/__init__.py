"""Targets: what a scheduled program is lowered to, one folder each, found by name.

Other packages add targets through the entry-point group `condense_compiler.targets`: each entry
names a frozen dataclass that follows `Target`.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import numpy.typing as npt

from condense_compiler.plugins import installed_names, load_installed, unknown_name
from condense_compiler.program import ScheduledProgram

ENTRY_POINTS = "condense_compiler.targets"

# Built-in targets: name -> "module:class", imported when first asked for.
BUILT_IN: Mapping[str, str] = {
    "reference": "condense_compiler.targets.reference:ReferenceTarget",
    "onnxruntime": "condense_compiler.targets.onnxruntime:OnnxRuntimeTarget",
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


def target_names() -> list[str]:
    """Return the names of all targets: our own, then installed ones."""
    return [*BUILT_IN, *installed_names(ENTRY_POINTS)]


def find_target(name: str) -> Target:
    """Return a target with its default options.

    Raises:
        InputError: No target has this name.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return cast(Target, getattr(import_module(module), attribute)())
    installed = load_installed(ENTRY_POINTS, name)
    if installed is None:
        raise unknown_name("target", name, target_names())
    return cast(Target, installed())
