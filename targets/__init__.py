"""Targets: what a scheduled program is lowered to, one folder each, found by name.

Other packages add targets through the entry-point group `condense_compiler.targets`: each entry
names a frozen dataclass that follows `Target`.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import numpy.typing as npt
import onnx

from condense_compiler.plugins import installed_names, load_installed, unknown_name
from condense_compiler.program import ScheduledProgram
from condense_compiler.report.report import Verification
from condense_compiler.targets.options import configured

ENTRY_POINTS = "condense_compiler.targets"

# Built-in targets: name -> "module:class", imported when first asked for.
BUILT_IN: Mapping[str, str] = {
    "reference": "condense_compiler.targets.reference:ReferenceTarget",
    "onnxruntime": "condense_compiler.targets.onnxruntime:OnnxRuntimeTarget",
    "accelerator": "condense_compiler.targets.accelerator:AcceleratorTarget",
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


@runtime_checkable
class Preparing(Protocol):
    """A target that changes a model before it is compiled, such as by quantising it."""

    def standard(self, source: str | Path | onnx.ModelProto) -> str | Path | onnx.ModelProto:
        """Return the model as given, in standard operators."""

    def prepare(
        self,
        source: str | Path | onnx.ModelProto,
        dims: Mapping[str, int],
        memory_bytes: int | None,
    ) -> tuple[onnx.ModelProto, Target]:
        """Return the model to compile, and the target that lowers it.

        Args:
            source: The model as given.
            dims: Sizes of symbolic dimensions.
            memory_bytes: What the feature maps on the chip must fit, if anything.

        Raises:
            InputError: The model cannot be used.
        """


@runtime_checkable
class Verifying(Protocol):
    """A lowered program that knows what it must equal."""

    def verify(self, feeds: Mapping[str, npt.NDArray[Any]]) -> Verification:
        """Compare a run with what it must equal."""


def target_names() -> list[str]:
    """Return the names of all targets: our own, then installed ones."""
    return [*BUILT_IN, *installed_names(ENTRY_POINTS)]


def find_target(name: str, options: Mapping[str, str] | None = None) -> Target:
    """Return a target.

    Args:
        name: Its name.
        options: Values of its fields, as text.

    Raises:
        InputError: No target has this name, or the target no such option.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return cast(
            Target, configured(name, getattr(import_module(module), attribute), options or {})
        )
    installed = load_installed(ENTRY_POINTS, name)
    if installed is None:
        raise unknown_name("target", name, target_names())
    return cast(Target, configured(name, installed, options or {}))
